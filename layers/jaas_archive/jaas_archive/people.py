"""Who was in a meeting, and who wrote a line: pure functions over events."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from jaas_archive.conversation import Line
from jaas_archive.events import Event, Json

_JOINED, _LEFT = "PARTICIPANT_JOINED", "PARTICIPANT_LEFT"


@dataclass(frozen=True, slots=True)
class Connection:
    """One stay of a person in the meeting under one JID; times in ms, None where no event told."""

    jid: str
    full_jid: str = ""
    participant_id: str = ""
    name: str = ""
    email: str = ""
    user_id: str = ""
    moderator: bool = False
    joined_at_ms: int | None = None
    left_at_ms: int | None = None
    left_because: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a line, and what says so: `full_jid`, `bare_jid`, `file` (the line's own name) or `unknown`."""

    matched_by: str
    name: str = ""
    email: str = ""
    user_id: str = ""


def bare_jid(jid: str) -> str:
    """A JID without its resource."""
    return jid.partition("/")[0]


def connections(events: Iterable[Event]) -> tuple[Connection, ...]:
    """The connections of a meeting by bare JID, whatever the order of its events."""
    found: dict[str, Connection] = {}
    for event in sorted(events, key=lambda event: (event.timestamp_ms, event.type, event.idempotency_key)):
        if event.type not in (_JOINED, _LEFT):
            continue
        fields = event.fields
        # `participantJid` is sometimes bare and sometimes full.
        told = [_text(fields, "participantFullJid"), _text(fields, "participantJid")]
        full_jid = next((jid for jid in told if "/" in jid), "")
        jid = next((bare_jid(jid) for jid in told if jid), "")
        if jid:
            found[jid] = _seen(found.get(jid, Connection(jid)), event, full_jid)
    return tuple(found[jid] for jid in sorted(found))


def _seen(before: Connection, event: Event, full_jid: str) -> Connection:
    """The connection with what this event adds: the first word on who it is counts, the last on when it ended."""
    fields = event.fields
    joined = event.type == _JOINED
    return replace(
        before,
        full_jid=before.full_jid or full_jid,
        participant_id=before.participant_id or _text(fields, "participantId"),
        name=before.name or _text(fields, "name"),
        email=before.email or _text(fields, "email"),
        user_id=before.user_id or _text(fields, "id"),
        moderator=before.moderator or fields.get("moderator") in (True, "true"),
        joined_at_ms=event.timestamp_ms if joined and before.joined_at_ms is None else before.joined_at_ms,
        left_at_ms=before.left_at_ms if joined else event.timestamp_ms,
        left_because=before.left_because if joined else _text(fields, "disconnectReason"),
    )


@dataclass(frozen=True, slots=True)
class Directory:
    """Finds the author of a line, the surest way first."""

    rungs: tuple[tuple[str, Callable[[str], str], Mapping[str, Connection | None]], ...]

    def author(self, line: Line) -> Author:
        """Who wrote a line; where one key stands for two connections, it names nobody."""
        for matched_by, key_of, known in self.rungs:
            connection = known.get(key_of(line.jid)) if line.jid else None
            if connection:
                return Author(matched_by, connection.name, connection.email, connection.user_id)
        return Author("file", line.name, line.email) if line.name else Author("unknown")


def directory(people: Iterable[Connection]) -> Directory:
    """The ladder over these connections: full JID, then bare JID (https://developer.8x8.com/jaas/docs/webhooks-payload)."""
    people = tuple(people)
    return Directory(
        (
            ("full_jid", str, _index(people, lambda person: person.full_jid)),
            ("bare_jid", bare_jid, _index(people, lambda person: person.jid)),
        )
    )


def _index(people: Iterable[Connection], key_of: Callable[[Connection], str]) -> dict[str, Connection | None]:
    index: dict[str, Connection | None] = {}
    for person in people:
        key = key_of(person)
        if key:
            index[key] = None if key in index else person
    return index


def _text(fields: Mapping[str, Json], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
