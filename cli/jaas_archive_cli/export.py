"""`export`: what the archive has of a person, in all sessions, and nothing of others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jaas_archive.enriching import LINES_IN
from jaas_archive.events import Json
from jaas_archive.names import iso_time
from jaas_archive.people import Person
from jaas_archive_cli.person import Identity, find_person, marks_of
from jaas_archive_cli.sources import Sources, sessions_of
from jaas_archive_cli.stack import Stack


@dataclass(frozen=True, slots=True)
class Attended:
    """What a session tells of a person; the entries have the fields of `meeting.json`.

    `events` is each event that tells of them, with that part of it which does.
    """

    session_id: str
    room: str
    folder: str
    started_at: str
    people: list[Json]
    connections: list[Json]
    messages: list[Json]
    polls: list[Json]
    reactions: list[Json]
    roles: list[Json]
    files: list[Json]
    events: list[Json]


@dataclass(frozen=True, slots=True)
class Export:
    """What the archive has of a person."""

    person: str
    stack: str
    made_at: str
    sessions: list[Attended]


def export(stack: Stack, person: str, session_id: str | None, *, now_ms: int) -> Export:
    """Gather it; with a session's id from that one only, and then a name will do.

    Raises:
        AmbiguousError: the name is that of several people.
    """
    sessions = [
        attended
        for each in ([session_id] if session_id else sessions_of(stack, person))
        if (attended := _attended(stack, person, each, by_name=bool(session_id)))
    ]
    sessions.sort(key=lambda attended: attended.started_at)
    return Export(person, stack.name, iso_time(now_ms), sessions)


def _attended(stack: Stack, person: str, session_id: str, *, by_name: bool) -> Attended | None:
    sources = Sources.read(stack, session_id)
    if sources is None:
        return None
    lines = [line for lines in sources.lines for line in lines]
    identity = find_person(person, sources.people, lines, by_name=by_name)
    if identity is None:
        return None
    people = tuple(one for one in sources.people if identity.marks & marks_of([one]))
    document, ids = sources.record.document, {one.id for one in people}
    messages = [entry for entry in document["messages"] if entry.get("person") in ids or identity.owns(entry)]
    return Attended(
        session_id=session_id,
        room=sources.session.room,
        folder=sources.session.folder,
        started_at=iso_time(sources.session.started_at_ms),
        people=[entry for entry in document["people"] if entry["id"] in ids],
        connections=[entry for entry in document["participants"] if identity.owns(entry)],
        messages=messages,
        polls=list(_polls(sources, identity)),
        reactions=[entry for entry in document["reactions"] if entry.get("person") in ids or identity.owns(entry)],
        # Who gave it is another.
        roles=[entry | {"by": None} for entry in document["roles"] if entry.get("person") in ids],
        files=list(_files(sources, people, {entry["source"] for entry in messages})),
        events=[
            {"at": iso_time(event.timestamp_ms), "type": event.type, "data": parts}
            for event in sources.events
            if (parts := list(identity.parts(event.data)))
        ],
    )


def _polls(sources: Sources, identity: Identity) -> Iterator[Mapping[str, Any]]:
    """What they asked and how they voted."""
    for event in sources.events:
        if event.type in ("POLL_CREATED", "POLL_ANSWER") and list(identity.parts(event.data)):
            answers = [answer for answer in event.fields.get("answers", []) if isinstance(answer, dict)]
            asked = event.type == "POLL_CREATED"
            yield {
                "at": iso_time(event.timestamp_ms),
                "id": event.fields.get("pollId"),
                "asked": event.fields.get("question") if asked else None,
                "chosen": [answer.get("name") for answer in answers if answer.get("value") in (True, "true", 1)],
            }


def _files(sources: Sources, people: tuple[Person, ...], wrote: set[str]) -> Iterator[Mapping[str, Any]]:
    """The files that hold their words, and those in which they may be heard or seen."""
    for file in sources.stored.files:
        theirs = LINES_IN[file.kind] in wrote if file.kind in LINES_IN else sources.shows(file, people)
        if file.key and theirs:
            yield {"kind": file.kind, "key": file.key, "status": file.status.value, "size": file.size}
