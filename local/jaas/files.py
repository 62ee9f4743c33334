"""A file server on loopback whose links look and behave like Oracle's pre-authenticated ones."""

import secrets
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from local.jaas.faults import Faults
from local.jaas.storage import BUCKET_NOT_FOUND, Answer, Request, StoredObject, refuse, respond

LINK_LIFETIME_SECONDS = 24 * 3600
_BLOCK_BYTES = 256 * 1024
_PACE_SECONDS = 0.1
_IDLE_SECONDS = 60
CONTENT_TYPES = {".mp4": "video/mp4", ".json": "application/json", ".gz": "application/gzip", ".txt": "text/plain"}


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """A request to a link and what was sent; `start` is where in the object the body began, None for an error page."""

    method: str
    range: str | None
    status: int
    start: int | None
    sent_bytes: int


@dataclass(slots=True)
class Link:
    """A published file: its address, what goes wrong with it, and who asked for it.

    `renew` writes its content anew for each request.
    """

    url: str
    stored: StoredObject
    faults: Faults = field(default_factory=Faults)
    requests: list[ServedRequest] = field(default_factory=list)
    renew: Callable[[], bytes] | None = None

    def expire(self) -> None:
        """The link dies now."""
        self.stored.expires_at = 0

    @property
    def fetched(self) -> bool:
        """Whether every byte was sent at least once, in whatever pieces."""
        stretches = [
            (request.start, request.start + request.sent_bytes)
            for request in list(self.requests)
            if request.method == "GET" and request.start is not None
        ]
        position = 0
        for start, stop in sorted(stretches):
            if start <= position:
                position = max(position, stop)
        return bool(stretches) and position >= self.stored.size


class FileServer:
    """Serves files from links, each request in its own thread.

    with FileServer() as server:
        link = server.publish(Path("call.mp4"), name="vpaas-magic-cookie-…/weeklysync_2026-07-01-09-02-11.mp4")
        link.faults.then(Fail(503))
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        base_url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Listen, without answering yet.

        Args:
            host: the address to listen on.
            port: 0 takes a free one.
            base_url: the origin that stands in links, if others reach this server by another name.
            clock: tells when a link has expired.
        """
        self._clock = clock
        self._links: dict[str, Link] = {}
        self._http = _Server((host, port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        address, bound_port = self._http.server_address[:2]
        self.origin = (base_url or f"http://{address!s}:{bound_port}").rstrip("/")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def publish(
        self,
        source: Path | bytes,
        *,
        name: str,
        bucket: str = "vpaas-recordings-prod-8x8-us-phoenix-1",
        lifetime_seconds: float = LINK_LIFETIME_SECONDS,
        content_type: str | None = None,
        faults: Faults | None = None,
    ) -> Link:
        """Make a link to a file; `name` is the object's, `<appId>/[<recording session>/]<room>_<time>.mp4`.

        Links that share their `faults` go on where one of them stopped.
        """
        now = self._clock()
        stored = StoredObject(
            name=name,
            bucket=bucket,
            source=source,
            content_type=content_type or CONTENT_TYPES.get(Path(name).suffix, "application/octet-stream"),
            written_at=now,
            expires_at=now + lifetime_seconds,
        )
        path = stored.path(secrets.token_urlsafe(48))
        link = Link(self.origin + path, stored, faults or Faults())
        self._links[unquote(path)] = link
        return link

    def find(self, target: str) -> Link | None:
        """The link that a request's target names."""
        return self._links.get(unquote(urlsplit(target).path))

    def answer(self, link: Link, request: Request) -> Answer:
        """The answer to a request, with everything that is to go wrong with it."""
        if link.renew:
            link.stored.replace(link.renew())
        faults = link.faults.take(request.method)
        for fault in faults:
            fault.on_request(request)
        answer = respond(request, now=self._clock())
        for fault in faults:
            answer = fault.on_answer(answer)
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], files: FileServer) -> None:
        self.files = files
        self.stopping = threading.Event()
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news; anything else is."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "JaaS-simulator"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        link = self.server.files.find(self.path)
        if link is None:
            self._send(refuse(BUCKET_NOT_FOUND))
            return
        request = Request(self.command, self.headers["Range"], self.headers["If-Match"], link.stored)
        answer = self.server.files.answer(link, request)
        sent_bytes = 0
        try:
            sent_bytes = self._send(answer)
        finally:
            start = answer.body.start if answer.body.source is link.stored.source else None
            link.requests.append(ServedRequest(self.command, self.headers["Range"], answer.status, start, sent_bytes))

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, answer: Answer) -> int:
        """Send an answer as it says; returns how many bytes of the body left."""
        if answer.drop:
            self._reset()
            return 0
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("opc-request-id", str(uuid.uuid4()))
        if "Content-Length" not in answer.headers:
            self.send_header("Connection", "close")
        self.end_headers()
        return 0 if self.command == "HEAD" else self._send_body(answer)

    def _send_body(self, answer: Answer) -> int:
        ends = (answer.reset_after_bytes, answer.end_after_bytes)
        length = min([answer.body.length, *(end for end in ends if end is not None)])
        rate = answer.bytes_per_second
        block_bytes = min(_BLOCK_BYTES, max(1, int(rate * _PACE_SECONDS))) if rate else _BLOCK_BYTES
        stall_at, stall_seconds = answer.stall or (-1, 0.0)
        sent, started = 0, time.monotonic()
        try:
            with answer.body.open() as reader:
                while sent <= length:
                    if sent == stall_at:
                        self.server.stopping.wait(stall_seconds)
                    if sent == length or self.server.stopping.is_set():
                        break
                    stop = stall_at if sent < stall_at < length else length
                    block = reader.read(min(block_bytes, stop - sent))
                    if not block:
                        break
                    if rate:
                        due_at = started + (sent + len(block)) / rate
                        self.server.stopping.wait(max(0.0, due_at - time.monotonic()))
                    self.wfile.write(_flipped(block, answer.flip_byte, sent))
                    sent += len(block)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
            return sent
        if answer.reset_after_bytes is not None and sent == answer.reset_after_bytes:
            self._reset()
        if str(sent) != answer.headers.get("Content-Length"):
            self.close_connection = True
        return sent

    def _reset(self) -> None:
        """Close without a farewell: the client sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Links are credentials, and the terminal belongs to whoever runs the server."""


def _flipped(block: bytes, position: int | None, offset: int) -> bytes:
    if position is None or not offset <= position < offset + len(block):
        return block
    changed = bytearray(block)
    changed[position - offset] ^= 0xFF
    return bytes(changed)
