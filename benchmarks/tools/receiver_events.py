"""The receiver as Lambda runs it: imports, a first event, then others; what it says on stderr is CPU in seconds.

Arguments: the webhook's secret, how many events follow the first, and which sample of events/ they are.
"""

import json
import sys
import time
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from functions.receiver.app import handler, receiver
from jaas_archive.signature import sign

IMPORTED_AT = time.process_time()
_EVENTS = Path(__file__).resolve().parents[2] / "events"
_CONTEXT: Any = SimpleNamespace(
    function_name="receiver",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:receiver",
    aws_request_id="00000000-0000-4000-8000-000000000000",
)


def request(name: str, secret: str) -> dict[str, Any]:
    """A sample event as the HTTP API hands it over, signed now."""
    body = (_EVENTS / f"{name}.json").read_text()
    stamp = str(int(time.time()))
    headers = {"x-jaas-signature": f"t={stamp},v1={sign(secret, stamp, body.encode())}"}
    return {"headers": headers, "body": body, "isBase64Encoded": False}


def seconds_for(event: dict[str, Any]) -> float:
    start = time.process_time()
    reply = handler(event, _CONTEXT)
    spent = time.process_time() - start
    if reply["statusCode"] != HTTPStatus.ACCEPTED:
        sys.exit(f"the receiver answered {reply}")
    return spent


def main() -> None:
    secret, count, name = sys.argv[1:]
    receiver()
    built_at = time.process_time()
    first = seconds_for(request("PARTICIPANT_JOINED", secret))
    warm = [seconds_for(request(name, secret)) for _ in range(int(count))]
    said = {"imports": IMPORTED_AT, "clients": built_at - IMPORTED_AT, "first_event": first, "warm_events": warm}
    print(json.dumps(said), file=sys.stderr)


if __name__ == "__main__":
    main()
