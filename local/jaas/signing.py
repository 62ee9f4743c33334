"""Signs a body as JaaS does; written from 8x8's page alone, so that it can contradict the code under test."""

import base64
import hashlib
import hmac

SIGNATURE_HEADER = "X-Jaas-Signature"


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The base64 signature of a body sent at `timestamp` (unix seconds).

    The key is the whole secret, `whsec_` included: https://developer.8x8.com/jaas/docs/webhooks-signature
    """
    mac = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def signature_header(secret: str, body: bytes, timestamp: int) -> str:
    """The value of `X-Jaas-Signature` for a body."""
    return f"t={timestamp},v1={sign(secret, body, timestamp)}"
