"""The data path into the bucket: bodies of objects and parts, sent piece by piece as they come.

boto3 would read each body twice more, to sign and to check it. Here the signature leaves the body out, as S3 allows
over TLS, and a CRC32C behind the body, taken as it passes by, lets S3 prove it.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.connections import Connection, ConnectionBrokenError, Stop, Transport, broken, origin_and_target
from jaas_archive.crc import as_text
from jaas_archive.errors import AwsUnavailableError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

ATTEMPTS = 8
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0
_TRAILER = "x-amz-checksum-crc32c"
_LONGEST_ERROR_BYTES = 1 << 16
_PASSING = frozenset(
    {"BadDigest", "RequestTimeout", "IncompleteBody", "OperationAborted", "ConditionalRequestConflict"}
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A multipart upload under way, and the version of the file that it holds parts of."""

    key: str
    upload_id: str
    part_bytes: int
    length: int
    etag: str


class KeyTakenError(Exception):
    """Another object has this key already; it is never replaced."""

    def __init__(self, key: str) -> None:
        super().__init__("another object has the key")
        self.key = key


class UploadGoneError(Exception):
    """The multipart upload of that key does not exist any more: it was completed or given up."""

    def __init__(self, key: str) -> None:
        super().__init__("the upload does not exist any more")
        self.key = key


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where a bucket answers, and how requests to it are signed; `url` has no slash at the end."""

    url: str
    region: str
    credentials: "Callable[[], ReadOnlyCredentials]"

    def signed(
        self, method: str, key: str, query: Mapping[str, str | int], headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """URL and headers of a request whose body is not signed and ends in a checksum."""
        url = f"{self.url}/{quote(key, safe='/~')}"
        request = AWSRequest(method, f"{url}?{urlencode(query)}" if query else url, headers=dict(headers))
        # What botocore notes for such bodies; the signer then leaves the body out.
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        S3SigV4Auth(self.credentials(), "s3", self.region).add_auth(request)
        return str(request.url), dict(request.headers.items())


@dataclass(slots=True)
class Body:
    """What is to be stored: `pieces` gives it from its start, as often as it is asked for; `crc32c` is of what it gave.

    A piece is sent before the next is asked for, so that all pieces may lie in one buffer.
    """

    size: int
    pieces: Callable[[], Iterable[memoryview]]
    crc32c: int = 0

    def chunk(self) -> Iterator[memoryview | bytes]:
        """The body as one chunk of `aws-chunked`, with its checksum behind it.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
        """
        self.crc32c = 0
        # A chunk of no bytes is the end of all chunks: it may not come twice.
        if self.size:
            yield b"%x\r\n" % self.size
        for piece in self.pieces():
            # The piece was just read: while it is in the processor's cache, this costs next to nothing.
            self.crc32c = crc32c(piece, self.crc32c)
            yield piece
        yield self._end(as_text(self.crc32c))

    @property
    def chunk_size(self) -> int:
        """How long `chunk` is, in bytes."""
        start = len(b"%x\r\n" % self.size) if self.size else 0
        return start + self.size + len(self._end(as_text(0)))

    def _end(self, checksum: str) -> bytes:
        return f"{'\r\n' if self.size else ''}0\r\n{_TRAILER}:{checksum}\r\n\r\n".encode()


@dataclass(slots=True)
class Uploader:
    """Sends bodies on one connection, in one thread; passing failures are tried again."""

    address: BucketAddress
    transport: Transport
    stop: Stop
    _connection: Connection | None = None

    def put_object(self, key: str, body: Body, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """Store a whole object, unless the key is taken.

        Raises:
            KeyTakenError: it is.
            AwsUnavailableError: S3 failed, again and again.
        """
        headers = {"content-type": content_type, "if-none-match": "*"}
        headers |= {f"x-amz-meta-{name}": text for name, text in metadata.items()}
        self._put(key, {}, body, headers)

    def put_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        """Store a part of a multipart upload; returns its ETag.

        Raises:
            UploadGoneError: there is no such upload.
            AwsUnavailableError: S3 failed, again and again.
        """
        return self._put(key, {"partNumber": number, "uploadId": upload_id}, body, {}).headers.get("ETag", "")

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()

    def _put(self, key: str, query: Mapping[str, str | int], body: Body, headers: Mapping[str, str]) -> HTTPResponse:
        headers = {
            **headers,
            "content-encoding": "aws-chunked",
            "x-amz-trailer": _TRAILER,
            # Says nothing that the trailer does not, but a bucket with Object Lock insists on it.
            "x-amz-sdk-checksum-algorithm": "CRC32C",
            "x-amz-decoded-content-length": str(body.size),
        }
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.stop.wait(backoff_seconds(attempt))
            url, signed_headers = self.address.signed("PUT", key, query, headers)
            origin, target = origin_and_target(url)
            # Any address: that of a VPC endpoint is private. The address is ours and of no link.
            self._connection = self._connection or Connection(origin, self.transport, self.stop, lambda _: True)
            try:
                response = self._connection.send("PUT", target, signed_headers, body.chunk(), body.chunk_size)
                with broken():
                    text = response.read(_LONGEST_ERROR_BYTES)
            except ConnectionBrokenError as error:
                self._connection.close()
                reason = str(error)
                continue
            self._connection.finish(response, left=response.length)
            if response.status == HTTPStatus.OK:
                return response
            reason = _code(text) or str(response.status)
            if reason == "NoSuchUpload":
                raise UploadGoneError(key)
            if response.status == HTTPStatus.PRECONDITION_FAILED:
                raise KeyTakenError(key)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR and reason not in _PASSING:
                break
        raise AwsUnavailableError(f"could not store in S3: {reason}")


def backoff_seconds(attempt: int, *, chance: Callable[[], float] = random.random) -> float:
    """How long to wait before the n-th further attempt: up to twice as long each time, spread by chance."""
    return min(_FIRST_WAIT_SECONDS * (1 << attempt), _LONGEST_WAIT_SECONDS) * (0.5 + chance() / 2)


def _code(text: bytes) -> str:
    """S3's code for an error, such as `SlowDown`."""
    try:
        return ET.fromstring(text).findtext("Code", "")  # noqa: S314 - S3 wrote it
    except ET.ParseError:
        return ""
