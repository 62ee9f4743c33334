"""The enricher's use case: note what is learned of a meeting, and make its record anew from all that is known.

A record is never edited. An event goes into the journal and counts the session's version up; then one invocation, the
holder of the session's lease, derives the whole record from journal and files, writes what differs, and repeats while
the version grew meanwhile. So the order of arrival cannot matter, and a burst of events ends in few renderings.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from jaas_archive.announcements import Announcements
from jaas_archive.archive import Archive, ObjectGoneError
from jaas_archive.choices import Choice
from jaas_archive.conversation import CHAT, SPEECH, Line, read_lines
from jaas_archive.errors import InProgressError, InvalidMessageError
from jaas_archive.events import Event, read_event, without_links
from jaas_archive.files import FileRecord, FileStatus, file_sort_key
from jaas_archive.journal import JOURNAL_NAME, JOURNAL_TYPE, write_journal
from jaas_archive.kinds import AnnouncedFile, message_document
from jaas_archive.meetings import JournalEntry, Meetings, StoredEvent, StoredRecords
from jaas_archive.messages import EventMessage, FileChangedMessage
from jaas_archive.notification import SUBJECT, notification
from jaas_archive.page import render_page
from jaas_archive.publishing import Listeners
from jaas_archive.record import MeetingRecord, make_record
from jaas_archive.sessions import Session
from jaas_archive.traces import in_order

LEASE_MS = 310_000
"""Longer than the function can live: an invocation never outlives its own lease."""
MAX_JOURNALED_BYTES = 300_000
"""An item holds 400 KB; a larger event lies in the session's folder and the journal points there."""
MAX_PARSED_BYTES = 100_000_000
_MAX_ROUNDS = 20
LINES_IN = {"chat": CHAT, "transcript": SPEECH}
"""The kinds of files that hold lines, and of what source these are."""

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Enricher:
    """Keeps the records of meetings, and tells those who listen, if any, which are archived.

    A rebuild does so without announcements, since it takes no news.
    """

    archive: Archive
    meetings: Meetings
    choice: Choice
    listeners: Listeners | None = None
    announcements: Announcements | None = None
    clock: Callable[[], float] = time.time

    def note(self, message: EventMessage | FileChangedMessage) -> str:
        """Make sure that the news is in the table for good; returns the id of the session whose record is stale.

        Raises:
            InvalidMessageError: it speaks of a file that nobody announced.
        """
        if isinstance(message, EventMessage):
            return self._note_event(message)
        file = self.meetings.files.get(message.session_id, message.file)
        if file is None:
            raise InvalidMessageError("the message speaks of a file that nobody announced")
        self.meetings.journal(message.session_id, [], [file])
        if self.announcements and file.status not in (FileStatus.PENDING, FileStatus.COPYING):
            self.announcements.forget(message.session_id, message.file)
        return message.session_id

    def update_record(self, session_id: str) -> MeetingRecord | None:
        """Bring the session's record up to date.

        Raises:
            InProgressError: another is at it, or news kept coming in faster than the record could be made.
        """
        session = self.meetings.sessions.claim_projection(session_id, now_ms=self._now_ms(), lease_ms=LEASE_MS)
        if session is None:
            return None
        try:
            return self._make_until_current(session)
        except BaseException:
            self.meetings.sessions.release_projection(session_id)
            raise

    def _make_until_current(self, session: Session) -> MeetingRecord:
        notified = session.notified_digest
        for _ in range(_MAX_ROUNDS):
            record = self._make(session)
            # Before the record counts as made, so that whoever dies in between leaves it to the next.
            notified = self._notify(record, notified)
            summary = record.summary | {"messages_digest": record.messages_digest, "notified_digest": notified}
            if self.meetings.sessions.finish_projection(session, summary, now_ms=self._now_ms()):
                logger.info("record written", session_id=session.id, version=session.version, **record.summary)
                return record
            session = self.meetings.sessions.get(session.id) or session
        raise InProgressError("news of the session kept coming in", pause_seconds=1)

    def _notify(self, record: MeetingRecord, notified: str) -> str:
        """Publish that the meeting is archived, unless that was said already; returns the digest of what was said."""
        news = notification(record.document, self.archive.bucket) if self.listeners else None
        if self.listeners is None or news is None or news.digest == notified:
            return notified
        self.listeners.publish(SUBJECT, news.text)
        return news.digest

    def _make(self, session: Session) -> MeetingRecord:
        stored = self.meetings.records(session.id)
        events = in_order(map(self._event, stored.events))
        record = make_record(session, events, stored.files, self._lines(session, stored.files))
        self.meetings.write_participants(session.id, record.participants)
        self.meetings.write_people(session.id, record.people)
        if record.messages_digest != session.messages_digest:
            self.meetings.write_messages(session.id, record.messages)
        self.meetings.list_under_days(session, record.days - stored.days)
        self._write_files(session, stored, record)
        return record

    def _write_files(self, session: Session, stored: StoredRecords, record: MeetingRecord) -> None:
        """Write the files of the record; the page comes last, so that it never tells less than the others."""
        journal = write_journal(session, stored.files, stored.events)
        document = json.dumps(record.document, ensure_ascii=False, indent=1).encode()
        files = [
            (f"{session.folder}/{JOURNAL_NAME}", journal, JOURNAL_TYPE),
            *((key, text.encode(), "text/vtt; charset=utf-8") for key, text in record.captions.items()),
            (f"{session.folder}/meeting.json", document, "application/json"),
            (f"{session.folder}/meeting.html", render_page(record.document).encode(), "text/html; charset=utf-8"),
        ]
        for key, body, content_type in files:
            self.archive.put_versioned(key, body, content_type=content_type, version=session.version)

    def _note_event(self, message: EventMessage) -> str:
        event = read_event(message.document, received_at_ms=message.received_at_ms)
        session = self.meetings.sessions.ensure(event)
        files = self.choice.files_of(event)
        for file in files:
            alone = EventMessage(message_document(event, file), message.received_at_ms)
            self._keep_announcement(session.id, file, alone)
        content = json.dumps(without_links(event.document), ensure_ascii=False, separators=(",", ":"))
        object_key = ""
        if len(content.encode()) > MAX_JOURNALED_BYTES:
            object_key = self.archive.put_event(session.folder, event, content)
        entry = JournalEntry(event, message.received_at_ms, content, object_key, tuple(map(file_sort_key, files)))
        self.meetings.journal(session.id, [entry], [])
        return session.id

    def _keep_announcement(self, session_id: str, file: AnnouncedFile, message: EventMessage) -> None:
        """Make sure that a file that is not archived outlives its message in the queue."""
        known = self.meetings.files.announce(session_id, file, now_ms=self._now_ms())
        if not self.announcements or known.status is FileStatus.ARCHIVED or known.deadline_ms > file.deadline_ms:
            return
        key = self.announcements.keep(session_id, known.sort_key, message)
        if not self.meetings.files.note_announcement(session_id, file, key):
            self.announcements.forget(session_id, known.sort_key)

    def _event(self, stored: StoredEvent) -> Event:
        content = stored.content or self.archive.read(stored.object_key).decode()
        return read_event(json.loads(content), received_at_ms=stored.received_at_ms)

    def _lines(self, session: Session, files: Sequence[FileRecord]) -> list[tuple[Line, ...]]:
        return [
            read_lines(self._content(file), LINES_IN[file.kind], otherwise_ms=session.started_at_ms)
            for file in files
            if file.kind in LINES_IN and file.status is FileStatus.ARCHIVED and (file.size or 0) <= MAX_PARSED_BYTES
        ]

    def _content(self, file: FileRecord) -> bytes:
        """A file's bytes; nothing if somebody deleted it, which must not keep the rest from its record."""
        try:
            return self.archive.read(file.key)
        except ObjectGoneError:
            logger.warning("an archived file is gone from the bucket", key=file.key)
            return b""

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)
