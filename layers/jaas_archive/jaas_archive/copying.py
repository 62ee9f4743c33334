"""Copies an open download into the archive in constant memory, and proves that it is whole."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from jaas_archive.archive import MAX_PARTS, Archive
from jaas_archive.errors import SourceUnavailableError
from jaas_archive.source import SourceFile

_MIB = 1 << 20
SMALLEST_PART_BYTES = 16 * _MIB
"""Two buffers of this size are all the memory that a file of up to 156 GiB takes."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What now lies in the archive; `checksum` is the base64 CRC32 of the whole."""

    size: int
    checksum: str


def part_bytes(length: int | None) -> int:
    """The part size for a file of that length: at most 10,000 parts, whole MiB."""
    needed = -(-(length or 0) // MAX_PARTS)
    return max(SMALLEST_PART_BYTES, -(-needed // _MIB) * _MIB)


def copy(source: SourceFile, archive: Archive, key: str, *, content_type: str, metadata: Mapping[str, str]) -> Copied:
    """Copy the download to the key; nothing becomes visible there unless all of it arrived.

    Raises:
        SourceUnavailableError: the source broke off, or sent something else than it announced.
        KeyTakenError: another object has the key.
        AwsUnavailableError: S3 failed.
    """
    buffer = memoryview(bytearray(part_bytes(source.length)))
    md5 = hashlib.md5(usedforsecurity=False)

    def next_part() -> bytes:
        part = bytes(buffer[: source.read_into(buffer)])
        if source.content_md5:
            md5.update(part)
        return part

    part = next_part()
    if len(part) < len(buffer):
        _check(source, len(part), md5.digest())
        return Copied(len(part), archive.put_new(key, part, content_type=content_type, metadata=metadata))
    upload = archive.start(key, content_type=content_type, metadata=metadata)
    try:
        while part:
            archive.add_part(upload, part)
            part = next_part()
        _check(source, upload.size, md5.digest())
        return Copied(upload.size, archive.complete(upload))
    except BaseException:
        archive.abort(upload)
        raise


def _check(source: SourceFile, size: int, md5: bytes) -> None:
    if source.length is not None and size != source.length:
        raise SourceUnavailableError(f"the source announced {source.length} bytes and sent {size}")
    if source.content_md5 and base64.b64encode(md5).decode() != source.content_md5:
        raise SourceUnavailableError("the file does not have the MD5 that the source announced")
