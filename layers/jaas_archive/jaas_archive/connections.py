"""HTTP connections on which every wait is bounded, read and written without copying.

The bodies of recordings go through here, so this is `http.client` and not one of the libraries above it: reading a
body straight into the caller's buffer takes about half of the processor time (benchmarks/README.md has the figures).
"""

import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import cast
from urllib.parse import urlsplit

from jaas_archive.tls import TlsSocket

_CHECKED_BYTES = 1 << 20
_CHECKED_SECONDS = 1
_PORTS = {"https": 443, "http": 80}


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses that the resolver gives for a host, the best first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class Transport:
    """How connections are made, and how patient they are.

    `timeout_seconds` is the longest wait to connect and for the next bytes; a transfer that is slower than
    `slowest_bytes_per_second` for `pace_seconds` is cut. `resolve` gives the addresses of a host and port, `dial`
    connects to one of them.
    """

    tls: ssl.SSLContext
    timeout_seconds: float = 20
    slowest_bytes_per_second: int = 8 * 1024
    pace_seconds: float = 20
    resolve: Callable[[str, int], Sequence[str]] = addresses_of
    dial: Callable[[tuple[str, int], float], socket.socket] = socket.create_connection


class AddressRefusedError(Exception):
    """The host has no address that may be connected to."""


class ConnectionBrokenError(Exception):
    """The connection failed, stalled or trickled; the text holds no part of the URL."""


class StoppedError(Exception):
    """The work was told to stop, or its time is over."""


@dataclass(slots=True)
class Stop:
    """Tells all threads of a copy to stop: when told, when its parent stops, or at `deadline` (`time.monotonic`)."""

    deadline: float = float("inf")
    parent: "Stop | None" = None
    _event: threading.Event = field(default_factory=threading.Event)

    def child(self) -> "Stop":
        """One that stops with this one, and can be stopped alone."""
        return Stop(self.deadline, self)

    def now(self) -> None:
        """Stop."""
        self._event.set()

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.deadline

    def check(self) -> None:
        """Raise StoppedError when it is time."""
        if self._event.is_set() or self.is_over:
            raise StoppedError
        if self.parent:
            self.parent.check()

    def wait(self, seconds: float) -> None:
        """Sleep, unless it is time to stop."""
        self.check()
        self._event.wait(min(seconds, max(0.0, self.deadline - time.monotonic())))
        self.check()


@dataclass(slots=True)
class Pace:
    """Watches that a transfer does not trickle."""

    transport: Transport
    stop: Stop
    _since: float = field(default_factory=time.monotonic)
    _moved: int = 0

    def moved(self, count: int) -> None:
        """Note progress.

        Raises:
            ConnectionBrokenError: there was too little of it for too long.
            StoppedError: it is time to stop.
        """
        self.stop.check()
        self._moved += count
        elapsed = time.monotonic() - self._since
        if elapsed >= self.transport.pace_seconds:
            if self._moved < self.transport.slowest_bytes_per_second * elapsed:
                raise ConnectionBrokenError("too slow")
            self._since, self._moved = time.monotonic(), 0


@dataclass(slots=True)
class Body:
    """The body of an answer; `left` is what is still to come, None where the answer does not say."""

    response: HTTPResponse
    pace: Pace
    left: int | None
    _socket: socket.socket | None
    _drained: bool = False

    def read_into(self, view: memoryview) -> int:
        """Read some bytes, 0 at the end.

        Raises:
            ConnectionBrokenError: the connection failed, or ended too early.
        """
        with broken():
            count = self._read_piece(view) if self.left is None else self._read_known(view[: self.left])
        self.pace.moved(count)
        return count

    def _read_piece(self, view: memoryview) -> int:
        piece = self.response.read1(min(len(view), _CHECKED_BYTES))
        view[: len(piece)] = piece
        return len(piece)

    def _read_known(self, view: memoryview) -> int:
        """Read until it is time to look at the pace; a TLS record gives 16 KiB, so this loop runs often."""
        view = view[:_CHECKED_BYTES]
        done = 0
        until = time.monotonic() + _CHECKED_SECONDS
        try:
            while done < len(view):
                done += self._receive(view[done:])
                if time.monotonic() > until:
                    break
        except (ConnectionBrokenError, OSError, HTTPException):
            # What came before counts; the next call meets the same trouble.
            if not done:
                raise
        self.left = (self.left or 0) - done
        return done

    def _receive(self, view: memoryview) -> int:
        """Read at most once from the socket, after what http.client had read of the body together with the head."""
        if self._socket is not None and self._drained:
            count = self._socket.recv_into(view)
        else:
            # A reader that is asked for more than fits into its own buffer leaves nothing in there.
            self._drained = len(view) > io.DEFAULT_BUFFER_SIZE
            count = self.response.fp.readinto1(view)
        if not count:
            raise ConnectionBrokenError("ended early")
        return count


@dataclass(slots=True)
class Connection:
    """A connection to one origin, opened when it is needed, kept while it can be, used by one thread.

    It goes to addresses that `permits` lets pass and no others, whatever the resolver says and however often it changes
    its mind: what was looked at is what is connected to.
    """

    origin: str
    transport: Transport
    stop: Stop
    permits: Callable[[str], bool]
    _http: HTTPConnection | None = None

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Iterable[memoryview | bytes] = (),
        body_bytes: int | None = None,
    ) -> HTTPResponse:
        """Send a request, its body in pieces as they come, and read the head of the answer.

        Raises:
            ConnectionBrokenError: no answer; the connection is closed. What `body` raises passes through.
            AddressRefusedError: there is nothing that it may connect to.
        """
        try:
            with broken():
                http = self._http = self._http or self._open()
                http.putrequest(method, target, skip_accept_encoding=True)
                for name, value in headers.items():
                    http.putheader(name, value)
                if body_bytes is not None:
                    http.putheader("Content-Length", str(body_bytes))
                http.endheaders()
            pace, hung_up = Pace(self.transport, self.stop), False
            try:
                for piece in body:
                    self._send_piece(http, piece, pace)
            except ConnectionError:
                # The other side may have answered before it had the whole body: S3 refuses some requests so.
                hung_up = True
            with broken():
                response = http.getresponse()
        except BaseException:
            self.close()
            raise
        response.will_close |= hung_up
        return response

    @staticmethod
    def _send_piece(http: HTTPConnection, piece: memoryview | bytes, pace: Pace) -> None:
        """Send a piece in stretches, each of which has to be gone within the time-out."""
        for start in range(0, len(piece), _CHECKED_BYTES):
            stretch = piece[start : start + _CHECKED_BYTES]
            with broken(but=ConnectionError):
                http.send(stretch)
            pace.moved(len(stretch))

    def body(self, response: HTTPResponse) -> Body:
        """The body of an answer."""
        # http.client lets go of the socket when the answer is the connection's last.
        return Body(response, Pace(self.transport, self.stop), response.length, self._http.sock if self._http else None)

    def finish(self, response: HTTPResponse, *, left: int | None) -> None:
        """Done with an answer: the connection is kept if nothing of it is left."""
        response.close()
        if left != 0 or response.will_close:
            self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._http:
            self._http.close()
            self._http = None

    def _open(self) -> HTTPConnection:
        parts = urlsplit(self.origin)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        tls = self.transport.tls
        http = HTTPSConnection(host, port, context=tls) if parts.scheme == "https" else HTTPConnection(host, port)
        # By itself it would connect anew when it is used after its end, to wherever the name leads by then.
        http.auto_open = 0
        http.sock = self._dial(host, port)
        try:
            http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if parts.scheme == "https":
                # The certificate has to be of the name, whatever the address.
                http.sock = cast("socket.socket", TlsSocket.over(http.sock, tls, host))
        except BaseException:
            http.close()
            raise
        return http

    def _dial(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that can be had of those that may be."""
        permitted = [address for address in self.transport.resolve(host, port) if self.permits(address)]
        if not permitted:
            raise AddressRefusedError
        for address in permitted[:-1]:
            with suppress(OSError):
                return self.transport.dial((address, port), self.transport.timeout_seconds)
        return self.transport.dial((permitted[-1], port), self.transport.timeout_seconds)


@contextmanager
def broken(*, but: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Raise ConnectionBrokenError for what sockets, TLS and HTTP raise: their texts may hold the URL, a credential.

    `but` passes through.
    """
    try:
        yield
    except but:
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise ConnectionBrokenError(type(error).__name__) from None


def origin_and_target(url: str) -> tuple[str, str]:
    """A URL as what to connect to and what to ask for there."""
    parts = urlsplit(url)
    target = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}", f"{target}?{parts.query}" if parts.query else target
