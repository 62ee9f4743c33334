"""The downloader's use case: one announced file, from its link into the archive, once."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from jaas_archive.archive import Archive, StoredObject, ascii_metadata, object_identity
from jaas_archive.connections import Stop
from jaas_archive.copying import HEAD_BYTES, Copier, Destination, HandOverError, Job
from jaas_archive.errors import (
    ArchiveError,
    AwsUnavailableError,
    FileLostError,
    InProgressError,
    InvalidMessageError,
    LinkDeadError,
    LinkRefusedError,
    MismatchError,
    NotAFileError,
    SourceUnavailableError,
    TryLaterError,
)
from jaas_archive.events import Event, read_event
from jaas_archive.files import FileRecord, FileStatus, file_sort_key
from jaas_archive.formats import format_of, is_text, is_web_page, may_be_image
from jaas_archive.kinds import SCREENSHOT, AnnouncedFile, announced_files, listed_picture
from jaas_archive.link_lists import MAX_LINKS
from jaas_archive.listings import Listing, read_listing
from jaas_archive.meetings import Meetings
from jaas_archive.messages import EventMessage, FileChangedMessage, encode
from jaas_archive.mp4 import inspect_mp4
from jaas_archive.names import bounded
from jaas_archive.queues import Queue
from jaas_archive.sessions import Session
from jaas_archive.source import FileInfo
from jaas_archive.uploads import KeyTakenError, UploadGoneError

LEASE_SECONDS = 60
"""How long a copy belongs to an invocation that is not heard of any more; then another may go on with it."""
BEAT_SECONDS = 15
GRACE_SECONDS = 24 * 3600
"""How long after its link's deadline a file may still be tried while the link is not known to be dead."""
_ATTEMPTS = 3
_SHORTEST_LIMIT_SECONDS = 60

_PICTURES_AT_ONCE = 4
_TRIES_OF_NO_PICTURE = 8
"""An error page passes; what is no picture so often, over an hour, is a link to something else."""
_LONGEST_ID_BYTES = 80
"""In the second name of a file: file systems take names of 255 bytes."""
_USUAL_EXTENSIONS = {"transcript": (".json", ".vtt", ".txt"), "rtcstats": (".gz", ".json")}
_PAGE_SUFFIXES = (".htm", ".html")
_FIRST_BOXES = frozenset({b"ftyp", b"free", b"skip", b"wide", b"pdin", b"moov", b"mdat"})

logger = Logger(child=True)
metrics = Metrics()


@dataclass(frozen=True, slots=True)
class Downloader:
    """Copies announced files; `clock` gives the time in seconds."""

    archive: Archive
    copier: Copier
    meetings: Meetings
    meeting_queue: Queue
    clock: Callable[[], float] = time.time
    beat_seconds: float = BEAT_SECONDS

    def download(
        self, message: EventMessage, *, keep: Callable[[int], None] = lambda _: None, deadline: float = float("inf")
    ) -> None:
        """Archive the file that the event announces; nothing happens if that was done before.

        `keep` is called again and again with the seconds for which the message is still ours; `deadline` (of
        `time.monotonic`) is when to hand over to the next invocation.

        Raises:
            FileLostError: it will never come; the table says why.
            TryLaterError: it did not work this time and may work later.
        """
        event = read_event(message.document, received_at_ms=message.received_at_ms)
        file = next(iter(announced_files(event)), None)
        if file is None:
            raise InvalidMessageError("the download queue holds an event without a file")
        session = self.meetings.sessions.ensure(event)
        record = self.meetings.files.claim(session.id, file, now_ms=self._now_ms(), lease_ms=LEASE_SECONDS * 1000)
        if record.status is not FileStatus.ARCHIVED:
            task, stop = _Task(event, file, session, record), Stop(deadline)
            with self._heartbeat(task, keep, stop):
                self._copy(task, stop)
        # Said again for a file that was archived before: whoever did that may have died before saying it.
        self._tell(session, record)

    def _copy(self, task: "_Task", stop: Stop) -> None:
        try:
            stored = self._fetch_list(task, stop) if task.file.kind.is_list else self._fetch(task, stop)
        except LinkRefusedError as error:
            self._give_up(task, FileStatus.REFUSED, str(error))
            raise
        except MismatchError as error:
            if not task.record.mismatched:
                self._release(task, str(error), mismatched=True)
                raise
            raise self._keep_aside(task, str(error), stop) from error
        except Exception as error:
            reason = str(error) if isinstance(error, ArchiveError) else type(error).__name__
            self._end_if_too_late(task, error, reason)
            self._release(task, reason)
            raise
        now_ms = self._now_ms()
        self.meetings.files.finish(task.session.id, task.record.sort_key, stored, now_ms=now_ms)
        metrics.add_metric("FilesArchived", MetricUnit.Count, 1)
        metrics.add_metric("BytesArchived", MetricUnit.Bytes, stored.size)
        metrics.add_metric("SecondsToArchive", MetricUnit.Seconds, max(0, now_ms - task.event.timestamp_ms) / 1000)
        logger.info("file archived", session_id=task.session.id, file=task.record.sort_key, size=stored.size)

    def _fetch(self, task: "_Task", stop: Stop, *, aside: bool = False) -> StoredObject:
        """Copy the file to its key; where another file has that, to its second one."""
        if not aside and task.lies_aside:
            raise MismatchError(task.record.reason)
        if not aside and (stored := self._stored_before(task)):
            return stored
        job = Job(
            link=task.file.link,
            destination=lambda info, head: task.destination(info, head, second=False, aside=aside),
            checkpoint=task.record.checkpoint,
            save=lambda checkpoint: self.meetings.files.note_upload(task.session.id, task.record, checkpoint),
            repeated=task.record.tries > 1,
            inspect=task.inspect,
            verify=not aside,
            announced_bytes=task.file.announced_bytes,
        )
        for _ in range(_ATTEMPTS):
            try:
                copied = self.copier.copy(job, stop=stop)
            except (KeyTakenError, UploadGoneError) as error:
                # Either we stored it and did not hear that we did, or another file has the key.
                if stored := self._own(task, error.key):
                    return stored
                job = replace(job, checkpoint=None, repeated=True)
                if isinstance(error, KeyTakenError):
                    job = replace(
                        job, destination=lambda info, head: task.destination(info, head, second=True, aside=aside)
                    )
                continue
            return StoredObject(
                key=copied.destination.key,
                size=copied.size,
                checksum=copied.checksum,
                content_type=copied.destination.content_type,
                metadata=copied.destination.metadata,
                seconds=copied.seconds,
            )
        raise AwsUnavailableError("the file's keys are taken by others")

    def _fetch_list(self, task: "_Task", stop: Stop) -> StoredObject:
        """Keep a list as it came and fetch every picture of it at once, since their links die soon.

        Each try asks for the list anew. It is done when everything in it is.

        Raises:
            SourceUnavailableError: some pictures, or some of its pages, did not come.
            LinkRefusedError: no link in it may be fetched, or one of its pages may not.
        """
        links = (task.file.link, *task.file.other_links)
        listed = read_listing(self.copier, links, told_at_ms=task.event.timestamp_ms, stop=stop)
        stored = self._keep_pages(task, listed)
        numbered = enumerate(listed.links[:MAX_LINKS], 1)
        found = (listed_picture(task.file, one.link, number, one.at_ms) for number, one in numbered)
        pictures = {picture.id: picture for picture in found}.values()
        with ThreadPoolExecutor(_PICTURES_AT_ONCE) as pool:
            outcomes = list(pool.map(lambda picture: self._fetch_picture(task, picture, stop), pictures))
        new = [one for one in outcomes if isinstance(one, FileRecord)]
        metrics.add_metric("FilesArchived", MetricUnit.Count, len(new))
        metrics.add_metric("BytesArchived", MetricUnit.Bytes, sum(one.size or 0 for one in new))
        if new:
            # One stands for all: the record is made anew from everything that is there.
            self._tell(task.session, new[-1])
        self._check_pictures(task, outcomes, listed.trouble)
        return stored

    def _check_pictures(
        self,
        task: "_Task",
        outcomes: Sequence[FileRecord | ArchiveError | None],
        trouble: SourceUnavailableError | LinkRefusedError | None,
    ) -> None:
        """Raise what keeps a list open, or ends it before all of it is here."""
        failures = [one for one in outcomes if isinstance(one, ArchiveError)]
        for failure in failures:
            if isinstance(failure, HandOverError):
                raise failure
        refused = [failure for failure in failures if isinstance(failure, LinkRefusedError)]
        if refused and len(refused) == len(outcomes):
            raise refused[0]
        no_pictures = [failure for failure in failures if isinstance(failure, NotAFileError)]
        missing = [failure for failure in failures if failure not in refused + no_pictures]
        if isinstance(trouble, SourceUnavailableError) and not missing:
            raise SourceUnavailableError(f"a page of the list did not come: {trouble}") from trouble
        # A list may hold links to other things than pictures; those stay what they are.
        if missing or (no_pictures and not self._nothing_else_comes(task)):
            missing += no_pictures
            raise SourceUnavailableError(f"{len(missing)} of {len(outcomes)} screenshots did not come: {missing[0]}")
        if given_up := len(refused) + len(no_pictures):
            logger.warning("links of a list lead to no picture", session_id=task.session.id, links=given_up)
        if trouble:
            raise trouble

    def _nothing_else_comes(self, task: "_Task") -> bool:
        """Whether all of a list came but the same links to no picture, and that too often for an error page."""
        times = task.record.without_picture + 1
        self.meetings.files.note_without_picture(task.session.id, task.record, times)
        return times >= _TRIES_OF_NO_PICTURE

    def _keep_pages(self, task: "_Task", listed: Listing) -> StoredObject:
        """Keep a list as it came; returns its first page, which comes last: where that is, the others are.

        What a list told that did not come whole is kept beside it: the next try may get another form of it.
        """
        part = "" if listed.whole else "_incomplete"
        pages = [(f"_page{number}" if number > 1 else "", page) for number, page in enumerate(listed.pages, 1)]
        return [self._keep_page(task, page, part, name) for name, page in reversed(pages)][-1]

    def _keep_page(self, task: "_Task", content: bytes, part: str, name: str) -> StoredObject:
        """Store a page; the one of an earlier try stays."""
        identity = object_identity(task.session.id, f"{file_sort_key(task.file)}{part}")
        metadata = ascii_metadata({"file": identity, "session": task.session.id, "room": task.session.room})
        content_type = format_of(content[:HEAD_BYTES])[1]
        for second in (False, True):
            key = task.key(f"{part}{name}.json", second=second)
            try:
                return self.archive.put_new(key, content, content_type=content_type, metadata=metadata)
            except KeyTakenError:
                stored = self.archive.find(key)
                if stored and stored.metadata.get("file") == identity:
                    return stored
        raise AwsUnavailableError("the list's keys are taken by others")

    def _fetch_picture(self, task: "_Task", picture: AnnouncedFile, stop: Stop) -> FileRecord | ArchiveError | None:
        """Archive a picture of a list; None if it was there, or what went wrong."""
        known = self.meetings.files.get(task.session.id, file_sort_key(picture))
        if known and known.status is FileStatus.ARCHIVED:
            return None
        try:
            stored = self._fetch(replace(task, file=picture), stop)
            return self.meetings.files.add(task.session.id, picture, stored, now_ms=self._now_ms())
        except ArchiveError as error:
            return error

    def _end_if_too_late(self, task: "_Task", error: Exception, reason: str) -> None:
        """After the deadline a dead link is final; any other trouble may last a day longer, in case the link lives on.

        Raises:
            FileLostError: it was too late.
        """
        left_seconds = task.file.deadline_ms / 1000 - self.clock()
        grace_seconds = 0 if isinstance(error, LinkDeadError) else GRACE_SECONDS
        if left_seconds + grace_seconds >= 0 or isinstance(error, HandOverError):
            if isinstance(error, TryLaterError) and left_seconds > 0:
                error.longest_pause_seconds = _longest_pause_seconds(int(left_seconds * 1000))
            return
        if task.superseded:
            # A later event brought a link that lives longer; its message decides.
            self._release(task, reason)
            raise FileLostError(reason) from error
        status = FileStatus.REFUSED if isinstance(error, NotAFileError) else FileStatus.EXPIRED
        self._give_up(task, status, reason)
        raise FileLostError(reason) from error

    def _stored_before(self, task: "_Task") -> StoredObject | None:
        """What an invocation stored that died before it could note that."""
        if task.record.tries <= 1:
            return None
        if task.record.checkpoint:
            return self._own(task, task.record.checkpoint.key)
        # Its link may be dead by now, so its bytes cannot tell what its name ends in.
        keys = (task.key(extension, second=second) for second in (False, True) for extension in task.extensions)
        return next(filter(None, (self._own(task, key) for key in keys)), None)

    def _own(self, task: "_Task", key: str) -> StoredObject | None:
        stored = self.archive.find(key)
        return stored if stored and stored.metadata.get("file") == task.identity else None

    def _keep_aside(self, task: "_Task", reason: str, stop: Stop) -> ArchiveError:
        """Store a file that came out wrong twice where nobody takes it for the real one; returns what to raise."""
        try:
            stored = self._fetch(task, stop, aside=True)
        except TryLaterError as error:
            self._end_if_too_late(task, error, reason)
            # Whoever goes on with it gives this reason.
            self._release(task, reason)
            return error
        self._give_up(task, FileStatus.REFUSED, reason, kept=stored)
        return FileLostError(reason)

    @contextmanager
    def _heartbeat(self, task: "_Task", keep: Callable[[int], None], stop: Stop) -> Iterator[None]:
        """Renew lease and message while inside, so that a copy of any length is ours and a dead one is soon free."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.beat_seconds):
                try:
                    self.meetings.files.renew(
                        task.session.id, task.record, until_ms=self._now_ms() + LEASE_SECONDS * 1000
                    )
                    keep(LEASE_SECONDS)
                except InProgressError:
                    logger.warning("another invocation took the copy over", session_id=task.session.id)
                    stop.now()
                    return
                except ArchiveError as error:
                    logger.warning("heartbeat failed", reason=str(error))

        keep(LEASE_SECONDS)
        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _give_up(self, task: "_Task", status: FileStatus, reason: str, *, kept: StoredObject | None = None) -> None:
        current = self.meetings.files.get(task.session.id, task.record.sort_key)
        if kept is None and current and current.checkpoint:
            self.archive.abort(current.checkpoint.key, current.checkpoint.upload_id)
        self.meetings.files.give_up(task.session.id, task.record.sort_key, status, reason=reason, kept=kept)
        metrics.add_metric("FilesExpired" if status is FileStatus.EXPIRED else "FilesRefused", MetricUnit.Count, 1)
        self._tell(task.session, task.record)

    def _release(self, task: "_Task", reason: str, *, mismatched: bool = False) -> None:
        self.meetings.files.release(task.session.id, task.record, reason=reason, mismatched=mismatched)

    def _tell(self, session: Session, record: FileRecord) -> None:
        self.meeting_queue.send(encode(FileChangedMessage(session.id, record.sort_key)))

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)


@dataclass(frozen=True, slots=True)
class _Task:
    event: Event
    file: AnnouncedFile
    session: Session
    record: FileRecord

    @property
    def superseded(self) -> bool:
        """Whether a later event told of a link that lives longer."""
        return self.record.deadline_ms > self.file.deadline_ms

    @property
    def lies_aside(self) -> bool:
        """Whether an earlier invocation found the file wrong for the second time, and began to keep it aside."""
        checkpoint = self.record.checkpoint
        return checkpoint is not None and checkpoint.key.startswith(self.key("", aside=True))

    @property
    def identity(self) -> str:
        """What tells our own object from another under the same key."""
        return object_identity(self.session.id, file_sort_key(self.file))

    @property
    def extensions(self) -> Sequence[str]:
        """What the file's name may end in, as far as that can be known without its bytes."""
        known = self.file.kind.extension or self.file.suffix
        return (known,) if known else _USUAL_EXTENSIONS.get(self.file.kind.name, ())

    def key(self, extension: str, *, second: bool = False, aside: bool = False) -> str:
        """The file's key, or the one to take if another file of the session has that."""
        folder = f"{self.session.folder}/aside" if aside else self.session.folder
        return f"{folder}/{self.file.stem}{f'_{bounded(self.file.id, _LONGEST_ID_BYTES)}' if second else ''}{extension}"

    def destination(self, info: FileInfo, head: bytes, *, second: bool, aside: bool) -> Destination:
        """Where the file belongs.

        Raises:
            NotAFileError: what comes is not the file but what services send, with status 200, for an error.
            MismatchError: it is neither that nor an MP4, and should be one.
        """
        kind = self.file.kind
        # What has the size that the event announced is the file: spreadsheets saved as .xls begin so, too.
        is_announced = info.length is not None and info.length == self.file.announced_bytes
        if is_web_page(head) and self.file.suffix.lower() not in _PAGE_SUFFIXES and not is_announced:
            raise NotAFileError("the source sent a web page instead of the file")
        if kind.content_type and not head:
            raise NotAFileError("the source sent nothing instead of the file")
        extension, content_type = format_of(head, self.file.suffix)
        if kind.extension == ".mp4" and head[4:8] not in _FIRST_BOXES:
            if is_text(content_type):
                raise NotAFileError("the source sent something that is no MP4")
            # No error looks like that: it may be the recording all the same, and is not left to die with its link.
            if not aside:
                raise MismatchError("the source sent something that is no MP4")
        elif kind.extension and kind.content_type:
            extension, content_type = kind.extension, kind.content_type
        if kind is SCREENSHOT and not may_be_image(content_type):
            raise NotAFileError("the source sent something that is no picture")
        seconds = self.file.duration_seconds
        metadata = {
            "file": self.identity,
            "session": self.session.id,
            "room": self.session.room,
            "event": self.event.idempotency_key,
            "source-etag": info.etag.strip('"'),
            "source-encoding": info.encoding,
            "duration-seconds": "" if seconds is None else f"{seconds:g}",
        }
        return Destination(self.key(extension, second=second, aside=aside), content_type, ascii_metadata(metadata))

    def inspect(self, file: BinaryIO, length: int) -> float | None:
        """How many seconds a recording plays, None for other files."""
        if self.file.kind.extension != ".mp4":
            return None
        return inspect_mp4(file, length, announced_seconds=self.file.duration_seconds)


def _longest_pause_seconds(left_ms: int) -> int | None:
    """A file gets at least six more tries in whatever time its link has left, though not more than one a minute."""
    return max(_SHORTEST_LIMIT_SECONDS, left_ms // 6_000) if left_ms > 0 else None
