"""The copy engine: a file from its source into the archive, in parallel parts, from any breaking-off point on.

Each of a few workers reads a part into its one buffer, hands it to S3 under its CRC32C, and takes the next. The
multipart upload is the checkpoint: whoever comes later lists its parts and copies those that are missing. So memory is
the number of workers times the size of a part, whatever the size of the file, and no end of an invocation, by time-out,
crash or deploy, costs more than the parts that were under way.
"""

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from crc32c import crc32c

from jaas_archive.archive import Archive, Part, PartLostError
from jaas_archive.connections import Stop, StoppedError, Transport
from jaas_archive.crc import as_text, combined
from jaas_archive.errors import MismatchError, SourceUnavailableError, TryLaterError
from jaas_archive.links import AllowedOrigins
from jaas_archive.mp4 import seekable_file
from jaas_archive.ranges import RangeReader
from jaas_archive.source import FileInfo, RangesIgnoredError, SourceChangedError, SourceReader, Stream
from jaas_archive.uploads import BucketAddress, Checkpoint, Uploader

MIB = 1 << 20
HEAD_BYTES = 1 << 12
SINGLE_PUT_BYTES = 16 * MIB
"""Up to here a file is one buffer, one request to the source and one to S3."""
SMALLEST_PART_BYTES = 5 * MIB
"""The least that S3 takes for a part."""
MAX_PARTS = 10_000
WORKERS = 8
MEMORY_BYTES = 48 * MIB
"""What all buffers together may take: the larger a file's parts, the fewer its workers."""
SPAN_BYTES = 40 * MIB
"""What a worker asks the source for at once; less near the end, so that all workers finish together."""
_RESTARTS = 3


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
    says how many seconds it plays; `verify=False` takes the file however it is; `ranges=False` takes it in one go.
    """

    link: str
    destination: Callable[[FileInfo, bytes], Destination]
    checkpoint: Checkpoint | None = None
    save: Callable[[Checkpoint | None], None] = lambda _: None
    repeated: bool = False
    inspect: Callable[[BinaryIO, int], float | None] = lambda _file, _length: None
    verify: bool = True
    ranges: bool = True


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
            LinkRefusedError: the link may not be fetched.
            KeyTakenError: another object has the key.
            UploadGoneError: the upload was completed, or given up, by somebody else.
            AwsUnavailableError: S3 failed, again and again.
        """
        for _ in range(_RESTARTS):
            try:
                return self._attempt(job, stop or Stop())
            except StoppedError:
                raise HandOverError from None
            except SourceChangedError:
                job = replace(job, checkpoint=None, repeated=True)
            except RangesIgnoredError:
                job = replace(job, checkpoint=None, repeated=True, ranges=False)
        raise SourceUnavailableError("the file kept changing while it was copied")

    def _attempt(self, job: Job, stop: Stop) -> Copied:
        reader = SourceReader(self.origins, self.transport, stop)
        try:
            stream = reader.open(job.link)
            info, head = stream.info, bytearray(HEAD_BYTES)
            del head[stream.read_into(memoryview(head)) :]
            destination = job.destination(info, bytes(head))
            if info.length is None or not (info.ranges and job.ranges):
                return self._copy_stream(job, destination, stream, head, stop)
            ranges = RangeReader(reader, job.link, info.etag, stop)
            if info.length <= SINGLE_PUT_BYTES:
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
        crc = crc32c(body)
        seconds = None
        if job.verify:
            seconds = job.inspect(io.BytesIO(body), len(body))
            _check(info, len(body), crc, hashlib.md5(body, usedforsecurity=False).digest() if info.md5 else None)
        uploader = Uploader(self.address, self.transport, stop)
        try:
            uploader.put_object(
                destination.key, body, crc, content_type=destination.content_type, metadata=destination.metadata
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
        checkpoint = self._resume(job, destination, info) or self._begin(job, destination, info, length)
        for _ in range(_RESTARTS):
            present = self.archive.parts(checkpoint.key, checkpoint.upload_id)
            work = _Work(checkpoint, present, ordered=bool(info.md5) and not present, workers=self.workers)
            self._run_workers(job.link, work, stop)
            parts = work.parts()
            try:
                if job.verify:
                    crc = combined((part.crc32c, part.size) for part in parts)
                    _check(info, sum(part.size for part in parts), crc, work.md5)
                return Copied(destination, length, self.archive.complete(checkpoint.key, checkpoint.upload_id, parts))
            except PartLostError:
                continue
            except MismatchError:
                self._forget(job, checkpoint)
                raise
        self._forget(job, checkpoint)
        raise SourceUnavailableError("S3 kept losing parts")

    def _resume(self, job: Job, destination: Destination, info: FileInfo) -> Checkpoint | None:
        """The earlier invocation's upload, if it is of the same file to the same key."""
        checkpoint = job.checkpoint
        if checkpoint and (checkpoint.key, checkpoint.etag, checkpoint.length) == (
            destination.key,
            info.etag,
            info.length,
        ):
            return checkpoint
        return None

    def _begin(self, job: Job, destination: Destination, info: FileInfo, length: int | None) -> Checkpoint:
        self._clear(job, destination)
        upload_id = self.archive.start(
            destination.key, content_type=destination.content_type, metadata=destination.metadata
        )
        checkpoint = Checkpoint(destination.key, upload_id, part_bytes(length), length or 0, info.etag)
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

    def _run_workers(self, link: str, work: "_Work", stop: Stop) -> None:
        """Let workers copy all missing parts; the first failure stops them all and is raised."""
        failures: list[BaseException] = []
        stop = stop.child()

        def run() -> None:
            try:
                self._copy_spans(link, work, stop)
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
                failures.append(error)
                stop.now()

        threads = [threading.Thread(target=run, name=f"copy-{number}") for number in range(work.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # The others only stopped because of the first.
        failures.sort(key=lambda error: isinstance(error, StoppedError))
        if failures:
            raise failures[0]

    def _copy_spans(self, link: str, work: "_Work", stop: Stop) -> None:
        """One worker: copy one span of parts after the other."""
        checkpoint = work.checkpoint
        reader = SourceReader(self.origins, self.transport, stop)
        ranges = RangeReader(reader, link, checkpoint.etag, stop)
        uploader = Uploader(self.address, self.transport, stop)
        buffer = memoryview(bytearray(checkpoint.part_bytes))
        try:
            while span := work.next_span():
                for number in span:
                    start, size = work.place(number)
                    part = buffer[:size]
                    ranges.fill(part, start=start, until=sum(work.place(span[-1])))
                    crc = crc32c(part)
                    work.digest(number, part, stop)
                    etag = uploader.put_part(checkpoint.key, checkpoint.upload_id, number, part, crc)
                    work.done(Part(number, size, crc, etag))
        finally:
            reader.close()
            uploader.close()

    def _copy_stream(self, job: Job, destination: Destination, stream: Stream, head: bytearray, stop: Stop) -> Copied:
        """Copy what can be had only from its beginning and in one go; any trouble means to start again."""
        info = stream.info
        buffer = memoryview(bytearray(part_bytes(info.length)))
        buffer[: len(head)] = head
        filled = len(head) + stream.read_into(buffer[len(head) :])
        if filled < len(buffer):
            return self._put(job, destination, info, buffer[:filled], stop)
        checkpoint = self._begin(job, destination, info, info.length)
        uploader = Uploader(self.address, self.transport, stop)
        md5 = hashlib.md5(usedforsecurity=False)
        parts: list[Part] = []
        try:
            while filled:
                part, number = buffer[:filled], len(parts) + 1
                crc = crc32c(part)
                if info.md5:
                    md5.update(part)
                etag = uploader.put_part(checkpoint.key, checkpoint.upload_id, number, part, crc)
                parts.append(Part(number, filled, crc, etag))
                filled = stream.read_into(buffer)
            size = sum(part.size for part in parts)
            if job.verify:
                crc = combined((part.crc32c, part.size) for part in parts)
                _check(info, size, crc, md5.digest() if info.md5 else None)
            return Copied(destination, size, self.archive.complete(checkpoint.key, checkpoint.upload_id, parts))
        except BaseException:
            self._forget(job, checkpoint)
            raise
        finally:
            uploader.close()


@dataclass(slots=True)
class _Work:
    """Which parts of an upload are missing, and who copies them; shared by the workers.

    `ordered` gives them out one by one, so that an MD5 can be taken over the whole.
    """

    checkpoint: Checkpoint
    present: Sequence[Part]
    ordered: bool
    workers: int
    _missing: list[int] = field(init=False)
    _done: dict[int, Part] = field(init=False)
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _md5: "hashlib._Hash" = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _next_digest: int = 1

    def __post_init__(self) -> None:
        count = -(-self.checkpoint.length // self.checkpoint.part_bytes)
        self._done = {part.number: part for part in self.present if part.size == self.place(part.number)[1]}
        self._missing = [number for number in range(1, count + 1) if number not in self._done]

    @property
    def threads(self) -> int:
        affordable = max(1, MEMORY_BYTES // self.checkpoint.part_bytes)
        return min(self.workers, affordable, len(self._missing))

    @property
    def md5(self) -> bytes | None:
        return self._md5.digest() if self.ordered else None

    def place(self, number: int) -> tuple[int, int]:
        """Where a part begins in the file, and its size."""
        start = (number - 1) * self.checkpoint.part_bytes
        return start, min(self.checkpoint.part_bytes, self.checkpoint.length - start)

    def next_span(self) -> list[int]:
        """The next consecutive parts for a worker, none if all are given out."""
        with self._turn:
            fair = len(self._missing) // (2 * self.workers)
            size = 1 if self.ordered else max(1, min(SPAN_BYTES // self.checkpoint.part_bytes, fair))
            span = self._missing[:size]
            while span and span[-1] - span[0] != len(span) - 1:
                span.pop()
            del self._missing[: len(span)]
            return span

    def digest(self, number: int, part: memoryview, stop: Stop) -> None:
        """Take the MD5 of the part when it is its turn."""
        if not self.ordered:
            return
        with self._turn:
            while number != self._next_digest:
                stop.check()
                self._turn.wait(1)
        self._md5.update(part)
        with self._turn:
            self._next_digest += 1
            self._turn.notify_all()

    def done(self, part: Part) -> None:
        with self._turn:
            self._done[part.number] = part

    def parts(self) -> list[Part]:
        return [self._done[number] for number in sorted(self._done)]


def part_bytes(length: int | None) -> int:
    """The size of parts for a file of that length, in bytes: whole MiB, and not more parts than S3 takes."""
    needed = -(-(length or 0) // MAX_PARTS)
    return max(SMALLEST_PART_BYTES if length else SINGLE_PUT_BYTES, -(-needed // MIB) * MIB)


def _check(info: FileInfo, size: int, crc: int, md5: bytes | None) -> None:
    """Raise MismatchError unless the file is the one that was announced; `md5` is None where it was not taken."""
    if info.length is not None and size != info.length:
        raise SourceUnavailableError(f"the source announced {info.length} bytes and sent {size}")
    if info.crc32c and as_text(crc) != info.crc32c:
        raise MismatchError("the file does not have the CRC32C that the source announced")
    if info.md5 and md5 is not None and base64.b64encode(md5).decode() != info.md5:
        raise MismatchError("the file does not have the MD5 that the source announced")
