"""The record of a meeting: what its events and files amount to, as table items and as `meeting.json`."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from jaas_archive.activities import Deletion, deletions, polls, reactions, role_changes, talk_seconds
from jaas_archive.attendance import seconds_present
from jaas_archive.authors import Author, Confidence, directory
from jaas_archive.captions import Caption, web_vtt
from jaas_archive.conversation import SPEECH, Line, filled_in, live_lines, numbered
from jaas_archive.events import DOCUMENTED_TYPES, Event, Json
from jaas_archive.files import FileRecord, FileStatus
from jaas_archive.kinds import KINDS
from jaas_archive.meetings import message_name
from jaas_archive.names import bounded, iso_day, iso_time
from jaas_archive.people import MAIN_ROOM, Connection, Guests, Person, Stay, connections, guests
from jaas_archive.sessions import Session
from jaas_archive.traces import traces

SCHEMA_VERSION = 1
_MAX_CONTENT_BYTES = 300_000
"""An item holds 400 KB; a longer message is cut in the table and whole in the archived file."""
_MAX_TEXT_BYTES = 16_000
"""As much of every other text in an item: beside a long message there is room for five."""
_MAX_KEY_BYTES = 900
"""A sort key holds 1,024."""
_DAY_MS = 86_400_000
_MAX_DAYS = 31
# What may come, or be told, long after the meeting; nobody knows of types that are not documented.
_AFTERMATH = frozenset(
    {"SPEAKER_STATS", "AGGREGATED_REACTIONS", "FEEDBACK", "USAGE", "SETTINGS_PROVISIONING"}
    | {"SCREEN_SHARING_HISTORY", "DOCUMENT_DELETED"}
    | {kind.event_type for kind in KINDS}
)


@dataclass(frozen=True, slots=True)
class MeetingRecord:
    """Everything derived from a session's events and files; the same for any order of arrival."""

    participants: dict[str, dict[str, Json]]
    people: dict[str, dict[str, Json]]
    messages: dict[str, dict[str, Json]]
    captions: dict[str, str]
    days: frozenset[str]
    summary: dict[str, Json]
    document: dict[str, Json]

    @property
    def messages_digest(self) -> str:
        """Tells whether the stored messages are these without reading them."""
        return hashlib.sha256(json.dumps(self.messages, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Message:
    line: Line
    number: int
    author: Author
    person: Person | None


def make_record(
    session: Session, events: Sequence[Event], files: Sequence[FileRecord], lines: Iterable[Sequence[Line]]
) -> MeetingRecord:
    """Make the record of a session; `lines` are those of each chat and transcript file."""
    known, told = connections(events), traces(events)
    there = guests(known, told)
    messages = _messages(known, there, filled_in(list(lines), live_lines(events)))
    counting = [message for message in messages if not message.line.superseded_by]
    named = sum(bool(message.author.name) for message in counting)
    times = [event.timestamp_ms for event in events] or [session.started_at_ms]
    from_ms, until_ms = _duration(session, events)
    people = _People(there, events, counting, until_ms)
    deleted = deletions(events, there)
    summary = {
        "first_seen": min(times),
        "last_seen": max(times),
        "events": len(events),
        "people": len(there.people),
        "participants": len(known),
        "messages": len(counting),
        "messages_attributed": named,
        "files": len(files),
        "files_archived": sum(file.status is FileStatus.ARCHIVED for file in files),
    }
    return MeetingRecord(
        participants={bounded(one.key, _MAX_KEY_BYTES): _as_item(_participant(one)) for one in known if one.key},
        people=people.items(session),
        messages={
            message_name(message.line.timestamp_ms, message.number): _message_item(message) for message in messages
        },
        captions=_captions(counting, files),
        days=_days(session, from_ms, until_ms),
        summary=summary,
        document={
            "schema_version": SCHEMA_VERSION,
            "version": session.version,
            "session_id": session.id,
            "app_id": session.app_id,
            "room": session.room,
            "folder": session.folder,
            "started_at": iso_time(from_ms),
            "ended_at": _room_time(reversed(events), "ROOM_DESTROYED"),
            "duration_seconds": (until_ms - from_ms) / 1000,
            "first_seen_at": iso_time(min(times)),
            "last_seen_at": iso_time(max(times)),
            "coverage": {
                "messages": len(counting),
                "with_a_name": named,
                "ratio": round(named / len(counting), 4) if counting else None,
                "matched_by": dict(sorted(Counter(message.author.matched_by for message in counting).items())),
                "confidence": dict(sorted(Counter(message.author.confidence.value for message in counting).items())),
            },
            "people": people.entries(),
            "participants": [_participant_entry(one) for one in known],
            "files": [_file_entry(session, file, there, deleted) for file in sorted(files, key=_file_order)],
            "messages": [_message_entry(message) for message in counting],
            "polls": [
                {
                    "id": poll.id,
                    "asked_at": _time(poll.asked_at_ms),
                    "question": poll.question,
                    "asked_by": poll.asked_by,
                    "voters": poll.voters,
                    "answers": [
                        {"name": choice.name, "votes": len(choice.voters), "voters": list(choice.voters)}
                        for choice in poll.choices
                    ],
                }
                for poll in polls(events, there)
            ],
            "reactions": [
                _without_blanks(
                    {"at": iso_time(one.at_ms), "reaction": one.reaction, "name": one.name, "person": one.person}
                )
                for one in people.reactions
            ],
            "roles": [
                _without_blanks(
                    {"at": iso_time(one.at_ms), "role": one.role, "to": one.to, "by": one.by, "person": one.person}
                )
                for one in people.roles
            ],
            "events": [{"at": iso_time(event.timestamp_ms), "type": event.type} for event in events],
        },
    )


def _messages(known: Sequence[Connection], there: Guests, lines: Iterable[Line]) -> list[_Message]:
    told = [trace for person in there.people for trace in person.traces]
    ladder = directory(known, told, there.people)
    messages = []
    for line, number in numbered(lines):
        author = ladder.author(line)
        proven = author.confidence not in (Confidence.NONE, Confidence.CLAIMED)
        person = there.find(user_id=author.user_id, jid=line.jid) if proven else None
        messages.append(_Message(line, number, author, person))
    return messages


def _message_item(message: _Message) -> dict[str, Json]:
    line, author = message.line, message.author
    content = _cut(line.content, _MAX_CONTENT_BYTES)
    of_person = author.user_id and not line.superseded_by
    return _as_item(
        {
            "gsi1pk": f"PERSON#{bounded(author.user_id, _MAX_KEY_BYTES)}" if of_person else None,
            "gsi1sk": f"MESSAGE#{iso_time(line.timestamp_ms)}" if of_person else None,
            "timestamp": line.timestamp_ms,
            "time_unknown": None if line.time_known else True,
            "source": line.source,
            "content": content,
            "content_cut": True if content != line.content else None,
            "jid": line.jid,
            "name": author.name,
            "email": author.email,
            "user_id": author.user_id,
            "matched_by": author.matched_by,
            "confidence": author.confidence.value,
            "superseded_by": line.superseded_by,
        }
    )


def _message_entry(message: _Message) -> dict[str, Json]:
    line, author = message.line, message.author
    return _without_blanks(
        {
            "at": iso_time(line.timestamp_ms),
            "time_unknown": None if line.time_known else True,
            "source": line.source,
            "content": line.content,
            "jid": line.jid,
            "person": message.person.id if message.person else None,
            "name": author.name,
            "email": author.email,
            "user_id": author.user_id,
            "matched_by": author.matched_by,
            "confidence": author.confidence.value,
        }
    )


class _People:
    """What is known of each person."""

    def __init__(self, there: Guests, events: Sequence[Event], messages: Sequence[_Message], until_ms: int) -> None:
        self._people = there.people
        self._until_ms = until_ms
        self._talked = talk_seconds(events, there)
        self.reactions = reactions(events, there)
        self.roles = role_changes(events, there)
        self._lines: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for message in messages:
            if message.person:
                self._lines[message.person.id][message.line.source] += 1

    def entries(self) -> list[dict[str, Json]]:
        return [
            {"id": person.id}
            | self._known(person)
            | {
                "also_named": list(person.names[1:]),
                "kind": person.kind,
                "moderator": self._moderator(person),
                "stays": [_stay(stay) for one in person.connections for stay in one.stays],
                "lobby": [_stay(stay) for one in person.connections for stay in one.lobby],
                "reactions": dict(
                    sorted(Counter(one.reaction for one in self.reactions if one.person == person.id).items())
                ),
                "chat_messages": self._lines[person.id]["chat"],
                "spoken_lines": self._lines[person.id]["speech"],
                "seen_in": list(person.seen_in),
            }
            for person in self._people
        ]

    def items(self, session: Session) -> dict[str, dict[str, Json]]:
        """One item for each JWT user id and each e-mail address, by which the sessions of a person are found."""
        items: dict[str, dict[str, Json]] = {}
        for person in self._people:
            names = [person.user_id, *(email.lower() for email in person.emails)]
            for name in [bounded(name, _MAX_KEY_BYTES) for name in names] if person.user_id else []:
                items[name] = _as_item(
                    {
                        "gsi1pk": f"PERSON#{name}",
                        "gsi1sk": f"SESSION#{iso_time(session.started_at_ms)}",
                        "session_id": session.id,
                        "room": session.room,
                        "folder": session.folder,
                        "chat_messages": self._lines[person.id]["chat"],
                        "spoken_lines": self._lines[person.id]["speech"],
                        **{key: _number(value) for key, value in self._known(person).items()},
                    }
                )
        return items

    def _known(self, person: Person) -> dict[str, Json]:
        stays = [stay for one in person.connections for stay in one.stays]
        joined = min((stay.joined_at_ms for stay in stays if stay.joined_at_ms is not None), default=None)
        left = [stay.left_at_ms for stay in stays]
        return _without_blanks(
            {
                "name": person.name,
                "email": person.email,
                "user_id": person.user_id,
                "joined_at": _time(joined),
                "left_at": _time(max(at for at in left if at is not None)) if left and None not in left else None,
                "seconds_present": seconds_present(person, until_ms=self._until_ms) if stays else None,
                "talk_seconds": self._talked.get(person.id),
            }
        )

    def _moderator(self, person: Person) -> bool:
        granted = any(change.person == person.id and change.role == "moderator" for change in self.roles)
        return granted or any(one.moderator for one in person.connections)


def _captions(messages: Sequence[_Message], files: Sequence[FileRecord]) -> dict[str, str]:
    """The captions of each archived recording by their key: players pick up what is named like the recording."""
    spoken = [
        Caption(message.line.timestamp_ms, message.author.name, message.line.content)
        for message in messages
        if message.line.source == SPEECH and message.line.time_known
    ]
    return {
        str(PurePosixPath(file.key).with_suffix(".vtt")): text
        for file in files
        if file.kind == "recording" and file.status is FileStatus.ARCHIVED and file.starts_at_ms is not None
        if (text := web_vtt(spoken, starts_at_ms=file.starts_at_ms, duration_seconds=_seconds(file)))
    }


def _duration(session: Session, events: Sequence[Event]) -> tuple[int, int]:
    """From when to when the meeting went on; an archive that hears of it late does not make it longer."""
    meeting = [event for event in events if event.type in DOCUMENTED_TYPES - _AFTERMATH] or list(events)
    times = [event.timestamp_ms for event in meeting] or [session.started_at_ms]
    started = [event.timestamp_ms for event in meeting if event.type == "ROOM_CREATED" and not _is_breakout(event)]
    ended = [event.timestamp_ms for event in meeting if event.type == "ROOM_DESTROYED" and not _is_breakout(event)]
    from_ms = min(started or times)
    return from_ms, max(from_ms, *(ended or times))


def _days(session: Session, from_ms: int, until_ms: int) -> frozenset[str]:
    """Every day that the meeting touches, at most a month of them."""
    steps = range(min(from_ms, until_ms), min(until_ms, from_ms + _MAX_DAYS * _DAY_MS), _DAY_MS)
    return frozenset(map(iso_day, [*steps, from_ms, until_ms, session.started_at_ms]))


def _is_breakout(event: Event) -> bool:
    return event.fields.get("isBreakout") in (True, "true")


def _participant(one: Connection) -> dict[str, Json]:
    return _without_blanks(
        {
            "jid": one.jid,
            "full_jid": one.full_jid,
            "participant_id": one.participant_id,
            "kind": None if one.kind == "participant" else one.kind,
            "name": one.name,
            "email": one.email,
            "user_id": one.user_id,
            "moderator": one.moderator,
            "joined_at": one.joined_at_ms,
            "left_at": one.left_at_ms,
            "left_because": one.left_because,
        }
    )


def _participant_entry(one: Connection) -> dict[str, Json]:
    return _participant(one) | {"joined_at": _time(one.joined_at_ms), "left_at": _time(one.left_at_ms)}


def _stay(stay: Stay) -> dict[str, Json]:
    return {
        "room": "main" if stay.room == MAIN_ROOM else stay.room,
        "joined_at": _time(stay.joined_at_ms),
        "left_at": _time(stay.left_at_ms),
        "left_because": stay.left_because,
    }


def _file_entry(session: Session, file: FileRecord, there: Guests, deleted: Mapping[str, Deletion]) -> dict[str, Json]:
    owner = there.find(user_id=file.owner_id)
    deletion = deleted.get(file.id) if file.kind == "document" else None
    return _without_blanks(
        {
            "kind": file.kind,
            "id": file.id,
            "status": file.status.value,
            "name": file.key.removeprefix(session.folder + "/"),
            "title": file.title,
            "by": owner.name if owner else None,
            "person": owner.id if owner else None,
            "deleted_at": iso_time(deletion.at_ms) if deletion else None,
            "deleted_by": deletion.by if deletion else None,
            "size": file.size,
            "checksum_crc32c": file.checksum,
            "content_type": file.content_type,
            "source_etag": file.source_etag,
            "starts_at": _time(file.starts_at_ms),
            "duration_seconds": _seconds(file),
            "plays_seconds": file.plays_seconds,
            "archived_at": _time(file.archived_at_ms),
            "erased_at": _time(file.erased_at_ms),
            "link_dies_at": None if file.status is FileStatus.ARCHIVED else iso_time(file.deadline_ms),
            "reason": file.reason,
        }
    )


def _file_order(file: FileRecord) -> tuple[str, int, str]:
    """By kind, then by time."""
    return file.kind, file.starts_at_ms or 0, file.sort_key


def _seconds(file: FileRecord) -> float | None:
    """How long a recording is, by its event or else by the file itself."""
    return file.plays_seconds if file.duration_seconds is None else file.duration_seconds


def _room_time(events: Iterable[Event], event_type: str) -> str | None:
    """When the main room was made or closed; events of breakout rooms have the same types."""
    found = (iso_time(event.timestamp_ms) for event in events if event.type == event_type and not _is_breakout(event))
    return next(found, None)


def _as_item(values: Mapping[str, Json]) -> dict[str, Json]:
    """Values that fit into an item, whatever people call themselves."""
    return {
        name: _cut(value, _MAX_TEXT_BYTES) if isinstance(value, str) and name != "content" else value
        for name, value in _without_blanks(values).items()
    }


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")


def _number(value: Json) -> Json:
    """The table holds whole numbers; a fraction of a second is nothing that people look for."""
    return round(value) if isinstance(value, float) else value


def _time(ms: int | None) -> str | None:
    return None if ms is None else iso_time(ms)


def _without_blanks(values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value is not None and value != ""}
