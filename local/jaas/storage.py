"""How Oracle's object storage answers a request to a pre-authenticated link, as values without a socket.

What is imitated: https://docs.oracle.com/iaas/Content/Object/Tasks/usingpreauthenticatedrequests.htm
"""

import base64
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import quote

MULTIPART_FROM_BYTES = 16 * 1024 * 1024
"""Larger objects were written in parts of this size, so they have no MD5 of their own."""
PROVEN_UP_TO_BYTES = 1024 * 1024 * 1024
"""Reading a larger object through would keep its first client waiting too long; it has no MD5 of any kind."""
_BLOCK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class OracleError:
    """An error as object storage words it."""

    status: HTTPStatus
    code: str
    message: str


NOT_AUTHENTICATED = OracleError(
    HTTPStatus.UNAUTHORIZED, "NotAuthenticated", "The required information to complete authentication was not provided."
)
BUCKET_NOT_FOUND = OracleError(
    HTTPStatus.NOT_FOUND,
    "BucketNotFound",
    "Either the bucket does not exist in the namespace or you are not authorized to access it",
)
OBJECT_NOT_FOUND = OracleError(HTTPStatus.NOT_FOUND, "ObjectNotFound", "The object was not found in the bucket")
IF_MATCH_FAILED = OracleError(
    HTTPStatus.PRECONDITION_FAILED, "IfMatchFailed", "The If-Match header does not match the object's ETag"
)
INVALID_RANGE = OracleError(
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange", "The range is not satisfiable for this object"
)


@dataclass(slots=True)
class StoredObject:
    """An object in a bucket: bytes in memory, or a file on disk that is never loaded."""

    name: str
    bucket: str
    source: Path | bytes
    content_type: str
    written_at: float
    expires_at: float
    etag: str = field(default_factory=lambda: str(uuid.uuid4()))
    when_expired: OracleError = NOT_AUTHENTICATED
    namespace: str = "axq4vnexample"
    _integrity: dict[str, str] | None = field(default=None, init=False)
    _reading: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def path(self, token: str) -> str:
        """The path of a link to it."""
        return f"/p/{token}/n/{self.namespace}/b/{self.bucket}/o/{quote(self.name)}"

    def replace(self, source: Path | bytes | None = None) -> None:
        """Write the object anew, with the same bytes or with others; its ETag changes either way."""
        self.source = self.source if source is None else source
        self.etag = str(uuid.uuid4())
        self._integrity = None

    def integrity(self) -> dict[str, str]:
        """The header that proves the content, if there is one; the object is read through once."""
        with self._reading:
            if self._integrity is None:
                self._integrity = self._read_integrity() if self.size <= PROVEN_UP_TO_BYTES else {}
            return self._integrity

    def _read_integrity(self) -> dict[str, str]:
        parts = []
        for start in range(0, self.size, MULTIPART_FROM_BYTES) or [0]:
            part = hashlib.md5(usedforsecurity=False)
            for block in Body(self.source, start, min(MULTIPART_FROM_BYTES, self.size - start)).blocks():
                part.update(block)
            parts.append(part.digest())
        if len(parts) == 1:
            return {"Content-MD5": base64.b64encode(parts[0]).decode()}
        whole = hashlib.md5(b"".join(parts), usedforsecurity=False).digest()
        return {"opc-multipart-md5": f"{base64.b64encode(whole).decode()}-{len(parts)}"}


@dataclass(frozen=True, slots=True)
class Body:
    """A stretch of an object, or an error page."""

    source: Path | bytes
    start: int
    length: int

    def blocks(self, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
        """Its bytes in blocks of at most that size."""
        with self.open() as reader:
            while block := reader.read(block_bytes):
                yield block

    def open(self) -> "BodyReader":
        """A reader at its first byte."""
        if isinstance(self.source, bytes):
            return BodyReader(self.source[self.start : self.start + self.length], None, self.length)
        file = self.source.open("rb")
        file.seek(self.start)
        return BodyReader(b"", file, self.length)


@dataclass(slots=True)
class BodyReader:
    """Reads a body from the front."""

    _memory: bytes
    _file: BinaryIO | None
    left: int
    _offset: int = 0

    def read(self, count: int) -> bytes:
        """Up to that many bytes, none at the end."""
        count = min(count, self.left)
        data = self._file.read(count) if self._file else self._memory[self._offset : self._offset + count]
        self._offset += len(data)
        self.left -= len(data)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()


@dataclass(slots=True)
class Request:
    """What a client asked of a link."""

    method: str
    range: str | None
    if_match: str | None
    stored: StoredObject


@dataclass(slots=True)
class Answer:
    """What goes back; the fields below the body say how it goes over the wire, and are only set by faults.

    `drop`: the connection ends before a single byte. `reset_after_bytes`: it is reset in the middle of the body.
    `end_after_bytes`: it is closed in good order there. `stall`: after so many bytes nothing comes for so many seconds.
    """

    status: HTTPStatus
    headers: dict[str, str]
    body: Body
    drop: bool = False
    reset_after_bytes: int | None = None
    end_after_bytes: int | None = None
    stall: tuple[int, float] | None = None
    bytes_per_second: int | None = None
    flip_byte: int | None = None


def respond(request: Request, *, now: float) -> Answer:
    """The honest answer to a request."""
    stored = request.stored
    if now >= stored.expires_at:
        return refuse(stored.when_expired)
    if request.if_match not in (None, "*", stored.etag, f'"{stored.etag}"'):
        return refuse(IF_MATCH_FAILED)
    size = stored.size
    headers = {
        "Content-Type": stored.content_type,
        "Accept-Ranges": "bytes",
        "ETag": stored.etag,
        "Last-Modified": formatdate(stored.written_at, usegmt=True),
    }
    stretch = parse_range(request.range, size)
    if stretch is None:
        headers |= {"Content-Length": str(size), **stored.integrity()}
        return Answer(HTTPStatus.OK, headers, Body(stored.source, 0, size))
    start, stop = stretch
    if start >= stop:
        unsatisfiable = refuse(INVALID_RANGE)
        unsatisfiable.headers["Content-Range"] = f"bytes */{size}"
        return unsatisfiable
    # Content-MD5 would have to be that of the part which is sent.
    headers |= {name: value for name, value in stored.integrity().items() if name != "Content-MD5"}
    headers |= {"Content-Length": str(stop - start), "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, Body(stored.source, start, stop - start))


def refuse(error: OracleError) -> Answer:
    """An error with the JSON that object storage gives."""
    return page(error.status, "application/json", json.dumps({"code": error.code, "message": error.message}))


def page(status: HTTPStatus, content_type: str, text: str) -> Answer:
    """An answer that is a text and not an object."""
    body = text.encode()
    return Answer(status, {"Content-Type": content_type, "Content-Length": str(len(body))}, Body(body, 0, len(body)))


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the byte after the last one; None if the header asks for nothing that a range can be.

    A range outside of the object is empty.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if not match or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    stop = min(int(last) + 1, size) if last else size
    return None if last and int(last) < int(first) else (int(first), stop)
