"""The copy engine: a file from its source into the archive, in parallel parts, from any breaking-off point on.

Each of a few workers, the more the slower the source, lets a part flow from the source to S3 through one small buffer,
under its CRC32C, and takes the next. The multipart upload is the checkpoint: whoever comes later lists its parts and
copies those that are missing. So memory is a few buffers, whatever the size of the file, and no end of an invocation,
by time-out, crash or deploy, costs more than the parts that were under way.
"""

import base64
import hashlib
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO

from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.archive import Archive, Part, PartLostError
from jaas_archive.connections import Stop, StoppedError, Transport
from jaas_archive.crc import as_text, combined
from jaas_archive.errors import MismatchError, SourceUnavailableError, TryLaterError
from jaas_archive.links import AllowedOrigins
from jaas_archive.mp4 import seekable_file
from jaas_archive.ranges import RangeReader
from jaas_archive.source import FileInfo, RangesIgnoredError, SourceChangedError, SourceReader, Stream
from jaas_archive.uploads import Body, BucketAddress, Checkpoint, Uploader

MIB = 1 << 20
HEAD_BYTES = 1 << 12
BUFFER_BYTES = MIB
"""Large enough that threads seldom take turns, small enough to stay in the processor's cache."""
SINGLE_PUT_BYTES = 16 * MIB
"""Up to here a file is one buffer, one request to the source and one to S3."""
SMALLEST_PART_BYTES = 8 * MIB
LARGEST_USUAL_PART_BYTES = 32 * MIB
"""Larger parts would save requests, but lose more when an invocation ends. Beyond 312 GiB their number decides."""
_USUAL_PARTS = 32
MAX_PARTS = 10_000
WORKERS = 8
FIRST_WORKERS = 2
"""On a fast source two use all that a process can, and more get in each other's way; on a slow one the others join."""
GROWTH_SECONDS = 0.3
BUSY_PROCESSORS = 0.9
"""Python's lock lets a process use hardly more than one processor, however many threads it has."""
WORTHWHILE_GROWTH = 1.2
ORDERED_BYTES = 48 * MIB
"""What the parts may take that wait for their turn, where an MD5 has to be taken over the whole in order."""
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

    def _run_workers(self, link: str, work: "_Work", stop: Stop) -> None:
        """Let workers copy all missing parts; the first failure stops them all and is raised."""
        failures: list[BaseException] = []
        stop = stop.child()

        def run() -> None:
            try:
                self._copy_some(link, work, stop)
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
                failures.append(error)
                stop.now()

        threads: list[threading.Thread] = []

        def grow(count: int) -> None:
            for _ in range(count - len(threads)):
                threads.append(threading.Thread(target=run, name=f"copy-{len(threads)}"))
                threads[-1].start()

        grow(min(FIRST_WORKERS, work.threads))
        best_rate = 0.0
        while threads and len(threads) < work.threads:
            rate, busy = _watch(work, threads[0])
            if busy > BUSY_PROCESSORS or rate < WORTHWHILE_GROWTH * best_rate:
                break
            best_rate = rate
            grow(min(2 * len(threads), work.threads))
        for thread in threads:
            thread.join()
        # The others only stopped because of the first.
        failures.sort(key=lambda error: isinstance(error, StoppedError))
        if failures:
            raise failures[0]

    def _copy_some(self, link: str, work: "_Work", stop: Stop) -> None:
        """One worker: copy one part after the other."""
        checkpoint = work.checkpoint
        reader = SourceReader(self.origins, self.transport, stop)
        ranges = RangeReader(reader, link, checkpoint.etag, stop)
        uploader = Uploader(self.address, self.transport, stop)
        buffer = memoryview(bytearray(checkpoint.part_bytes if work.ordered else BUFFER_BYTES))
        try:
            while number := work.next_part():
                span = work.span(number)
                body = Body(len(span), partial(work.counted, partial(ranges.pieces, span, buffer, until=span.stop)))
                if work.ordered:
                    (part,) = body.pieces()
                    work.digest(number, part, stop)
                    body = Body(len(span), lambda part=part: [part])  # type: ignore[misc]
                etag = uploader.put_part(checkpoint.key, checkpoint.upload_id, number, body)
                work.done(Part(number, body.size, body.crc32c, etag))
        finally:
            reader.close()
            uploader.close()

    def _copy_stream(self, job: Job, destination: Destination, stream: Stream, head: bytearray, stop: Stop) -> Copied:
        """Copy what can be had only from its beginning and in one go; any trouble means to start again."""
        info = stream.info
        buffer = memoryview(bytearray(SINGLE_PUT_BYTES))
        buffer[: len(head)] = head
        filled = len(head) + stream.read_into(buffer[len(head) :])
        if filled < len(buffer):
            return self._put(job, destination, info, buffer[:filled], stop)
        checkpoint = self._begin(job, destination, info, SINGLE_PUT_BYTES)
        uploader = Uploader(self.address, self.transport, stop)
        md5 = hashlib.md5(usedforsecurity=False)
        parts: list[Part] = []
        try:
            while filled:
                part, number = buffer[:filled], len(parts) + 1
                if info.md5:
                    md5.update(part)
                body = Body(filled, lambda part=part: [part])  # type: ignore[misc]
                etag = uploader.put_part(checkpoint.key, checkpoint.upload_id, number, body)
                parts.append(Part(number, filled, body.crc32c, etag))
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

    `ordered` makes each part wait until all before it have gone into an MD5 over the whole.
    """

    checkpoint: Checkpoint
    present: Sequence[Part]
    ordered: bool
    workers: int
    _missing: deque[int] = field(init=False)
    _count: int = field(init=False)
    _done: dict[int, Part] = field(init=False)
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _md5: "hashlib._Hash" = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _next_digest: int = 1
    moved: int = 0
    """Bytes that flowed so far, about: good enough to tell whether more workers help."""

    def __post_init__(self) -> None:
        count = -(-self.checkpoint.length // self.checkpoint.part_bytes)
        self._done = {part.number: part for part in self.present if part.size == len(self.span(part.number))}
        self._count = count - len(self._done)
        self._missing = deque(number for number in range(1, count + 1) if number not in self._done)

    def counted(self, pieces: Callable[[], Iterable[memoryview]]) -> Iterator[memoryview]:
        """The same pieces, counted."""
        for piece in pieces():
            yield piece
            self.moved += len(piece)

    @property
    def threads(self) -> int:
        affordable = max(1, ORDERED_BYTES // self.checkpoint.part_bytes) if self.ordered else self.workers
        return min(self.workers, affordable, self._count)

    @property
    def md5(self) -> bytes | None:
        return self._md5.digest() if self.ordered else None

    def span(self, number: int) -> range:
        """Which bytes of the file a part is."""
        start = (number - 1) * self.checkpoint.part_bytes
        return range(start, min(start + self.checkpoint.part_bytes, self.checkpoint.length))

    def next_part(self) -> int:
        """The number of a part that nobody copies yet, 0 if there is none."""
        with self._turn:
            return self._missing.popleft() if self._missing else 0

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


def _watch(work: _Work, thread: threading.Thread) -> tuple[float, float]:
    """For a moment, or until the thread ends: bytes per second that flowed, and processors that this process used."""
    moved, cpu, wall = work.moved, time.process_time(), time.monotonic()
    thread.join(GROWTH_SECONDS)
    seconds = max(time.monotonic() - wall, 0.001)
    return (work.moved - moved) / seconds, (time.process_time() - cpu) / seconds


def part_bytes(length: int, *, ordered: bool = False) -> int:
    """The size of parts for a file of that length, in bytes: whole MiB, and not more parts than S3 takes."""
    needed = -(-length // MAX_PARTS)
    usual = SMALLEST_PART_BYTES if ordered else min(length // _USUAL_PARTS, LARGEST_USUAL_PART_BYTES)
    return -(-max(SMALLEST_PART_BYTES, usual, needed) // MIB) * MIB


def _check(info: FileInfo, size: int, crc: int, md5: bytes | None) -> None:
    """Raise MismatchError unless the file is the one that was announced; `md5` is None where it was not taken."""
    if info.length is not None and size != info.length:
        raise SourceUnavailableError(f"the source announced {info.length} bytes and sent {size}")
    if info.crc32c and as_text(crc) != info.crc32c:
        raise MismatchError("the file does not have the CRC32C that the source announced")
    if info.md5 and md5 is not None and base64.b64encode(md5).decode() != info.md5:
        raise MismatchError("the file does not have the MD5 that the source announced")
