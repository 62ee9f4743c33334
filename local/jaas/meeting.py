"""Builds believable meetings: their events in true order, their files, and the truth that an archive must show."""

import hashlib
import json
import random
import string
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.jaas.conversation import CHAT, NAMES, ROOMS, SPEECH, Role
from local.jaas.files import FileServer, Link
from local.recording import Recording

APP_ID = "vpaas-magic-cookie-5d0e7b3c9a1f4e6280b7c4d19f3a6e52"
DOMAIN = "8x8.vc"
_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody; `user_id` and `email` come from the JWT and are empty for a guest."""

    role: Role
    name: str
    email: str
    user_id: str

    @property
    def has_token(self) -> bool:
        """Whether JaaS tells of their coming and going."""
        return self.role is not Role.GUEST


@dataclass(frozen=True, slots=True)
class Presence:
    """One stay of a person in the room, under one JID."""

    person: Person
    full_jid: str
    joined_at_ms: int
    left_at_ms: int
    disconnect_reason: str

    @property
    def jid(self) -> str:
        """The bare JID."""
        return self.full_jid.partition("/")[0]

    @property
    def participant_id(self) -> str:
        """The first eight hex digits of the JID."""
        return self.full_jid[:8]


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A message, who really wrote it, and by what the archive can know that."""

    timestamp_ms: int
    jid: str
    content: str
    author: Person
    matched_by: str


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """What somebody said."""

    timestamp_ms: int
    content: str
    speaker: Person


@dataclass(frozen=True, slots=True)
class MeetingFile:
    """A file that JaaS makes of a meeting; `event_type` announces it."""

    event_type: str
    object_name: str
    bucket: str
    content_type: str
    source: Path | bytes
    size_bytes: int
    sha256: str
    recording: Recording | None = None
    recording_session_id: str = ""
    starts_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class MeetingEvent:
    """One webhook body."""

    type: str
    timestamp_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and its ground truth."""

    seed: int
    app_id: str
    room: str
    session_id: str
    started_at_ms: int
    ended_at_ms: int
    people: tuple[Person, ...]
    presences: tuple[Presence, ...]
    chat: tuple[ChatLine, ...]
    speech: tuple[SpokenLine, ...]
    files: tuple[MeetingFile, ...]

    @property
    def fqn(self) -> str:
        """`<appId>/<room>`."""
        return f"{self.app_id}/{self.room}"

    def publish(self, server: FileServer) -> dict[str, Link]:
        """Serve the files; the links by object name."""
        return {
            file.object_name: server.publish(
                file.source, name=file.object_name, bucket=file.bucket, content_type=file.content_type
            )
            for file in self.files
        }

    def events(self, links: Mapping[str, Link]) -> list[MeetingEvent]:
        """The events in the order in which they happened."""
        return _EventWriter(self, {name: link.url for name, link in links.items()}).write()


def build_meeting(
    seed: int,
    *,
    started_at_ms: int,
    recordings: Sequence[Recording] = (),
    room: str | None = None,
    messages: int = len(CHAT),
    app_id: str = APP_ID,
) -> Meeting:
    """A meeting that is the same for the same arguments.

    Five people; one comes back with another JID, of one JaaS does not tell the full JID, one has no JWT. It lasts four
    minutes and as long as its recordings. Messages beyond the forty of the conversation repeat it, numbered.
    """
    rng = _seeded(f"meeting {seed}")
    room = room or rng.choice(ROOMS)
    session_id = _uuid(rng)
    people = tuple(_person(rng, role, name) for role, name in zip(Role, rng.sample(NAMES, len(Role)), strict=True))
    ended_at_ms = started_at_ms + 4 * _MINUTE_MS + sum(r.duration_seconds for r in recordings) * _SECOND_MS
    presences = _presences(rng, people, started_at_ms, ended_at_ms)
    chat = _chat(rng, presences, messages, started_at_ms + 30 * _SECOND_MS, ended_at_ms - 20 * _SECOND_MS)
    speech = _speech(people, started_at_ms + 2 * _MINUTE_MS, ended_at_ms - _MINUTE_MS)
    files: list[MeetingFile] = []
    starts_at_ms = started_at_ms + 2 * _MINUTE_MS
    for recording in recordings:
        files.append(_recording_file(rng, recording, app_id, room, starts_at_ms))
        starts_at_ms += (recording.duration_seconds + 5) * _SECOND_MS
    files.append(
        _json_file("CHAT_UPLOADED", "chat", app_id, session_id, _chat_document(app_id, room, session_id, chat))
    )
    files.append(
        _json_file(
            "TRANSCRIPTION_UPLOADED",
            "transcriptions",
            app_id,
            session_id,
            _transcript_document(room, session_id, speech),
        )
    )
    return Meeting(
        seed, app_id, room, session_id, started_at_ms, ended_at_ms, people, presences, chat, speech, tuple(files)
    )


def disorder[T](events: Iterable[T], *, seed: int, doubled: float = 0.3) -> list[T]:
    """Events as JaaS may deliver them: in any order, a share of them twice."""
    rng = _seeded(f"disorder {seed}")
    events = list(events)
    mixed = events + rng.sample(events, round(len(events) * doubled))
    rng.shuffle(mixed)
    return mixed


def _seeded(seed: str) -> random.Random:
    return random.Random(seed)


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _letters(rng: random.Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(alphabet, k=count))


def _person(rng: random.Random, role: Role, name: str) -> Person:
    if role is Role.GUEST:
        return Person(role, name, "", "")
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    mailbox = ".".join("".join(letter for letter in word if letter.isalnum()) for word in plain.split())
    return Person(role, name, f"{mailbox}@example.com", f"auth0|{rng.getrandbits(96):024x}")


def _presences(
    rng: random.Random, people: tuple[Person, ...], started_at_ms: int, ended_at_ms: int
) -> tuple[Presence, ...]:
    presences = []
    for number, person in enumerate(people):
        joined = started_at_ms + 1200 + number * rng.randint(2000, 5000)
        left = ended_at_ms - 3000 + number * 300
        stays = [(joined, left, "left")]
        if person.role is Role.REJOINER:
            dropped = (joined + left) // 2
            stays = [(joined, dropped, "unknown"), (dropped + 4000, left, "left")]
        for joined_at_ms, left_at_ms, reason in stays:
            full_jid = f"{_uuid(rng)}@{DOMAIN}/{_letters(rng, 12)}"
            presences.append(Presence(person, full_jid, joined_at_ms, left_at_ms, reason))
    return tuple(presences)


def _chat(
    rng: random.Random, presences: tuple[Presence, ...], count: int, first_ms: int, last_ms: int
) -> tuple[ChatLine, ...]:
    times = sorted(rng.randint(first_ms, last_ms) for _ in range(count))
    if count > 1:
        times[count // 2] = times[count // 2 - 1]  # Two people press Enter in the same millisecond.
    lines = []
    for number, timestamp_ms in enumerate(times):
        role, content = CHAT[number % len(CHAT)]
        again = number // len(CHAT)
        stays = [presence for presence in presences if presence.person.role is role]
        stay = next((stay for stay in stays if timestamp_ms <= stay.left_at_ms), stays[-1])
        matched_by = {Role.BARE: "bare_jid", Role.GUEST: "unknown"}.get(role, "full_jid")
        text = f"{content} ({again + 1})" if again else content
        lines.append(ChatLine(timestamp_ms, stay.full_jid, text, stay.person, matched_by))
    return tuple(lines)


def _speech(people: tuple[Person, ...], first_ms: int, last_ms: int) -> tuple[SpokenLine, ...]:
    speakers = {person.role: person for person in people}
    step_ms = (last_ms - first_ms) // len(SPEECH)
    return tuple(
        SpokenLine(first_ms + number * step_ms, text, speakers[role]) for number, (role, text) in enumerate(SPEECH)
    )


def _recording_file(rng: random.Random, recording: Recording, app_id: str, room: str, starts_at_ms: int) -> MeetingFile:
    recording_session_id = _letters(rng, 16, string.ascii_lowercase)
    started = datetime.fromtimestamp(starts_at_ms // _SECOND_MS, UTC).strftime("%Y-%m-%d-%H-%M-%S")
    return MeetingFile(
        event_type="RECORDING_UPLOADED",
        object_name=f"{app_id}/{recording_session_id}/{room}_{started}.mp4",
        bucket=_bucket("recordings"),
        content_type="video/mp4",
        source=recording.path,
        size_bytes=recording.size_bytes,
        sha256=recording.sha256,
        recording=recording,
        recording_session_id=recording_session_id,
        starts_at_ms=starts_at_ms,
    )


def _json_file(event_type: str, bucket: str, app_id: str, session_id: str, document: dict[str, Any]) -> MeetingFile:
    content = _json(document)
    return MeetingFile(
        event_type=event_type,
        object_name=f"{app_id}/{session_id}.json" if bucket == "chat" else f"{app_id}/{session_id}-transcript.json",
        bucket=_bucket(bucket),
        content_type="application/json",
        source=content,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _bucket(purpose: str) -> str:
    return f"vpaas-{purpose}-prod-8x8-us-phoenix-1"


def _chat_document(app_id: str, room: str, session_id: str, chat: tuple[ChatLine, ...]) -> dict[str, Any]:
    document = {
        "roomAddress": f"[{app_id}]{room}@conference.{DOMAIN}",
        "meetingFqn": f"{app_id}/{room}",
        "sessionId": session_id,
        "timestamp": chat[-1].timestamp_ms if chat else 0,
        "messageType": "CHAT",
    }
    messages = [{"jid": line.jid, "content": line.content, "timestamp": line.timestamp_ms} for line in chat]
    return document | ({"messages": messages} if messages else {})


def _transcript_document(room: str, session_id: str, speech: tuple[SpokenLine, ...]) -> dict[str, Any]:
    messages = [{"name": line.speaker.name, "content": line.content, "timestamp": line.timestamp_ms} for line in speech]
    return {"conferenceName": room, "sessionId": session_id, "messages": messages}


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class _EventWriter:
    """Writes down a meeting's events."""

    def __init__(self, meeting: Meeting, urls: Mapping[str, str]) -> None:
        self._meeting = meeting
        self._urls = urls
        self._rng = _seeded(f"events {meeting.seed}")
        self._events: list[MeetingEvent] = []
        self._conference = f"{meeting.room}@conference.{meeting.app_id}.{DOMAIN}"
        self._by_role = {presence.person.role: presence for presence in meeting.presences}

    def write(self) -> list[MeetingEvent]:
        meeting = self._meeting
        room = {"conference": self._conference, "isBreakout": False}
        self._add("ROOM_CREATED", meeting.started_at_ms, room)
        self._comings_and_goings()
        self._small_talk()
        self._add("ROOM_DESTROYED", meeting.ended_at_ms, room)
        self._aftermath()
        return sorted(self._events, key=lambda event: event.timestamp_ms)

    def _comings_and_goings(self) -> None:
        for presence in self._meeting.presences:
            if presence.person.has_token:
                data = self._participant(presence)
                self._add("PARTICIPANT_JOINED", presence.joined_at_ms, data)
                data = data | {"disconnectReason": presence.disconnect_reason}
                self._add("PARTICIPANT_LEFT", presence.left_at_ms, data)
                self._add("USAGE", presence.joined_at_ms + 40, [self._usage(presence.person)])

    def _small_talk(self) -> None:
        host, regular = self._by_role[Role.HOST], self._by_role[Role.REGULAR]
        at_ms = self._meeting.started_at_ms + _MINUTE_MS
        role = {"grantedTo": {"participantJid": regular.full_jid}, "grantedBy": {"participantJid": host.full_jid}}
        self._add("ROLE_CHANGED", at_ms, {"role": "moderator", **role})
        answers = [{"key": 1, "name": "Thursday"}, {"key": 2, "name": "Monday"}]
        poll = {"pollId": _letters(self._rng, 10).lower(), "isBreakout": False}
        question = {"question": "When do we ship 4.2?", "answers": answers, "user": self._poll_user(host)}
        self._add("POLL_CREATED", at_ms + 5000, question | poll, app_id=False)
        chosen = [answer | {"value": answer["key"] == 1} for answer in answers]
        answer = {"answers": chosen, "user": self._poll_user(regular)}
        self._add("POLL_ANSWER", at_ms + 9000, answer | poll, app_id=False)
        reaction = {
            "participantId": regular.person.user_id,
            "participantJid": regular.full_jid,
            "participantName": regular.person.name,
            "reactions": ["clap"],
        }
        self._add("REACTIONS", at_ms + 15_000, reaction)

    def _aftermath(self) -> None:
        ended_at_ms = self._meeting.ended_at_ms
        speakers = {line.speaker for line in self._meeting.speech}
        stats = {
            presence.full_jid: {
                "time": self._rng.randint(4000, 90_000),
                "id": presence.person.user_id,
                "name": presence.person.name,
                "email": presence.person.email,
            }
            for presence in self._meeting.presences
            if presence.person in speakers
        }
        self._add("SPEAKER_STATS", ended_at_ms + 900, stats)
        for number, file in enumerate(self._meeting.files):
            data: dict[str, Any] = {"preAuthenticatedLink": self._urls[file.object_name]}
            if file.recording:
                data |= self._recording(file, file.recording)
            self._add(file.event_type, ended_at_ms + 2000 + number * 500, data)
        feedback = {"rating": 5, "comments": "", "userId": self._by_role[Role.HOST].person.user_id}
        self._add("FEEDBACK", ended_at_ms + 8000, feedback, app_id=False)

    def _recording(self, file: MeetingFile, recording: Recording) -> dict[str, Any]:
        """What goes with a recording's link, and the two events that frame it."""
        ends_at_ms = file.starts_at_ms + recording.duration_seconds * _SECOND_MS
        self._add("RECORDING_STARTED", file.starts_at_ms - 300, {"conference": self._conference})
        self._add("RECORDING_ENDED", ends_at_ms + 300, {"conference": self._conference})
        present = [person for person in self._meeting.people if person.has_token]
        return {
            "participants": [{"name": person.name, "id": person.user_id} for person in present],
            "share": True,
            "initiatorId": self._by_role[Role.HOST].person.user_id,
            "durationSec": recording.duration_seconds,
            "startTimestamp": file.starts_at_ms,
            "endTimestamp": ends_at_ms,
            "recordingSessionId": file.recording_session_id,
        }

    def _participant(self, presence: Presence) -> dict[str, Any]:
        person = presence.person
        data = {
            "moderator": person.role is Role.HOST,
            "name": person.name,
            "group": self._meeting.app_id,
            "email": person.email,
            "id": person.user_id,
            "participantJid": presence.jid,
            "participantFullJid": presence.full_jid,
            "participantId": presence.participant_id,
            "avatar": "",
            "conference": self._conference,
            "isBreakout": False,
        }
        if person.role is Role.BARE:
            del data["participantFullJid"]
        return data

    def _usage(self, person: Person) -> dict[str, Any]:
        return {
            "customerId": self._customer_id,
            "deviceId": f"{self._rng.getrandbits(128):032x}",
            "email": person.email,
            "kid": f"{self._meeting.app_id}/9f27c4",
            "userId": person.user_id,
        }

    def _poll_user(self, presence: Presence) -> dict[str, Any]:
        person = presence.person
        return {
            "participantJid": presence.full_jid,
            "currentName": person.name.split()[0],
            "id": person.user_id,
            "name": person.name,
            "email": person.email,
        }

    @property
    def _customer_id(self) -> str:
        return self._meeting.app_id.removeprefix("vpaas-magic-cookie-")

    def _add(self, event_type: str, timestamp_ms: int, data: Any, *, app_id: bool = True) -> None:
        event = {
            "idempotencyKey": _uuid(self._rng),
            "customerId": self._customer_id,
            "appId": self._meeting.app_id,
            "eventType": event_type,
            "sessionId": self._meeting.session_id,
            "timestamp": timestamp_ms,
            "fqn": self._meeting.fqn,
            "data": data,
        }
        if not app_id:
            del event["appId"]
        self._events.append(MeetingEvent(event_type, timestamp_ms, _json(event)))
