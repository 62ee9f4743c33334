"""Faults of a link, on command: a script of what goes wrong with which request.

    link.faults.then(Fail(503), times=2).then(Cut(after_bytes=1_000_000)).then(times=3).then(Changed())
    link.faults.always(Trickle(bytes_per_second=30_000_000))

The first two requests get a 503, the third is cut, three go through, and before the next one the object changes;
all of them are slow. After the script a link behaves.
"""

import threading
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Self

from local.jaas.storage import Answer, OracleError, Request, page, refuse

_HTML = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"


class Fault:
    """Something that goes wrong with one request; it changes the request, or the honest answer to it."""

    needs_body: ClassVar[bool] = False
    """A fault of the body waits for a GET, and leaves a HEAD alone."""

    def on_request(self, request: Request, /) -> None:
        """Change what the server understands."""

    def on_answer(self, answer: Answer, /) -> Answer:
        """Change what the server says."""
        return answer


@dataclass(frozen=True, slots=True)
class Fail(Fault):
    """An error status, with Oracle's JSON."""

    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    code: str = "ServiceUnavailable"
    retry_after_seconds: int | None = None

    def on_answer(self, _answer: Answer, /) -> Answer:
        failure = refuse(OracleError(HTTPStatus(self.status), self.code, "This is a simulated failure"))
        if self.retry_after_seconds is not None:
            failure.headers["Retry-After"] = str(self.retry_after_seconds)
        return failure


@dataclass(frozen=True, slots=True)
class HtmlPage(Fault):
    """A web page instead of the file, with a status that says all is well."""

    status: int = HTTPStatus.OK

    def on_answer(self, _answer: Answer, /) -> Answer:
        return page(HTTPStatus(self.status), "text/html; charset=utf-8", _HTML)


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """The file is said to be elsewhere."""

    location: str
    status: int = HTTPStatus.FOUND

    def on_answer(self, _answer: Answer, /) -> Answer:
        redirect = page(HTTPStatus(self.status), "text/plain", "")
        redirect.headers["Location"] = self.location
        return redirect


@dataclass(frozen=True, slots=True)
class Drop(Fault):
    """The connection ends before the answer begins."""

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.drop = True
        return answer


@dataclass(frozen=True, slots=True)
class Cut(Fault):
    """The connection is reset in the body; the client has got at most so many bytes of it."""

    after_bytes: int
    needs_body = True

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.reset_after_bytes = self.after_bytes
        return answer


@dataclass(frozen=True, slots=True)
class Truncate(Fault):
    """The body ends early and in good order, although more was announced."""

    after_bytes: int
    needs_body = True

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.end_after_bytes = self.after_bytes
        return answer


@dataclass(frozen=True, slots=True)
class WrongLength(Fault):
    """Content-Length is off by so many bytes; where it says less, only those are sent."""

    difference: int

    def on_answer(self, answer: Answer, /) -> Answer:
        length = max(0, answer.body.length + self.difference)
        answer.headers["Content-Length"] = str(length)
        answer.end_after_bytes = min(length, answer.body.length)
        return answer


@dataclass(frozen=True, slots=True)
class Stall(Fault):
    """Nothing comes for a while, with the connection open."""

    after_bytes: int
    seconds: float
    needs_body = True

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.stall = (self.after_bytes, self.seconds)
        return answer


@dataclass(frozen=True, slots=True)
class Trickle(Fault):
    """The body is slow; a store that limits each connection is the same thing with a higher rate."""

    bytes_per_second: int
    needs_body = True

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.bytes_per_second = self.bytes_per_second
        return answer


@dataclass(frozen=True, slots=True)
class Corrupt(Fault):
    """One byte of the body is another one."""

    at_byte: int = 0
    needs_body = True

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.flip_byte = self.at_byte
        return answer


@dataclass(frozen=True, slots=True)
class NoRanges(Fault):
    """Ranges are ignored: the whole object comes, with a 200."""

    def on_request(self, request: Request, /) -> None:
        request.range = None

    def on_answer(self, answer: Answer, /) -> Answer:
        answer.headers.pop("Accept-Ranges", None)
        return answer


@dataclass(frozen=True, slots=True)
class Changed(Fault):
    """Before this request the object is written anew: another ETag, and other bytes if given."""

    source: Path | bytes | None = None

    def on_request(self, request: Request, /) -> None:
        request.stored.replace(self.source)


@dataclass(frozen=True, slots=True)
class Header(Fault):
    """A header of the answer has another value, or none at all.

    Without Content-Length the body ends with the connection.
    """

    name: str
    value: str | None = None

    def on_answer(self, answer: Answer, /) -> Answer:
        if self.value is None:
            answer.headers.pop(self.name, None)
        else:
            answer.headers[self.name] = self.value
        return answer


@dataclass(slots=True)
class _Step:
    faults: tuple[Fault, ...]
    times: int


class Faults:
    """The script of one link; requests from several threads each take one step."""

    def __init__(self) -> None:
        self._always: tuple[Fault, ...] = ()
        self._script: deque[_Step] = deque()
        self._lock = threading.Lock()

    def always(self, *faults: Fault) -> Self:
        """These go wrong with every request, scripted ones included."""
        with self._lock:
            self._always += faults
        return self

    def then(self, *faults: Fault, times: int = 1) -> Self:
        """These go wrong together with the next `times` requests; no fault at all lets them through."""
        with self._lock:
            if times > 0:
                self._script.append(_Step(faults, times))
        return self

    def clear(self) -> None:
        """The link behaves from now on."""
        with self._lock:
            self._always = ()
            self._script.clear()

    @property
    def scripted(self) -> int:
        """How many requests the script still waits for."""
        with self._lock:
            return sum(step.times for step in self._script)

    def take(self, method: str) -> tuple[Fault, ...]:
        """What goes wrong with the request that has just come."""
        with self._lock:
            always = tuple(fault for fault in self._always if method == "GET" or not fault.needs_body)
            if not self._script:
                return always
            step = self._script[0]
            if method != "GET" and any(fault.needs_body for fault in step.faults):
                return always
            step.times -= 1
            if not step.times:
                self._script.popleft()
            return always + step.faults
