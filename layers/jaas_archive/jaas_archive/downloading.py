"""The downloader's use case: one announced file, from its link into the archive, once."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from jaas_archive.archive import Archive, KeyTakenError, StoredObject
from jaas_archive.copying import copy
from jaas_archive.errors import (
    AwsUnavailableError,
    FileLostError,
    InvalidMessageError,
    LinkRefusedError,
    NotAFileError,
    SourceUnavailableError,
    TryLaterError,
)
from jaas_archive.events import Event, read_event
from jaas_archive.kinds import AnnouncedFile, announced_file, extension_of
from jaas_archive.meetings import FileRecord, FileStatus, Meetings, Session, file_sort_key
from jaas_archive.messages import EventMessage, FileChangedMessage, encode
from jaas_archive.queues import Queue
from jaas_archive.source import Source, SourceFile

LEASE_MS = 910_000
"""Longer than the function can live: an invocation never outlives its own lease."""
_SHORTEST_LIMIT_SECONDS = 60

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Downloader:
    """Copies announced files."""

    archive: Archive
    meetings: Meetings
    source: Source
    meeting_queue: Queue
    clock: Callable[[], float] = time.time

    def download(self, message: EventMessage) -> None:
        """Archive the file that the event announces; nothing happens if that was done before.

        Raises:
            FileLostError: it will never come; the table says why.
            TryLaterError: it did not work this time and may work later.
        """
        event = read_event(message.document, received_at_ms=message.received_at_ms)
        file = announced_file(event)
        if file is None:
            raise InvalidMessageError("the download queue holds an event without a file")
        session = self.meetings.ensure_session(event)
        self.meetings.announce(session.id, file, now_ms=self._now_ms())
        record = self.meetings.claim_copy(session.id, file, now_ms=self._now_ms(), lease_ms=LEASE_MS)
        if record.status is not FileStatus.ARCHIVED:
            self._copy(_Task(event, file, session, record))
        # Said again for a file that was archived before: whoever did that may have died before saying it.
        self._tell(session, record)

    def _copy(self, task: "_Task") -> None:
        try:
            stored = self._archived_before(task) or self._fetch(task)
        except LinkRefusedError as error:
            self._give_up(task, FileStatus.REFUSED, str(error))
            raise
        except TryLaterError as error:
            if isinstance(error, SourceUnavailableError) and self._now_ms() > task.file.deadline_ms:
                status = FileStatus.REFUSED if isinstance(error, NotAFileError) else FileStatus.EXPIRED
                self._give_up(task, status, str(error))
                raise FileLostError(str(error)) from error
            self._release(task, str(error))
            error.longest_pause_seconds = _longest_pause_seconds(task.file.deadline_ms - self._now_ms())
            raise
        except Exception as error:
            self._release(task, type(error).__name__)
            raise
        self.meetings.finish_copy(
            task.session.id,
            task.record.sort_key,
            key=stored.key,
            size=stored.size,
            checksum=stored.checksum,
            content_type=stored.content_type,
            source_etag=stored.metadata.get("source-etag", ""),
            now_ms=self._now_ms(),
        )
        logger.info("file archived", session_id=task.session.id, file=task.record.sort_key, size=stored.size)

    def _archived_before(self, task: "_Task") -> StoredObject | None:
        """The object of an invocation that died between storing it and noting that in the table."""
        if task.record.tries <= 1 or task.file.kind.extension is None:
            return None
        return self._own(task, task.keys(task.file.kind.extension)[0])

    def _fetch(self, task: "_Task") -> StoredObject:
        for number in range(2):
            with self.source.open(task.file.link) as source:
                _check_looks_like(task.file, source)
                extension, content_type = _type_of(task.file, source)
                key = task.keys(extension)[number]
                metadata = task.metadata | {"source-etag": source.etag}
                try:
                    copied = copy(source, self.archive, key, content_type=content_type, metadata=metadata)
                except KeyTakenError:
                    if stored := self._own(task, key):
                        return stored
                    continue
            return StoredObject(key, copied.size, copied.checksum, content_type, metadata, etag="")
        raise AwsUnavailableError("both keys of the file are taken by others")

    def _own(self, task: "_Task", key: str) -> StoredObject | None:
        stored = self.archive.find(key)
        return stored if stored and stored.metadata.get("file") == task.metadata["file"] else None

    def _give_up(self, task: "_Task", status: FileStatus, reason: str) -> None:
        self.meetings.give_up(task.session.id, task.record.sort_key, status, reason=reason)
        self._tell(task.session, task.record)

    def _release(self, task: "_Task", reason: str) -> None:
        self.meetings.release_copy(task.session.id, task.record.sort_key, reason=reason)

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

    def keys(self, extension: str) -> tuple[str, str]:
        """The key, and the one to take if another file of the session has that already."""
        stem = f"{self.session.folder}/{self.file.stem}"
        return f"{stem}{extension}", f"{stem}_{self.file.id}{extension}"

    @property
    def metadata(self) -> dict[str, str]:
        seconds = self.file.duration_seconds
        return {
            "file": f"{self.session.id}/{file_sort_key(self.file)}",
            "session": self.session.id,
            "room": self.session.room,
            "event": self.event.idempotency_key,
            "duration-seconds": "" if seconds is None else f"{seconds:g}",
        }


def _longest_pause_seconds(left_ms: int) -> int | None:
    """A file gets at least six more tries in whatever time its link has left, though not more than one a minute."""
    return max(_SHORTEST_LIMIT_SECONDS, left_ms // 6_000) if left_ms > 0 else None


def _check_looks_like(file: AnnouncedFile, source: SourceFile) -> None:
    """Raise NotAFileError for what services send with status 200 when they mean an error."""
    if source.content_type.startswith("text/html") or source.head.lstrip()[:1] == b"<":
        raise NotAFileError("the source sent a web page instead of the file")
    if file.kind.extension == ".mp4" and source.head[4:8] != b"ftyp":
        raise NotAFileError("the source sent something that is no MP4")
    if file.announced_bytes is not None and source.length not in (None, file.announced_bytes):
        raise NotAFileError(f"the event announced {file.announced_bytes} bytes and the source {source.length}")


def _type_of(file: AnnouncedFile, source: SourceFile) -> tuple[str, str]:
    if file.kind.extension and file.kind.content_type:
        return file.kind.extension, file.kind.content_type
    return extension_of(source.head)
