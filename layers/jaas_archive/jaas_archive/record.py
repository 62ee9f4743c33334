"""The record of a meeting: what its events and files amount to, as table items and as `meeting.json`."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jaas_archive.conversation import Line, numbered
from jaas_archive.events import Event, Json
from jaas_archive.meetings import FileRecord, FileStatus, Session, message_name
from jaas_archive.names import iso_day, iso_time
from jaas_archive.people import Connection, connections, directory

SCHEMA_VERSION = 1
_MAX_CONTENT_BYTES = 300_000
"""An item holds 400 KB; a longer message is cut in the table and whole in the archived file."""


@dataclass(frozen=True, slots=True)
class MeetingRecord:
    """Everything derived from a session's events and files; the same for any order of arrival."""

    participants: dict[str, dict[str, Json]]
    messages: dict[str, dict[str, Json]]
    days: frozenset[str]
    summary: dict[str, Json]
    document: dict[str, Json]

    @property
    def messages_digest(self) -> str:
        """Tells whether the stored messages are these without reading them."""
        return hashlib.sha256(json.dumps(self.messages, sort_keys=True).encode()).hexdigest()


def make_record(
    session: Session, events: Sequence[Event], files: Sequence[FileRecord], lines: Iterable[Line]
) -> MeetingRecord:
    """Make the record of a session; `lines` are in order."""
    people = connections(events)
    messages = _messages(people, lines)
    times = [event.timestamp_ms for event in events] or [session.started_at_ms]
    attributed = sum("name" in message for message in messages.values())
    summary = {
        "first_seen": min(times),
        "last_seen": max(times),
        "events": len(events),
        "participants": len(people),
        "messages": len(messages),
        "messages_attributed": attributed,
        "files": len(files),
        "files_archived": sum(file.status is FileStatus.ARCHIVED for file in files),
    }
    return MeetingRecord(
        participants={person.jid: _participant(person) for person in people},
        messages=messages,
        days=frozenset(map(iso_day, [*times, session.started_at_ms])),
        summary=summary,
        document={
            "schema_version": SCHEMA_VERSION,
            "version": session.version,
            "session_id": session.id,
            "app_id": session.app_id,
            "room": session.room,
            "folder": session.folder,
            "started_at": _first(events, "ROOM_CREATED") or iso_time(min(times)),
            "ended_at": _first(reversed(events), "ROOM_DESTROYED"),
            "first_seen_at": iso_time(min(times)),
            "last_seen_at": iso_time(max(times)),
            "coverage": {"messages": len(messages), "with_a_name": attributed},
            "participants": [_participant_entry(person) for person in people],
            "files": [_file_entry(session, file) for file in files],
            "messages": [_message_entry(message) for message in messages.values()],
            "events": [{"at": iso_time(event.timestamp_ms), "type": event.type} for event in events],
        },
    )


def _messages(people: Sequence[Connection], lines: Iterable[Line]) -> dict[str, dict[str, Json]]:
    known = directory(people)
    messages = {}
    for line, number in numbered(lines):
        author = known.author(line)
        content = line.content.encode()[:_MAX_CONTENT_BYTES].decode(errors="ignore")
        messages[message_name(line.timestamp_ms, number)] = _without_blanks(
            {
                "timestamp": line.timestamp_ms,
                "source": line.source,
                "content": content,
                "content_cut": True if content != line.content else None,
                "jid": line.jid,
                "name": author.name,
                "email": author.email,
                "user_id": author.user_id,
                "matched_by": author.matched_by,
            }
        )
    return messages


def _participant(person: Connection) -> dict[str, Json]:
    return _without_blanks(
        {
            "jid": person.jid,
            "full_jid": person.full_jid,
            "participant_id": person.participant_id,
            "name": person.name,
            "email": person.email,
            "user_id": person.user_id,
            "moderator": person.moderator,
            "joined_at": person.joined_at_ms,
            "left_at": person.left_at_ms,
            "left_because": person.left_because,
        }
    )


def _participant_entry(person: Connection) -> dict[str, Json]:
    return _participant(person) | {"joined_at": _time(person.joined_at_ms), "left_at": _time(person.left_at_ms)}


def _message_entry(message: dict[str, Json]) -> dict[str, Json]:
    entry = {name: value for name, value in message.items() if name != "timestamp"}
    return {"at": iso_time(message["timestamp"]), **entry}


def _file_entry(session: Session, file: FileRecord) -> dict[str, Json]:
    return _without_blanks(
        {
            "kind": file.kind,
            "id": file.id,
            "status": file.status.value,
            "name": file.key.removeprefix(session.folder + "/"),
            "size": file.size,
            "checksum_crc32": file.checksum,
            "content_type": file.content_type,
            "source_etag": file.source_etag,
            "starts_at": _time(file.starts_at_ms),
            "duration_seconds": file.duration_seconds,
            "archived_at": _time(file.archived_at_ms),
            "link_dies_at": None if file.status is FileStatus.ARCHIVED else iso_time(file.deadline_ms),
            "reason": file.reason,
        }
    )


def _first(events: Iterable[Event], event_type: str) -> str | None:
    return next((iso_time(event.timestamp_ms) for event in events if event.type == event_type), None)


def _time(ms: int | None) -> str | None:
    return None if ms is None else iso_time(ms)


def _without_blanks(values: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None and value != ""}
