"""How fast the receiver's own code is: AWS answers at once, inside of botocore.

A program of its own, `python -m local.load.alone`, so that nothing else is in its memory.
"""

import os
import resource
import sys
import time
from contextlib import redirect_stdout
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
from botocore.awsrequest import AWSResponse

from benchmarks.receiver import settings_of
from local.jaas.meeting import as_json
from local.jaas.signing import SIGNATURE_HEADER, signature_header
from local.load.events import SECRET, feedback_events

_EVENTS = 20_000


def take_alone(count: int) -> tuple[float, int]:
    """Events a second of one processor, and KiB that the process grew by."""
    os.environ |= settings_of("https://sqs.us-east-1.amazonaws.com")
    boto3.setup_default_session()
    if boto3.DEFAULT_SESSION:
        boto3.DEFAULT_SESSION.events.register("before-send", cast("Any", _answer))
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        from functions.receiver import app  # noqa: PLC0415 - its logger takes the stdout of this moment

        requests = [_request(body) for body in feedback_events(count)]
        for request in requests[: count // 10]:
            app.handler(request, _CONTEXT)
        before, cpu = _resident(), time.process_time()
        for request in requests:
            if app.handler(request, _CONTEXT)["statusCode"] != HTTPStatus.ACCEPTED:
                raise SystemExit("the receiver did not take an event")
        seconds = max(time.process_time() - cpu, 0.001)
    return count / seconds, _resident() - before


_CONTEXT: Any = SimpleNamespace(
    function_name="receiver", memory_limit_in_mb=1024, invoked_function_arn="arn:aws:lambda:x", aws_request_id="load"
)


def _request(body: bytes) -> dict[str, Any]:
    signature = signature_header(SECRET, body, int(time.time()))
    return {"headers": {SIGNATURE_HEADER.lower(): signature}, "body": body.decode(), "isBase64Encoded": False}


def _answer(request: Any, **_: object) -> Any:
    content = as_json({"MessageId": "m", "MD5OfMessageBody": "m", "SecretString": SECRET, "Name": "n"})
    raw = SimpleNamespace(stream=lambda *_a, **_k: iter([content]))
    headers: Any = {"Content-Type": "application/x-amz-json-1.0"}
    return AWSResponse(request.url, HTTPStatus.OK, headers, raw)


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    rate, grown = take_alone(_EVENTS)
    sys.stderr.write(f"{rate:.0f} events a second of one processor, {grown} KiB grown over {_EVENTS} events")
