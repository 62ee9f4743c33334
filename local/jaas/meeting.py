"""Builds believable meetings: who was there, what they wrote and said, their files; what an archive must show."""

import hashlib
import json
import random
import string
import unicodedata
import uuid
from collections.abc import Sequence
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
    rng = seeded(f"meeting {seed}")
    room = room or rng.choice(ROOMS)
    session_id = new_uuid(rng)
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


def seeded(seed: str) -> random.Random:
    """Chance that repeats itself."""
    return random.Random(seed)


def new_uuid(rng: random.Random) -> str:
    """A UUID out of this chance."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def random_text(rng: random.Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """So many letters and digits."""
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
            full_jid = f"{new_uuid(rng)}@{DOMAIN}/{random_text(rng, 12)}"
            presences.append(Presence(person, full_jid, joined_at_ms, left_at_ms, reason))
    return tuple(presences)


def _chat(
    rng: random.Random, presences: tuple[Presence, ...], count: int, first_ms: int, last_ms: int
) -> tuple[ChatLine, ...]:
    step_ms = (last_ms - first_ms) / max(1, count)
    times = [first_ms + int(step_ms * (number + rng.uniform(0, 0.9))) for number in range(count)]
    if count > 1:
        times[count // 2] = times[count // 2 - 1]  # Two people press Enter in the same millisecond.
    guest = next(presence.person.name for presence in presences if presence.person.role is Role.GUEST)
    lines = []
    for number, timestamp_ms in enumerate(times):
        role, content = CHAT[number % len(CHAT)]
        again = number // len(CHAT)
        stays = [presence for presence in presences if presence.person.role is role]
        stay = next((stay for stay in stays if timestamp_ms <= stay.left_at_ms), stays[-1])
        matched_by = {Role.BARE: "bare_jid", Role.GUEST: "unknown"}.get(role, "full_jid")
        text = content.replace("{guest}", guest.split()[0]) + (f" ({again + 1})" if again else "")
        lines.append(ChatLine(timestamp_ms, stay.full_jid, text, stay.person, matched_by))
    return tuple(lines)


def _speech(people: tuple[Person, ...], first_ms: int, last_ms: int) -> tuple[SpokenLine, ...]:
    speakers = {person.role: person for person in people}
    step_ms = (last_ms - first_ms) // len(SPEECH)
    return tuple(
        SpokenLine(first_ms + number * step_ms, text, speakers[role]) for number, (role, text) in enumerate(SPEECH)
    )


def _recording_file(rng: random.Random, recording: Recording, app_id: str, room: str, starts_at_ms: int) -> MeetingFile:
    recording_session_id = random_text(rng, 16, string.ascii_lowercase)
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
    content = as_json(document)
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


def as_json(document: Any) -> bytes:
    """JSON as JaaS writes it, without a blank too many."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
