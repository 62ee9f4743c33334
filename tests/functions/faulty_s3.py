"""A proxy before moto's S3 that lets requests fail on command.

It also adds to the answers of ListParts what S3 has there and moto has not: the parts' checksums. And it can demand, as
S3 does of a bucket with Object Lock, that each upload says how it is checked.
"""

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.crc import as_text

type Matches = Callable[[str, str], bool]
"""Whether a request, by method and target, is meant."""


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that match.

    With `status` they are answered so and S3 does not hear of them; with `hidden` S3 does them and the caller gets the
    status; with `reset_after_bytes` the connection is reset when so much of the body has come. An `early` answer comes
    before the body and ends the connection; one `broken_off` ends in the middle of a chunk. With
    `body_bytes_per_second` alone nothing fails, but takes its time.
    """

    matches: Matches
    times: int
    status: int = 503
    code: str = "SlowDown"
    hidden: bool = False
    reset_after_bytes: int | None = None
    early: bool = False
    broken_off: bool = False
    body_bytes_per_second: int | None = None
    seen: int = 0


@dataclass(slots=True)
class FaultyS3:
    """Forwards to the S3 at `upstream`."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    checksums: dict[str, str] = field(default_factory=dict)
    last_body: bytes = b""
    """As it came: in chunks."""
    locked: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer = field(init=False)

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, matches: Matches, *, times: int = 1, **how: object) -> Fault:
        """Let the next matching requests fail."""
        fault = Fault(matches, times, **how)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def parts_sent(self) -> int:
        """How many requests to store a part have come."""
        return sum(method == "PUT" and "partNumber=" in target for method, target in list(self.requests))

    def take(self, method: str, target: str) -> Fault | None:
        """The fault of a request that has come."""
        with self._lock:
            self.requests.append((method, target))
            for fault in self.faults:
                if fault.seen < fault.times and fault.matches(method, target):
                    fault.seen += 1
                    return fault
        return None

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, owner: FaultyS3, *arguments: Any) -> None:
        self.owner = owner
        super().__init__(*arguments)

    def _serve(self) -> None:
        fault = self.owner.take(self.command, self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if fault and fault.reset_after_bytes is not None:
            self.rfile.read(min(length, fault.reset_after_bytes))
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if fault and fault.early:
            self._refuse(fault)
            return
        body = self._read(length, fault)
        if fault and fault.broken_off:
            self.send_response(fault.status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"40\r\n<Error>")
            self.close_connection = True
            return
        proofs = {"Content-MD5", "x-amz-sdk-checksum-algorithm"}
        if self.owner.locked and self.command == "PUT" and not proofs & set(self.headers):
            fault = Fault(lambda *_: True, 1, status=400, code="InvalidRequest")
        answer = self._forward(body) if fault is None or fault.hidden or fault.body_bytes_per_second else None
        if answer and not (fault and fault.hidden):
            self._answer(*answer)
        elif fault:
            self._refuse(fault)

    def _read(self, length: int, fault: Fault | None) -> bytes:
        if fault is None or fault.body_bytes_per_second is None:
            return self.rfile.read(length)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        body = b""
        while len(body) < length:
            body += self.rfile.read(min(length - len(body), fault.body_bytes_per_second // 10))
            time.sleep(0.1)
        return body

    def _refuse(self, fault: Fault) -> None:
        answer = f"<Error><Code>{fault.code}</Code><Message>simulated</Message></Error>".encode()
        self.close_connection = fault.early
        self._answer(fault.status, [("Content-Type", "application/xml")], answer)

    def _answer(self, status: int, headers: list[tuple[str, str]], answer: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.owner.upstream).netloc, timeout=60)
        try:
            self.owner.last_body = body
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            response = connection.getresponse()
            return response.status, response.getheaders(), self._with_checksums(body, response.read())
        finally:
            connection.close()

    def _with_checksums(self, body: bytes, answer: bytes) -> bytes:
        query = parse_qs(urlsplit(self.path).query)
        if self.command == "PUT" and "partNumber" in query:
            framed = re.match(rb"([0-9a-f]+)\r\n", body)
            data = memoryview(body)[framed.end() :][: int(framed[1], 16)] if framed else body
            self.owner.checksums[query["partNumber"][0]] = as_text(crc32c(data))
        if self.command != "GET" or "uploadId" not in query:
            return answer
        return re.sub(
            r"<PartNumber>(\d+)</PartNumber>",
            lambda found: f"{found[0]}<ChecksumCRC32C>{self.owner.checksums[found[1]]}</ChecksumCRC32C>",
            answer.decode(),
        ).encode()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
