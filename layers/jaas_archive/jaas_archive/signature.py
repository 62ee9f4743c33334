"""The `X-Jaas-Signature` header: how JaaS signs an event, and how we prove that it did.

The rule is 8x8's (https://developer.8x8.com/jaas/docs/webhooks-signature): the header reads
`t=<unix seconds>,v1=<base64>[,v1=<base64>…]`, the signed text is `t`, a full stop and the raw body, the code is
HMAC-SHA256 keyed with the whole secret, `whsec_` included.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from jaas_archive.errors import SignatureError

# Whoever is not JaaS decides how many signatures a header holds, and each costs a comparison.
MAX_CANDIDATES = 16
MAX_HEADER_LENGTH = 4096
MAX_TIMESTAMP_DIGITS = 12


@dataclass(frozen=True, slots=True)
class SignatureHeader:
    """A parsed header: `timestamp` verbatim, because it is part of the signed text."""

    timestamp: str
    candidates: tuple[bytes, ...]

    @classmethod
    def parse(cls, text: str) -> "SignatureHeader":
        """Read a header; unknown schemes are ignored.

        Raises:
            SignatureError: no `t`, or no `v1`.
        """
        if len(text) > MAX_HEADER_LENGTH:
            raise SignatureError("the signature header is too long")
        timestamp = ""
        candidates: list[bytes] = []
        for element in text.split(","):
            # On the first "=" only: base64 ends in padding.
            scheme, _, value = element.strip().partition("=")
            if scheme == "t" and not timestamp:
                timestamp = value
            elif scheme == "v1" and value:
                candidates.append(value.encode("utf-8", "replace"))
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MAX_TIMESTAMP_DIGITS):
            raise SignatureError("the signature header has no timestamp t=<unix seconds>")
        if not candidates:
            raise SignatureError("the signature header has no v1 signature")
        return cls(timestamp, tuple(candidates[:MAX_CANDIDATES]))


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The base64 signature of a body sent at `timestamp` (unix seconds, as text)."""
    code = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return base64.b64encode(code.digest()).decode()


def verify(
    header: SignatureHeader, body: bytes, *, secrets: Iterable[str], now_seconds: float, tolerance_seconds: int
) -> None:
    """Return if any signature matches the raw body under any of the secrets.

    Every pair is compared, each in constant time, so that the answer's timing says nothing.

    Raises:
        SignatureError: none matches, or the signature's time is further than `tolerance_seconds` from now.
    """
    matches = 0
    for secret in filter(None, secrets):
        expected = sign(secret, header.timestamp, body).encode()
        for candidate in header.candidates:
            matches += hmac.compare_digest(expected, candidate)
    if not matches:
        raise SignatureError("the signature does not match")
    if abs(now_seconds - int(header.timestamp)) > tolerance_seconds:
        raise SignatureError("the signature is too old or from the future; compare SignatureToleranceSeconds")
