"""Meetings that chance invented: the events that JaaS sends of them, and what an archive must hold afterwards.

This is the model that the archive is compared with. It shares no code with the archive: what is expected follows from
what happened in the invented meeting, and from README.md.
"""

import hashlib
import random
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from local.jaas.conversation import CHAT, NAMES, SPEECH
from local.jaas.meeting import APP_ID, DOMAIN, as_json, new_uuid, random_text

KINDS = {"RECORDING_UPLOADED": "recording", "CHAT_UPLOADED": "chat", "TRANSCRIPTION_UPLOADED": "transcript"}
_ROOMS = ("weeklysync", "release-review", "sales.pipeline", "Quarterly Planning", "besprechung-süd", "../../etc/passwd")
_RECORDING_SECONDS = 60
_SECOND_MS = 1000
_KIB, _MIB = 1 << 10, 1 << 20
_CHAT_SHARE = 0.9


class Telling(Enum):
    """How JaaS tells who is behind a JID."""

    FULL = "PARTICIPANT_JOINED with participantFullJid"
    BARE = "PARTICIPANT_JOINED without it"
    VOTE = "no JWT, but a vote in a poll names them"
    NOTHING = "no JWT"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody; without a JWT they have neither e-mail nor user id."""

    name: str
    email: str
    user_id: str
    telling: Telling

    @property
    def has_token(self) -> bool:
        return self.telling in (Telling.FULL, Telling.BARE)


@dataclass(frozen=True, slots=True)
class Stay:
    """From when to when somebody was under one JID in one room; `breakout` is blank for the main one."""

    person: Person
    full_jid: str
    breakout: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Line:
    """What the archive must tell of one chat message or spoken line; a name that nobody can know is blank."""

    timestamp_ms: int
    source: str
    content: str
    name: str
    email: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file that JaaS keeps for a day; `name` is a pattern of its name in the session's folder."""

    kind: str
    object_name: str
    content: bytes = field(repr=False)
    name: str
    starts_at_ms: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Event:
    """One webhook event; `document` lacks the link of the file that it announces."""

    document: dict[str, Any]
    file: File | None = None

    @property
    def key(self) -> str:
        key: str = self.document["idempotencyKey"]
        return key

    def body(self, link: str = "") -> bytes:
        """What is posted."""
        document = self.document
        if self.file:
            document = document | {"data": document["data"] | {"preAuthenticatedLink": link}}
        return as_json(document)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and what remains of it: `jids` are the connections that JaaS told of, by bare JID, with their names."""

    session_id: str
    room: str
    events: tuple[Event, ...]
    files: tuple[File, ...]
    lines: tuple[Line, ...]
    jids: dict[str, str]

    @property
    def captioned(self) -> list[File]:
        """Recordings in which somebody speaks."""
        spoken = [line.timestamp_ms for line in self.lines if line.source == "speech"]
        return [
            file
            for file in self.files
            if file.kind == "recording"
            and any(file.starts_at_ms <= at < file.starts_at_ms + _RECORDING_SECONDS * _SECOND_MS for at in spoken)
        ]


def invent(rng: random.Random, *, film: bytes, now_ms: int, large_recording: bool = False) -> Meeting:
    """A meeting that ended a little before `now_ms`; its recordings are `film`, each made different.

    A large recording, of more parts than are copied at once, comes first if it is wanted.
    """
    return _Inventor(rng, film, now_ms).invent(large_recording=large_recording)


class _Inventor:
    def __init__(self, rng: random.Random, film: bytes, now_ms: int) -> None:
        self._rng = rng
        self._film = film
        self._session_id = new_uuid(rng)
        self._room = rng.choice(_ROOMS)
        self._ends_ms = now_ms - rng.randint(5, 600) * _SECOND_MS
        self._starts_ms = self._ends_ms - rng.randint(300, 1800) * _SECOND_MS
        self._events: list[Event] = []
        self._files: list[File] = []
        self._lines: list[Line] = []

    def invent(self, *, large_recording: bool) -> Meeting:
        rng = self._rng
        stays = self._stays(self._people())
        self._tell("ROOM_CREATED", self._starts_ms, self._of_room())
        self._tell("ROOM_DESTROYED", self._ends_ms, self._of_room())
        for stay in stays:
            self._tell_of(stay)
        if large_recording:
            self._record(0, rng.randint(72 * _MIB, 96 * _MIB))
        for number in range(rng.choice((0, 0, 0, 1, 1, 2))):
            self._record(number + 1, rng.randint(0, 200 * _KIB))
        for breakout in sorted({stay.breakout for stay in stays}):
            if breakout or rng.random() < _CHAT_SHARE:
                self._chat([stay for stay in stays if stay.breakout == breakout], breakout)
        self._speech([stay for stay in stays if stay.person.has_token and not stay.breakout])
        jids = {stay.full_jid.partition("/")[0]: stay.person.name for stay in stays if stay.person.has_token}
        return Meeting(
            self._session_id,
            self._room,
            tuple(self._events),
            tuple(self._files),
            tuple(sorted_lines(self._lines)),
            jids,
        )

    def _people(self) -> list[Person]:
        rng = self._rng
        tellings = [Telling.FULL, *rng.choices(list(Telling), weights=(4, 3, 1, 2), k=rng.randint(0, 2))]
        people = []
        # Two people may well have the same name.
        for telling, name in zip(tellings, rng.choices(NAMES, k=len(tellings)), strict=True):
            number = rng.getrandbits(48)
            has_token = telling in (Telling.FULL, Telling.BARE)
            mail, user = (f"p{number:x}@example.com", f"auth0|{number:024x}") if has_token else ("", "")
            people.append(Person(name, mail, user, telling))
        return people

    def _stays(self, people: Sequence[Person]) -> list[Stay]:
        """Everybody comes once, some again, and some go to a breakout room; each time under another JID."""
        rng, breakout = self._rng, new_uuid(self._rng)
        stays = []
        for person in people:
            rooms = rng.choice((("",), ("",), ("",), ("",), ("", ""), ("", breakout)))
            bounds = sorted(rng.sample(range(self._starts_ms + 1000, self._ends_ms - 1000), 2 * len(rooms)))
            for room, from_ms, until_ms in zip(rooms, bounds[::2], bounds[1::2], strict=True):
                jid = f"{new_uuid(rng)}@{DOMAIN}/{random_text(rng, 12)}"
                stays.append(Stay(person, jid, room, from_ms, until_ms))
        return stays

    def _tell_of(self, stay: Stay) -> None:
        person = stay.person
        if person.telling is Telling.VOTE:
            user = {"participantJid": stay.full_jid, "currentName": person.name, "name": person.name}
            answers = [{"key": 1, "name": "Monday", "value": True}]
            self._tell("POLL_ANSWER", stay.from_ms + 10, {"pollId": "p1", "answers": answers, "user": user})
        if not person.has_token:
            return
        data = {
            "name": person.name,
            "email": person.email,
            "id": person.user_id,
            "participantJid": stay.full_jid.partition("/")[0],
            "participantFullJid": stay.full_jid,
            "participantId": stay.full_jid[:8],
            "moderator": self._rng.choice((True, "true", False)),
            "isBreakout": bool(stay.breakout),
        }
        if stay.breakout:
            data["breakoutRoomId"] = stay.breakout
        if person.telling is Telling.BARE:
            del data["participantFullJid"]
        self._tell("PARTICIPANT_JOINED", stay.from_ms, data)
        reason = self._rng.choice(("left", "unknown", "switch_room"))
        self._tell("PARTICIPANT_LEFT", stay.until_ms, data | {"disconnectReason": reason})

    def _record(self, number: int, padding: int) -> None:
        rng = self._rng
        starts_at_ms = self._starts_ms + (number + 1) * 70 * _SECOND_MS
        ends_at_ms = starts_at_ms + _RECORDING_SECONDS * _SECOND_MS
        recording_id = random_text(rng, 16, "abcdefghijklmnopqrstuvwxyz")
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(starts_at_ms // 1000))
        file = File(
            "recording",
            f"{APP_ID}/{recording_id}/{number}.mp4",
            _film_of_its_own(self._film, rng, padding),
            rf"recording_{moment}_{recording_id[:8]}\.mp4",
            starts_at_ms,
        )
        self._tell("RECORDING_STARTED", starts_at_ms - 300, {"conference": self._room})
        data = {
            "recordingSessionId": recording_id,
            "startTimestamp": starts_at_ms,
            "endTimestamp": ends_at_ms,
            "durationSec": _RECORDING_SECONDS,
            "participants": [],
        }
        self._announce("RECORDING_UPLOADED", file, data)

    def _chat(self, stays: Sequence[Stay], breakout: str) -> None:
        rng = self._rng
        messages = []
        for _ in range(rng.choice((0, 1, 3, 8, 20))):
            stay = rng.choice(stays)
            at_ms = rng.randint(stay.from_ms, stay.until_ms)
            content = f"{rng.choice(CHAT)[1]} {rng.randint(1, 3)}"
            messages.append({"jid": stay.full_jid, "content": content, "timestamp": at_ms})
            person = stay.person
            name = "" if person.telling is Telling.NOTHING else person.name
            self._lines.append(Line(at_ms, "chat", content, name, person.email, person.user_id))
        # A breakout room's file may name another session.
        document = {"sessionId": new_uuid(rng) if breakout else self._session_id, "messageType": "CHAT"}
        content_bytes = as_json(document | ({"messages": messages} if messages else {"id": new_uuid(rng)}))
        object_name = f"{APP_ID}/{breakout or self._session_id}.json"
        self._announce("CHAT_UPLOADED", File("chat", object_name, content_bytes, r"chat(_[0-9a-f]{32})?\.json"), {})

    def _speech(self, stays: Sequence[Stay]) -> None:
        """A transcript, or what was heard live, or both of the same words."""
        rng = self._rng
        has_file, has_live = rng.choice(((False, False), (True, False), (False, True), (True, True)))
        spoken = []
        for _ in range(rng.randint(1, 4)):
            stay = rng.choice(stays)
            spoken.append((rng.randint(stay.from_ms, stay.until_ms), rng.choice(SPEECH)[1], stay))
        if has_file:
            messages = [{"name": s.person.name, "content": text, "timestamp": at} for at, text, s in spoken]
            content = as_json({"conferenceName": self._room, "sessionId": self._session_id, "messages": messages})
            file = File("transcript", f"{APP_ID}/{self._session_id}-transcript.json", content, r"transcript\.json")
            self._announce("TRANSCRIPTION_UPLOADED", file, {})
            self._lines += [Line(at, "speech", text, stay.person.name) for at, text, stay in spoken]
        if has_live:
            for number, (at, text, stay) in enumerate(spoken):
                person = stay.person
                speaker = {"id": stay.full_jid[:8], "name": person.name, "userId": person.user_id}
                data = {"final": text, "messageID": f"m{number}", "language": "en", "participant": speaker}
                self._tell("TRANSCRIPTION_CHUNK_RECEIVED", at, data)
                if not has_file:
                    self._lines.append(Line(at, "speech", text, person.name, person.email, person.user_id))

    def _announce(self, event_type: str, file: File, data: dict[str, Any]) -> None:
        self._files.append(file)
        self._tell(event_type, self._ends_ms + 2000 + len(self._files) * 500, data, file)

    def _of_room(self) -> dict[str, Any]:
        return {"conference": self._room, "isBreakout": False}

    def _tell(self, event_type: str, timestamp_ms: int, data: dict[str, Any], file: File | None = None) -> None:
        document = {
            "idempotencyKey": new_uuid(self._rng),
            "customerId": APP_ID.rpartition("-")[2],
            "appId": APP_ID,
            "eventType": event_type,
            "sessionId": self._session_id,
            "timestamp": timestamp_ms,
            "fqn": f"{APP_ID}/{self._room}",
            "data": data,
        }
        self._events.append(Event(document, file))


def sorted_lines(lines: Sequence[Line]) -> list[Line]:
    """By time, and then by all the rest."""
    return sorted(lines, key=lambda line: (line.timestamp_ms, line.source, line.content, line.name, line.user_id))


def _film_of_its_own(film: bytes, rng: random.Random, padding: int) -> bytes:
    """The same film with a box behind it that players skip, so that no two recordings are the same bytes."""
    noise = rng.randbytes(padding + 16)
    return film + struct.pack(">I4s", 8 + len(noise), b"free") + noise
