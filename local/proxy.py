"""A proxy on loopback before an AWS on loopback, whose requests fail on command."""

import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_TIMEOUT_SECONDS = 120
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "server", "date"})
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_S3_OPERATIONS = {
    ("PUT", "partNumber"): "UploadPart",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("GET", "uploads"): "ListMultipartUploads",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
"""By method and a word of the query; the others are called by method and `Object`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, with its service's and operation's names in AWS's API, and headers by lower-case names."""

    service: str
    operation: str
    method: str
    target: str
    headers: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request: an answer with `status` and `code`, and AWS does not hear of it.

    If it is `hidden`, AWS does what it was asked, and only the caller does not hear of that. With `reset_after_bytes`
    the connection is reset: after so much of the request's body, or if hidden, of the answer's. `answer` makes an
    answer of its own out of the request's body. An `early` answer comes before the body and ends the connection; one
    that is `broken_off` ends it in the middle of a chunk. With `bytes_per_second` nothing fails, but the body is taken
    slowly.
    """

    status: int = 503
    code: str = "ServiceUnavailable"
    hidden: bool = False
    reset_after_bytes: int | None = None
    answer: Callable[[bytes], bytes] | None = None
    early: bool = False
    broken_off: bool = False
    bytes_per_second: int | None = None


type Amend = Callable[[Call, bytes, bytes], bytes]
"""Makes the answer's body out of call, request's body and AWS's answer."""


class Proxy:
    """Forwards to the AWS at `upstream`; `take` says what happens to each request, `amend` may change answers."""

    def __init__(
        self,
        upstream: str,
        take: Callable[[Call], Fault | None],
        *,
        amend: Amend = lambda _call, _body, answer: answer,
    ) -> None:
        self.netloc = urlsplit(upstream).netloc
        self.take = take
        self.amend = amend
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Callers that are killed go away in the middle of a sentence."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, owner: Proxy, *arguments: Any) -> None:
        self.owner = owner
        super().__init__(*arguments)

    def _serve(self) -> None:
        call = _call(self.command, self.path, dict(self.headers.items()))
        fault = self.owner.take(call)
        body = self._receive(fault)
        if body is None:
            return
        if fault and fault.bytes_per_second:
            fault = None
        if fault is None or fault.hidden:
            try:
                status, headers, answer = self._forward(call, body)
            except (OSError, http.client.HTTPException):
                self._reset()
                return
        if fault and fault.reset_after_bytes is None:
            status, headers = fault.status, [("Content-Type", _content_type(call.service))]
            answer = fault.answer(body) if fault.answer else _error(call.service, fault.code)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _OURS:
                self.send_header(name, value)
        self.send_header("Content-Length", _length(call.method, headers, answer))
        self.end_headers()
        if call.method != "HEAD":
            self.wfile.write(answer[: fault.reset_after_bytes] if fault else answer)
        if fault and fault.reset_after_bytes is not None:
            self._reset()

    def _receive(self, fault: Fault | None) -> bytes | None:
        """The request's body; None if there is nobody left who could be answered."""
        length = int(self.headers.get("Content-Length") or 0)
        if fault is None:
            whole = self.rfile.read(length)
            return whole if len(whole) == length else None
        if fault.early:
            self.close_connection = True
            return b""
        if fault.reset_after_bytes is not None and not fault.hidden:
            self.rfile.read(min(length, fault.reset_after_bytes))
            self._reset()
            return None
        body = self._receive_slowly(length, fault.bytes_per_second) if fault.bytes_per_second else self._receive(None)
        if fault.broken_off:
            self.send_response(fault.status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"40\r\n<Error>")
            self.close_connection = True
            return None
        return body

    def _receive_slowly(self, length: int, bytes_per_second: int) -> bytes | None:
        # Else a large part of the body would be on its way at once.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        body = b""
        while len(body) < length and (piece := self.rfile.read(min(length - len(body), bytes_per_second // 10))):
            body += piece
            time.sleep(0.1)
        return body if len(body) == length else None

    def _forward(self, call: Call, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.owner.netloc, timeout=_TIMEOUT_SECONDS)
        # The host stays the caller's: it is signed.
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        try:
            connection.request(call.method, call.target, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), self.owner.amend(call, body, response.read())
        finally:
            connection.close()

    def _reset(self) -> None:
        """Close without a farewell: the caller sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _call(method: str, target: str, headers: dict[str, str]) -> Call:
    lower = {name.lower(): value for name, value in headers.items()}
    scope = _SERVICE.search(lower.get("authorization", ""))
    service = scope[1] if scope else ""
    operation = lower.get("x-amz-target", "").rpartition(".")[2]
    if service == "s3":
        query = parse_qs(urlsplit(target).query, keep_blank_values=True)
        named = (name for (verb, word), name in _S3_OPERATIONS.items() if verb == method and word in query)
        operation = next(named, f"{method.capitalize()}Object")
    return Call(service, operation or method, method, target, lower)


def _content_type(service: str) -> str:
    return "application/xml" if service in ("", "s3", "sns") else "application/x-amz-json-1.0"


def _error(service: str, code: str) -> bytes:
    if _content_type(service) == "application/xml":
        return f"<Error><Code>{code}</Code><Message>simulated</Message></Error>".encode()
    return json.dumps({"__type": code, "message": "simulated"}).encode()


def _length(method: str, headers: list[tuple[str, str]], answer: bytes) -> str:
    """An answer to HEAD tells the length of what it does not send."""
    announced = (value for name, value in headers if name.lower() == "content-length")
    return next(announced, "0") if method == "HEAD" else str(len(answer))
