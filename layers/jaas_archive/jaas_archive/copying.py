"""The copy engine: a file from its source into the archive, in parallel parts, from any breaking-off point on.

Each of a few workers, the more the slower the source, lets a part flow from the source to S3 through one small buffer,
under its CRC32C, and takes the next. The multipart upload is the checkpoint: whoever comes later lists its parts and
copies those that are missing. So memory is a few buffers, whatever the size of the file, and no end of an invocation,
by time-out, crash or deploy, costs more than the parts that were under way.
"""

import base64
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.archive import Archive, Part, PartLostError
from jaas_archive.connections import Stop, StoppedError, Transport
from jaas_archive.crc import as_text, combined
from jaas_archive.errors import (
    LinkRefusedError,
    MismatchError,
    NotAFileError,
    SourceUnavailableError,
    TryLaterError,
)
from jaas_archive.links import AllowedOrigins
from jaas_archive.mp4 import Excerpt, seekable_file
from jaas_archive.parts import LARGEST_FILE_BYTES, MIB, SMALLEST_PART_BYTES, Parts, part_bytes
from jaas_archive.ranges import RangeReader
from jaas_archive.source import FileInfo, RangesIgnoredError, SourceChangedError, SourceReader, Stream
from jaas_archive.uploads import Body, BucketAddress, Checkpoint, KeyTakenError, Uploader
from jaas_archive.workers import run_workers

HEAD_BYTES = 1 << 12
BUFFER_BYTES = MIB
"""Large enough that threads seldom take turns, small enough to stay in the processor's cache."""
SINGLE_PUT_BYTES = 16 * MIB
"""Up to here a file is one buffer, one request to the source and one to S3, unless that did not work before."""
WORKERS = 8
_RESTARTS = 3
_CHANGES = 2
"""A file that changed so often while it was copied in parts is copied in one go."""


class HandOverError(TryLaterError):
    """The invocation's time is over; the next one goes on with what is there."""

    def __init__(self) -> None:
        super().__init__("handed over to the next invocation", pause_seconds=0)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a copy goes, and what S3 keeps beside it."""

    key: str
    content_type: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Copied:
    """What now lies in the archive; `checksum` is the base64 CRC32C of the whole, `seconds` what `inspect` found."""

    destination: Destination
    size: int
    checksum: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What to copy.

    `destination` decides from what the source says and how the file begins; it may refuse by raising. `checkpoint` is
    where an earlier invocation stopped; `save` is told of each new upload before its first part, and of its end. A
    `repeated` job may find uploads of its key that nobody noted. `inspect` looks into the file before it is stored and
    says how many seconds it plays; `announced_bytes` is how long it has to be, if that is known; `verify=False` takes
    the file however it is; `ranges=False` takes it in one go.
    """

    link: str
    destination: Callable[[FileInfo, bytes], Destination]
    checkpoint: Checkpoint | None = None
    save: Callable[[Checkpoint | None], None] = lambda _: None
    repeated: bool = False
    inspect: Callable[[BinaryIO, int], float | None] = lambda _file, _length: None
    announced_bytes: int | None = None
    verify: bool = True
    ranges: bool = True

    def check_size(self, size: int | None) -> None:
        """Raise MismatchError where a file of that size cannot be the one that was announced."""
        if self.verify and None not in (size, self.announced_bytes) and size != self.announced_bytes:
            raise MismatchError(f"the event announced {self.announced_bytes} bytes, the source has {size}")


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies files; `transport` is for source and bucket alike."""

    archive: Archive
    address: BucketAddress
    origins: AllowedOrigins
    transport: Transport
    workers: int = WORKERS

    def copy(self, job: Job, *, stop: Stop | None = None) -> Copied:
        """Copy a file; nothing is visible under its key before all of it is there and checked.

        `stop` says when to hand over.

        Raises:
            HandOverError: the time is over; what was copied stays.
            SourceUnavailableError: the source does not give the file now, or gave another one than it announced.
            LinkRefusedError: the link may not be fetched, or leads to what is too large.
            KeyTakenError: another object has the key.
            UploadGoneError: the upload was completed, or given up, by somebody else.
            AwsUnavailableError: S3 failed, again and again.
        """
        changes = 0
        while True:
            try:
                return self._attempt(job, stop or Stop())
            except StoppedError:
                raise HandOverError from None
            except SourceChangedError:
                # However often the file changes, or only its ETag does: one answer is one version of it.
                changes += 1
                job = replace(job, checkpoint=None, repeated=True, ranges=changes < _CHANGES)
            except RangesIgnoredError:
                job = replace(job, checkpoint=None, repeated=True, ranges=False)

    def read(self, link: str, *, max_bytes: int, stop: Stop) -> bytes:
        """The bytes of a small file, which is stored nowhere.

        Raises:
            HandOverError: the time is over.
            NotAFileError: it is larger than that.
            SourceUnavailableError: the source does not give it now, or not as it announced it.
            LinkRefusedError: the link may not be fetched.
        """
        reader = SourceReader(self.origins, self.transport, stop)
        buffer = memoryview(bytearray(max_bytes + 1))
        try:
            stream = reader.open(link)
            content = buffer[: stream.read_into(buffer)]
        except StoppedError:
            raise HandOverError from None
        finally:
            reader.close()
        if len(content) > max_bytes:
            raise NotAFileError(f"the source sent more than {max_bytes} bytes")
        try:
            _check(stream.info, len(content), crc32c(content), hashlib.md5(content, usedforsecurity=False).digest())
        except MismatchError as error:
            # The source writes it anew for each request: however often it came out wrong, the next may be right.
            raise SourceUnavailableError(str(error)) from None
        return bytes(content)

    def _attempt(self, job: Job, stop: Stop) -> Copied:
        reader = SourceReader(self.origins, self.transport, stop)
        try:
            stream = reader.open(job.link)
            info, head = stream.info, bytearray(HEAD_BYTES)
            if (info.length or 0) > LARGEST_FILE_BYTES:
                raise LinkRefusedError(f"the source announced {info.length} bytes, more than an object may have")
            del head[stream.read_into(memoryview(head)) :]
            destination = job.destination(info, bytes(head))
            job.check_size(info.length)
            if info.length is None or not (info.ranges and job.ranges):
                return self._copy_stream(job, destination, stream, head, stop)
            ranges = RangeReader(reader, job.link, info.etag, stop)
            # What did not come in one go gets a checkpoint: perhaps the source is too slow for more than a part of it.
            if info.length <= (SMALLEST_PART_BYTES if job.repeated else SINGLE_PUT_BYTES):
                body = memoryview(bytearray(info.length))
                body[: len(head)] = head
                ranges.go_on(stream, len(head))
                ranges.fill(body[len(head) :], start=len(head), until=info.length)
                return self._put(job, destination, info, body, stop)
            stream.close()
            seconds = self._inspected(job, info.length, ranges)
            reader.close()
            return replace(self._copy_parts(job, destination, info, info.length, stop), seconds=seconds)
        finally:
            reader.close()

    def _put(self, job: Job, destination: Destination, info: FileInfo, body: memoryview, stop: Stop) -> Copied:
        """Store a file that is one buffer."""
        self._clear(job, destination)
        job.check_size(len(body))
        crc = crc32c(body)
        seconds = None
        if job.verify:
            seconds = job.inspect(io.BytesIO(body), len(body))
            _check(info, len(body), crc, hashlib.md5(body, usedforsecurity=False).digest() if info.md5 else None)
        uploader = Uploader(self.address, self.transport, stop)
        try:
            uploader.put_object(
                destination.key,
                Body(len(body), lambda: [body]),
                content_type=destination.content_type,
                metadata=destination.metadata,
            )
        finally:
            uploader.close()
        return Copied(destination, len(body), as_text(crc), seconds)

    def _inspected(self, job: Job, length: int, ranges: RangeReader) -> float | None:
        """Look into a file at its source, a few stretches of it, before all of it is copied."""
        if not job.verify:
            return None
        return job.inspect(
            seekable_file(length, lambda view, start: ranges.fill(view, start=start, until=start + len(view))), length
        )

    def _copy_parts(self, job: Job, destination: Destination, info: FileInfo, length: int, stop: Stop) -> Copied:
        """Copy the parts that are missing, with all workers, until S3 has them all."""
        checkpoint = self._resume(job, destination, info) or self._begin(
            job, destination, info, part_bytes(length, ordered=bool(info.md5))
        )
        for _ in range(_RESTARTS):
            present = self.archive.parts(checkpoint.key, checkpoint.upload_id)
            parts = Parts(checkpoint, present, ordered=bool(info.md5) and not present)
            try:
                run_workers(
                    partial(self._copy_some, job.link, parts),
                    parts.useful_workers(self.workers),
                    stop,
                    progress=lambda parts=parts: parts.moved,  # type: ignore[misc]
                )
            except StoppedError:
                smaller = part_bytes(length, slow=True)
                if stop.is_over and not parts.whole and smaller < checkpoint.part_bytes:
                    # Too slow a source for such parts: the next invocation would not finish one either.
                    self._begin(replace(job, checkpoint=checkpoint), destination, info, smaller)
                raise
            try:
                checksum = self._complete(job, info, checkpoint, parts.all(), parts.md5)
                return Copied(destination, length, checksum)
            except PartLostError:
                continue
            except (KeyTakenError, MismatchError):
                self._forget(job, checkpoint)
                raise
        self._forget(job, checkpoint)
        raise SourceUnavailableError("S3 kept losing parts")

    def _resume(self, job: Job, destination: Destination, info: FileInfo) -> Checkpoint | None:
        """The earlier invocation's upload, if it is of the same file to the same key."""
        checkpoint = job.checkpoint
        wanted = (destination.key, info.etag, info.length)
        return checkpoint if checkpoint and (checkpoint.key, checkpoint.etag, checkpoint.length) == wanted else None

    def _begin(self, job: Job, destination: Destination, info: FileInfo, part_bytes: int) -> Checkpoint:
        self._clear(job, destination)
        upload_id = self.archive.start(
            destination.key, content_type=destination.content_type, metadata=destination.metadata
        )
        checkpoint = Checkpoint(destination.key, upload_id, part_bytes, info.length or 0, info.etag)
        job.save(checkpoint)
        return checkpoint

    def _clear(self, job: Job, destination: Destination) -> None:
        """Leave no upload behind that this copy does not go on with."""
        if job.checkpoint:
            self.archive.abort(job.checkpoint.key, job.checkpoint.upload_id)
        if job.repeated:
            self.archive.abort_all(destination.key)

    def _forget(self, job: Job, checkpoint: Checkpoint) -> None:
        self.archive.abort(checkpoint.key, checkpoint.upload_id)
        job.save(None)

    def _complete(
        self, job: Job, info: FileInfo, checkpoint: Checkpoint, parts: Sequence[Part], md5: bytes | None
    ) -> str:
        """Make the object of its parts, if they are the file that was announced; returns its checksum."""
        size = sum(part.size for part in parts)
        job.check_size(size)
        if job.verify:
            _check(info, size, combined((part.crc32c, part.size) for part in parts), md5)
        return self.archive.complete(checkpoint.key, checkpoint.upload_id, parts)

    def _copy_some(self, link: str, parts: Parts, stop: Stop) -> None:
        """One worker: copy one part after the other."""
        checkpoint = parts.checkpoint
        reader = SourceReader(self.origins, self.transport, stop)
        ranges = RangeReader(reader, link, checkpoint.etag, stop)
        uploader = Uploader(self.address, self.transport, stop)
        buffer = memoryview(bytearray(checkpoint.part_bytes if parts.ordered else BUFFER_BYTES))
        try:
            while number := parts.next():
                span = parts.span(number)
                body = Body(len(span), partial(parts.counted, partial(ranges.pieces, span, buffer, until=span.stop)))
                if parts.ordered:
                    (part,) = body.pieces()
                    parts.digest(number, part, stop)
                    body = Body(len(span), lambda part=part: [part])  # type: ignore[misc]
                etag = uploader.put_part(checkpoint.key, checkpoint.upload_id, number, body)
                parts.done(Part(number, body.size, body.crc32c, etag))
        finally:
            reader.close()
            uploader.close()

    def _copy_stream(self, job: Job, destination: Destination, stream: Stream, head: bytearray, stop: Stop) -> Copied:
        """Copy what can be had only from its beginning and in one go; any trouble means to start again.

        What an inspection needs of it is kept as it passes by.
        """
        info = stream.info
        buffer = memoryview(bytearray(SINGLE_PUT_BYTES))
        buffer[: len(head)] = head
        filled = len(head) + stream.read_into(buffer[len(head) :])
        if filled < len(buffer):
            return self._put(job, destination, info, buffer[:filled], stop)
        checkpoint = self._begin(job, destination, info, SINGLE_PUT_BYTES)
        uploader = Uploader(self.address, self.transport, stop)
        md5 = hashlib.md5(usedforsecurity=False)
        excerpt = Excerpt()
        parts: list[Part] = []
        try:
            while filled:
                part, number = buffer[:filled], len(parts) + 1
                excerpt.feed(part)
                if info.md5:
                    md5.update(part)
                body = Body(filled, lambda part=part: [part])  # type: ignore[misc]
                etag = uploader.put_part(checkpoint.key, checkpoint.upload_id, number, body)
                parts.append(Part(number, filled, body.crc32c, etag))
                filled = stream.read_into(buffer)
            seconds = job.inspect(excerpt.file(), excerpt.length) if job.verify else None
            checksum = self._complete(job, info, checkpoint, parts, md5.digest() if info.md5 else None)
            return Copied(destination, excerpt.length, checksum, seconds)
        except StoppedError:
            self._forget(job, checkpoint)
            raise SourceUnavailableError(
                "the source gives the file only in one go, and that took longer than an invocation may"
            ) from None
        except BaseException:
            self._forget(job, checkpoint)
            raise
        finally:
            uploader.close()


def _check(info: FileInfo, size: int, crc: int, md5: bytes | None) -> None:
    """Raise MismatchError unless the file is the one that was announced; `md5` is None where it was not taken."""
    if info.length is not None and size != info.length:
        raise SourceUnavailableError(f"the source announced {info.length} bytes and sent {size}")
    if info.crc32c and as_text(crc) != info.crc32c:
        raise MismatchError("the file does not have the CRC32C that the source announced")
    if info.md5 and md5 is not None and base64.b64encode(md5).decode() != info.md5:
        raise MismatchError("the file does not have the MD5 that the source announced")
