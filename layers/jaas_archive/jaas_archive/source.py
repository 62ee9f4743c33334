"""The file behind a link: what the source says of it, and its bytes from any position on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from urllib.parse import urljoin

from jaas_archive.connections import AddressRefusedError, Body, Connection, ConnectionBrokenError, Stop, Transport
from jaas_archive.errors import LinkDeadError, LinkRefusedError, SourceUnavailableError
from jaas_archive.links import AllowedOrigins, Place

MAX_REDIRECTS = 3
_MAX_RETRY_AFTER_SECONDS = 30
_DEAD = frozenset({401, 403, 404, 410})
_REDIRECTS = {301, 302, 303, 307, 308}


class RangesIgnoredError(Exception):
    """The source promised ranges, and sends the whole file all the same."""


class SourceChangedError(Exception):
    """The object behind the link is not the one that the copy began with."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What the source says of a file.

    `length` is None where it does not say; `ranges` is whether it promises the file from any position on, and proof by
    `etag` that it is the same file each time; `md5` and `crc32c` are of the whole file, in base64, or empty; `encoding`
    is empty unless the file lies there packed, and then comes so.
    """

    length: int | None
    ranges: bool
    etag: str
    content_type: str
    md5: str
    crc32c: str
    encoding: str


@dataclass(slots=True)
class Stream:
    """An open answer of the source."""

    info: FileInfo
    _connection: Connection
    _response: HTTPResponse
    _body: Body

    def read_into(self, view: memoryview) -> int:
        """Fill the buffer as far as the answer goes; less than its size means the end.

        Raises:
            SourceUnavailableError: the connection broke, and `len(view)` bytes did not come; `done` says how many did.
        """
        filled = 0
        try:
            while filled < len(view):
                count = self._body.read_into(view[filled:])
                if not count:
                    break
                filled += count
        except ConnectionBrokenError as error:
            raise BrokenOffError(f"the source broke off: {error}", done=filled) from None
        return filled

    def close(self) -> None:
        """Done with it; the connection is kept if the answer was read to its end."""
        self._connection.finish(self._response, left=self._body.left)


class BrokenOffError(SourceUnavailableError):
    """The answer broke off after `done` bytes of what was asked for."""

    def __init__(self, reason: str, *, done: int) -> None:
        super().__init__(reason)
        self.done = done


@dataclass(slots=True)
class SourceReader:
    """Reads one link, on one connection, in one thread."""

    origins: AllowedOrigins
    transport: Transport
    stop: Stop
    _connection: Connection | None = None

    def open(self, link: str, span: range | None = None, *, etag: str = "") -> Stream:
        """The file, or the bytes of `span`.

        Raises:
            LinkRefusedError: the link, or what it redirects to, is not allowed.
            SourceChangedError: the file no longer has that `etag`.
            RangesIgnoredError: the source sends the whole file instead of the span.
            SourceUnavailableError: no answer, or none with the bytes that were asked for.
        """
        # The file as it lies there: nothing is ever unpacked here, so that no small answer becomes a large one.
        headers = {"Accept-Encoding": "identity"}
        if span:
            headers["Range"] = f"bytes={span.start}-{span.stop - 1}"
        if etag:
            headers["If-Match"] = etag
        for _ in range(MAX_REDIRECTS + 1):
            response, connection = self._get(self.origins.check(link), headers)
            if response.status in _REDIRECTS:
                connection.close()
                link = _next_link(link, response.headers.get("Location", ""))
                continue
            try:
                info = _info(response, span)
            except BaseException:
                connection.close()
                raise
            if etag and info.etag != etag:
                connection.close()
                raise SourceChangedError
            return Stream(info, connection, response, connection.body(response))
        raise SourceUnavailableError(f"the source redirected more than {MAX_REDIRECTS} times")

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()

    def _get(self, place: Place, headers: Mapping[str, str]) -> tuple[HTTPResponse, Connection]:
        if self._connection is None or self._connection.origin != place.origin:
            self.close()
            self._connection = Connection(place.origin, self.transport, self.stop, place.permits)
        try:
            return self._connection.send("GET", place.target, headers), self._connection
        except ConnectionBrokenError as error:
            raise SourceUnavailableError(f"the source did not answer: {error}") from None
        except AddressRefusedError:
            raise LinkRefusedError(f"no address of {place.origin} is on the public internet") from None


def _next_link(link: str, location: str) -> str:
    try:
        return urljoin(link, location)
    except ValueError:
        raise LinkRefusedError("the source redirected to what is no URL") from None


def _info(response: HTTPResponse, span: range | None) -> FileInfo:
    """Read the head of an answer.

    Raises:
        SourceChangedError: the condition on the ETag failed.
        RangesIgnoredError: it is the whole file and not the span.
        SourceUnavailableError: it is no answer with the bytes that were asked for.
    """
    match response.status:
        case HTTPStatus.PARTIAL_CONTENT if span:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {span.start}-"):
                raise SourceUnavailableError("the source sent another range than it was asked for")
        case HTTPStatus.OK:
            if span:
                raise RangesIgnoredError
        case HTTPStatus.PRECONDITION_FAILED:
            raise SourceChangedError
        case status if status in _DEAD:
            raise LinkDeadError(f"the source answered {status}", pause_seconds=_retry_after(response))
        case status:
            raise SourceUnavailableError(f"the source answered {status}", pause_seconds=_retry_after(response))
    etag = response.headers.get("ETag", "")
    promised = response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
    return FileInfo(
        length=response.length,
        # A weak ETag promises a similar file, not the same bytes.
        ranges=promised and bool(response.length and etag) and not etag.startswith("W/"),
        etag=etag,
        content_type=response.headers.get("Content-Type", ""),
        md5=response.headers.get("Content-MD5", ""),
        crc32c=response.headers.get("opc-content-crc32c", ""),
        encoding=response.headers.get("Content-Encoding", ""),
    )


def _retry_after(response: HTTPResponse) -> int | None:
    text = response.headers.get("Retry-After", "")
    return min(int(text), _MAX_RETRY_AFTER_SECONDS) if re.fullmatch(r"[0-9]{1,9}", text) else None
