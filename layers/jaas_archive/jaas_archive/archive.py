"""The archive bucket: files come in whole, verified and once, or not at all."""

import base64
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from jaas_archive.aws import error_code, translated
from jaas_archive.errors import AwsUnavailableError
from jaas_archive.events import Event
from jaas_archive.names import compact_time, safe_name

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

MAX_PARTS = 10_000
_MEETING_WRITE_ATTEMPTS = 5


class KeyTakenError(Exception):
    """Another object has this key already; it is never replaced."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the archive."""

    key: str
    size: int
    checksum: str
    content_type: str
    metadata: Mapping[str, str]
    etag: str


@dataclass(slots=True)
class Upload:
    """A multipart upload under way: parts go in by order, `crc32` covers all of them."""

    id: str
    key: str
    crc32: int = 0
    size: int = 0
    parts: "list[CompletedPartTypeDef]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Archive:
    """Objects of the archive bucket."""

    client: "S3Client"
    bucket: str

    def put_new(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> str:
        """Store a small file in one request, checked against its CRC32; returns the checksum.

        Raises:
            KeyTakenError: the key is taken.
        """
        checksum = _crc32_text(zlib.crc32(body))
        with translated("put an object"), _key_taken():
            self.client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                Metadata=_ascii(metadata),
                ChecksumCRC32=checksum,
                IfNoneMatch="*",
            )
        return checksum

    def start(self, key: str, *, content_type: str, metadata: Mapping[str, str]) -> Upload:
        """Begin a multipart upload; nothing is visible until it is completed."""
        with translated("start an upload"):
            upload = self.client.create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ContentType=content_type,
                Metadata=_ascii(metadata),
                ChecksumAlgorithm="CRC32",
                ChecksumType="FULL_OBJECT",
            )
        return Upload(upload["UploadId"], key)

    def add_part(self, upload: Upload, body: bytes) -> None:
        """Upload the next part; S3 checks its CRC32."""
        number = len(upload.parts) + 1
        checksum = _crc32_text(zlib.crc32(body))
        with translated("upload a part"):
            part = self.client.upload_part(
                Bucket=self.bucket,
                Key=upload.key,
                UploadId=upload.id,
                PartNumber=number,
                Body=body,
                ChecksumCRC32=checksum,
            )
        upload.parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": checksum})
        upload.crc32 = zlib.crc32(body, upload.crc32)
        upload.size += len(body)

    def complete(self, upload: Upload) -> str:
        """Make the object visible if its size and whole checksum are right; returns the checksum.

        Raises:
            KeyTakenError: the key is taken.
        """
        checksum = _crc32_text(upload.crc32)
        with translated("complete an upload"), _key_taken():
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=upload.key,
                UploadId=upload.id,
                MultipartUpload={"Parts": upload.parts},
                ChecksumCRC32=checksum,
                ChecksumType="FULL_OBJECT",
                MpuObjectSize=upload.size,
                IfNoneMatch="*",
            )
        return checksum

    def abort(self, upload: Upload) -> None:
        """Forget an upload and its parts."""
        with translated("abort an upload"):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=upload.key, UploadId=upload.id)

    def find(self, key: str) -> StoredObject | None:
        """The object under that key, if there is one."""
        try:
            head = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            # Without leave to list the bucket, S3 says 403 for what is not there.
            if error_code(error) in ("403", "404"):
                return None
            raise AwsUnavailableError(f"could not look for an object: {error_code(error)}") from error
        metadata = {name: unquote(text) for name, text in head["Metadata"].items()}
        return StoredObject(
            key=key,
            size=head["ContentLength"],
            checksum=head.get("ChecksumCRC32", ""),
            content_type=head["ContentType"],
            metadata=metadata,
            etag=head["ETag"],
        )

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys of all objects, or of those that begin so; only the admin's commands may list the bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated("list the bucket"):
            for page in pages:
                for item in page.get("Contents", []):
                    yield item["Key"]

    def read(self, key: str) -> bytes:
        """A small object's bytes."""
        with translated("read an object"):
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def put_event(self, folder: str, event: Event, content: str) -> str:
        """Store an event that is too large for the table; returns its key."""
        key = f"{folder}/events/{compact_time(event.timestamp_ms)}_{safe_name(event.idempotency_key)}.json"
        with translated("put an event"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=content.encode(), ContentType="application/json")
        return key

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
                with translated("put a document"), _key_taken():
                    self.client.put_object(
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


@contextmanager
def _key_taken() -> Iterator[None]:
    """Raise KeyTakenError for S3's answer to a condition that does not hold."""
    try:
        yield
    except ClientError as error:
        if error_code(error) == "PreconditionFailed":
            raise KeyTakenError from error
        raise


def _crc32_text(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def _ascii(metadata: Mapping[str, str]) -> dict[str, str]:
    """S3 takes only ASCII here: percent-encoded, as in a URL."""
    return {name: quote(text, safe=" /:.,+@=") for name, text in metadata.items() if text}
