"""The archive bucket: files come in whole, verified and once, or not at all."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from botocore.exceptions import ClientError
from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.aws import error_code, translated
from jaas_archive.crc import as_text, combined, from_text
from jaas_archive.errors import AwsUnavailableError
from jaas_archive.events import Event
from jaas_archive.names import compact_time, safe_name
from jaas_archive.uploads import KeyTakenError, UploadGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client

_MEETING_WRITE_ATTEMPTS = 5


_DAY_MS = 86_400_000
_LONGEST_METADATA = 256
_METADATA_SAFE = " /:.,+@="
_CUT_ESCAPE = re.compile(r"%.?$")


class ObjectGoneError(Exception):
    """An object that should be there is not: somebody deleted it, or its retention ended."""


class PartLostError(Exception):
    """S3 does not have all parts that the upload is to be completed from."""


def is_let_go(archived_at_ms: int, now_ms: int, *, retention_days: int) -> bool:
    """Whether the bucket may have deleted an object that was archived then; with 0 days it never does."""
    return 0 < retention_days * _DAY_MS <= now_ms - archived_at_ms


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the archive; `checksum` is the base64 CRC32C of the whole."""

    key: str
    size: int
    checksum: str
    content_type: str
    metadata: Mapping[str, str]
    etag: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload that S3 has."""

    number: int
    size: int
    crc32c: int
    etag: str


@dataclass(frozen=True, slots=True)
class Archive:
    """Objects of the archive bucket; `client` makes the client when it is first needed, and keeps it."""

    client: "Callable[[], S3Client]"
    bucket: str

    def start(self, key: str, *, content_type: str, metadata: Mapping[str, str]) -> str:
        """Begin a multipart upload, of which nothing is visible until it is completed; returns its id.

        `metadata` is ASCII, see `ascii_metadata`.
        """
        with translated("start an upload"):
            upload = self.client().create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ContentType=content_type,
                Metadata=metadata,
                ChecksumAlgorithm="CRC32C",
                ChecksumType="FULL_OBJECT",
            )
        return upload["UploadId"]

    def parts(self, key: str, upload_id: str) -> list[Part]:
        """The parts that S3 has.

        Raises:
            UploadGoneError: there is no such upload.
        """
        pages = self.client().get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload_id)
        with translated("list the parts of an upload"), _upload_gone(key):
            return [
                Part(part["PartNumber"], part["Size"], from_text(part["ChecksumCRC32C"]), part["ETag"])
                for page in pages
                for part in page.get("Parts", [])
                if "ChecksumCRC32C" in part
            ]

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> str:
        """Make the object visible if size and checksum of the whole are right; returns the checksum.

        Raises:
            KeyTakenError: the key is taken.
            PartLostError: S3 does not have all of the parts.
            UploadGoneError: there is no such upload; it may have been completed before.
        """
        checksum = as_text(combined((part.crc32c, part.size) for part in parts))
        with translated("complete an upload"), _upload_gone(key), _key_taken(key), _part_lost():
            self.client().complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={
                    "Parts": [
                        {"PartNumber": part.number, "ETag": part.etag, "ChecksumCRC32C": as_text(part.crc32c)}
                        for part in parts
                    ]
                },
                ChecksumCRC32C=checksum,
                ChecksumType="FULL_OBJECT",
                MpuObjectSize=sum(part.size for part in parts),
                IfNoneMatch="*",
            )
        return checksum

    def abort(self, key: str, upload_id: str) -> None:
        """Forget an upload and its parts."""
        with translated("abort an upload"), suppress(UploadGoneError), _upload_gone(key):
            self.client().abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def abort_all(self, key: str) -> None:
        """Forget all uploads to a key: what a function left that died before it could note its upload."""
        with translated("list uploads"):
            uploads = self.client().list_multipart_uploads(Bucket=self.bucket, Prefix=key).get("Uploads", [])
        for upload in uploads:
            if upload["Key"] == key:
                self.abort(key, upload["UploadId"])

    def find(self, key: str) -> StoredObject | None:
        """The object under that key, if there is one."""
        try:
            head = self.client().head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            # Without leave to list the bucket, S3 says 403 for what is not there.
            if error_code(error) in ("403", "404"):
                return None
            raise AwsUnavailableError(f"could not look for an object: {error_code(error)}") from error
        metadata = {name: unquote(text) for name, text in head["Metadata"].items()}
        return StoredObject(
            key=key,
            size=head["ContentLength"],
            checksum=head.get("ChecksumCRC32C", ""),
            content_type=head["ContentType"],
            metadata=metadata,
            etag=head["ETag"],
        )

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys of all objects, or of those that begin so; only the admin's commands may list the bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated("list the bucket"):
            for page in pages:
                for item in page.get("Contents", []):
                    yield item["Key"]

    def read(self, key: str) -> bytes:
        """A small object's bytes.

        Raises:
            ObjectGoneError: there is no such object.
        """
        with translated("read an object"), _raising(ObjectGoneError(), "NoSuchKey"):
            return self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def put_event(self, folder: str, event: Event, content: str) -> str:
        """Store an event that is too large for the table, unless it is there; returns its key.

        It may not be as it came any more: what an admin had erased does not come back with a second delivery.
        """
        key = f"{folder}/events/{compact_time(event.timestamp_ms)}_{safe_name(event.idempotency_key)}.json"
        with translated("put an event"), suppress(KeyTakenError), _key_taken(key):
            self.client().put_object(
                Bucket=self.bucket, Key=key, Body=content.encode(), ContentType="application/json", IfNoneMatch="*"
            )
        return key

    def put_new(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> StoredObject:
        """Store a small file that is at hand.

        Raises:
            KeyTakenError: the key is taken.
        """
        checksum = as_text(crc32c(body))
        with translated("put a file"), _key_taken(key):
            self.client().put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                Metadata=metadata,
                ChecksumCRC32C=checksum,
                IfNoneMatch="*",
            )
        return StoredObject(key, len(body), checksum, content_type, metadata)

    def put_versioned(self, key: str, body: bytes, *, content_type: str, version: int) -> None:
        """Write a document unless a newer version of it is there.

        Raises:
            AwsUnavailableError: S3 failed, or others wrote at the same moment, again and again.
        """
        for _ in range(_MEETING_WRITE_ATTEMPTS):
            existing = self.find(key)
            if existing and int(existing.metadata.get("version", "0")) > version:
                return
            condition: Any = {"IfMatch": existing.etag} if existing else {"IfNoneMatch": "*"}
            try:
                with translated("put a document"), _key_taken(key):
                    self.client().put_object(
                        Bucket=self.bucket,
                        Key=key,
                        Body=body,
                        ContentType=content_type,
                        Metadata={"version": str(version)},
                        **condition,
                    )
            except KeyTakenError:
                continue
            return
        raise AwsUnavailableError("could not put a document: it kept changing")


def bucket_url(endpoint: str, bucket: str) -> str:
    """Where a bucket answers: below the host name on AWS, in the path of any other S3 such as a local one."""
    parts = urlsplit(endpoint)
    if parts.netloc.startswith("s3."):
        return f"{parts.scheme}://{bucket}.{parts.netloc}"
    return f"{parts.scheme}://{parts.netloc}/{bucket}"


def ascii_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """S3 takes only ASCII here, and 2 KB in all: percent-encoded as in a URL, and cut."""
    encoded = {name: quote(text, safe=_METADATA_SAFE) for name, text in metadata.items() if text}
    return {name: _CUT_ESCAPE.sub("", text[:_LONGEST_METADATA]) for name, text in encoded.items()}


def object_identity(session_id: str, file: str) -> str:
    """What an object's metadata say of whose it is: session and sort key, or a hash where S3 would not keep them."""
    identity = f"{session_id}/{file}"
    if len(quote(identity, safe=_METADATA_SAFE)) <= _LONGEST_METADATA:
        return identity
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()


@contextmanager
def _raising(raised: Exception, *codes: str) -> Iterator[None]:
    """Raise that for S3's answers with these codes."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in codes:
            raise raised from error
        raise


def _key_taken(key: str) -> AbstractContextManager[None]:
    return _raising(KeyTakenError(key), "PreconditionFailed")


def _upload_gone(key: str) -> AbstractContextManager[None]:
    return _raising(UploadGoneError(key), "NoSuchUpload")


def _part_lost() -> AbstractContextManager[None]:
    return _raising(PartLostError(), "InvalidPart", "InvalidPartOrder", "BadDigest")
