"""All that a session's record is made from, read as the enricher reads it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from jaas_archive.archive import ObjectGoneError
from jaas_archive.conversation import Line, read_lines
from jaas_archive.enriching import LINES_IN
from jaas_archive.events import Event, Json, read_event
from jaas_archive.files import FileRecord, FileStatus
from jaas_archive.items import session_pk
from jaas_archive.meetings import StoredEvent, StoredRecords
from jaas_archive.people import Person, connections, guests
from jaas_archive.record import MeetingRecord, make_record
from jaas_archive.sessions import Session
from jaas_archive.traces import in_order, traces
from jaas_archive_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class Sources:
    """A session, its journal, and the bytes of its chat and transcript files by the files' sort keys."""

    session: Session
    stored: StoredRecords
    documents: tuple[tuple[StoredEvent, Json], ...]
    texts: Mapping[str, bytes]

    @classmethod
    def read(cls, stack: Stack, session_id: str) -> "Sources | None":
        """Read them; None if there is no such session."""
        session = stack.meetings.sessions.get(session_id)
        if session is None:
            return None
        stored = stack.meetings.records(session_id)
        documents = tuple(
            (event, json.loads(event.content or stack.archive.read(event.object_key))) for event in stored.events
        )
        texts = {
            file.sort_key: _content(stack, file.key) for file in stored.files if file.kind in LINES_IN and file.key
        }
        return cls(session, stored, documents, texts)

    @property
    def events(self) -> list[Event]:
        """The journal's events in order."""
        return in_order(read_event(document, received_at_ms=event.received_at_ms) for event, document in self.documents)

    @property
    def lines(self) -> list[tuple[Line, ...]]:
        """The lines of each chat and transcript that counts."""
        return [
            read_lines(self.texts[file.sort_key], LINES_IN[file.kind], otherwise_ms=self.session.started_at_ms)
            for file in self.stored.files
            if file.sort_key in self.texts and file.status is FileStatus.ARCHIVED
        ]

    @property
    def people(self) -> tuple[Person, ...]:
        """The people of the meeting."""
        return guests(connections(self.events), traces(self.events)).people

    @property
    def record(self) -> MeetingRecord:
        """The record as it would be made now."""
        return make_record(self.session, self.events, self.stored.files, self.lines)

    def shows(self, file: FileRecord, people: tuple[Person, ...]) -> bool:
        """Whether a file is one of these people's, or they may be heard or seen in it, as far as times tell."""
        if file.title or file.owner_id:
            return any(person.user_id == file.owner_id for person in people if person.user_id)
        stays = [stay for person in people for one in person.connections for stay in one.stays]
        seconds = file.plays_seconds if file.duration_seconds is None else file.duration_seconds
        if file.starts_at_ms is None or seconds is None or not stays:
            return True
        ends_at_ms = file.starts_at_ms + seconds * 1000
        return any(
            (stay.joined_at_ms or 0) <= ends_at_ms and file.starts_at_ms <= (stay.left_at_ms or ends_at_ms)
            for stay in stays
        )


def sessions_of(stack: Stack, person: str) -> list[str]:
    """The ids of the sessions that are in the list of a person, by user id or e-mail address."""
    found: dict[str, None] = {}
    for name in dict.fromkeys((person, person.lower())):
        found |= {item["pk"]["S"].removeprefix(session_pk("")): None for item in stack.listed(f"PERSON#{name}")}
    return list(found)


def _content(stack: Stack, key: str) -> bytes:
    try:
        return stack.archive.read(key)
    except ObjectGoneError:
        return b""
