"""The file behind a link, read over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from jaas_archive.errors import SourceUnavailableError
from jaas_archive.links import AllowedOrigins

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 30
MAX_REDIRECTS = 3
_READ_BYTES = 1 << 20
_HEAD_BYTES = 1 << 12


@dataclass(slots=True)
class SourceFile:
    """An open download; `length` and `content_md5` (base64) are None where the source does not say.

    `head` is how the file begins; `read_into` gives it once more.
    """

    length: int | None
    etag: str
    content_type: str
    content_md5: str | None
    body: BaseHTTPResponse
    head: bytes = b""
    _given: int = 0

    def __post_init__(self) -> None:
        start = bytearray(_HEAD_BYTES)
        self.head = bytes(start[: self._fill(memoryview(start))])

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer as far as the file goes; less than its size means the end.

        Raises:
            SourceUnavailableError: the connection broke or stalled.
        """
        filled = min(len(self.head) - self._given, len(buffer))
        buffer[:filled] = self.head[self._given : self._given + filled]
        self._given += filled
        return filled + self._fill(buffer[filled:])

    def _fill(self, buffer: memoryview) -> int:
        filled = 0
        # The libraries' messages hold the URL, and the URL is a credential: only the error's name goes on.
        try:
            while filled < len(buffer):
                piece = self.body.read(min(_READ_BYTES, len(buffer) - filled))
                if not piece:
                    break
                buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
        except (HTTPError, OSError) as error:
            raise SourceUnavailableError(f"the source broke off: {type(error).__name__}") from None
        return filled


@dataclass(frozen=True, slots=True)
class Source:
    """Fetches links on allowed origins, following a few redirects under the same rule."""

    session: requests.Session
    origins: AllowedOrigins

    @contextmanager
    def open(self, link: str) -> Iterator[SourceFile]:
        """The file behind the link.

        Raises:
            LinkRefusedError: the link, or what it redirects to, is not allowed.
            SourceUnavailableError: no answer, or another one than 200.
        """
        with self._get(link) as response:
            length = response.headers.get("Content-Length", "")
            yield SourceFile(
                length=int(length) if length.isdigit() else None,
                etag=response.headers.get("ETag", "").strip('"'),
                content_type=response.headers.get("Content-Type", ""),
                content_md5=response.headers.get("Content-MD5"),
                body=response.raw,
            )

    @contextmanager
    def _get(self, link: str) -> Iterator[requests.Response]:
        for _ in range(MAX_REDIRECTS + 1):
            self.origins.check(link)
            with self._answer(link) as response:
                if response.is_redirect:
                    link = urljoin(link, response.headers["location"])
                    continue
                if response.status_code != HTTPStatus.OK:
                    raise SourceUnavailableError(f"the source answered {response.status_code}")
                yield response
                return
        raise SourceUnavailableError(f"the source redirected more than {MAX_REDIRECTS} times")

    def _answer(self, link: str) -> requests.Response:
        try:
            return self.session.get(
                link,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                headers={"Accept-Encoding": "identity"},
            )
        except requests.RequestException as error:
            raise SourceUnavailableError(f"the source did not answer: {type(error).__name__}") from None
