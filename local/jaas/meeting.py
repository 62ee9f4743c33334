"""Builds believable meetings: who was there, what they wrote and said, their files; what an archive must show."""

import hashlib
import json
import random
import re
import string
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.jaas.conversation import CHAT, NAMES, ROOMS, SPEECH, Role
from local.jaas.files import FileServer, Link
from local.jaas.screen_sharing import Picture, publish_list
from local.jaas.small_files import make_pdf, make_rtc_stats, make_screenshot
from local.recording import Recording

APP_ID = "vpaas-magic-cookie-5d0e7b3c9a1f4e6280b7c4d19f3a6e52"
DOMAIN = "8x8.vc"
SCREENSHOTS = "screenshots"
"""The list of them, among the links."""
SCREENSHOTS_ON_A_PAGE = 4
_SCREENSHOTS = 6
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
    """A file that JaaS makes of a meeting.

    `event_type` announces it, with `data` beside its link. `key` is the pattern of its name in the session's folder.
    """

    kind: str
    event_type: str
    key: str
    object_name: str
    bucket: str
    content_type: str
    source: Path | bytes
    size_bytes: int
    sha256: str
    announced_at_ms: int
    data: Mapping[str, Any] = field(default_factory=dict)
    link_field: str = "preAuthenticatedLink"
    recording: Recording | None = None


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and its ground truth.

    `deleted` is the document that its author deleted in the meeting; of `screenshots` a list tells, and no event.
    """

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
    deleted: MeetingFile
    screenshots: tuple[MeetingFile, ...]

    @property
    def fqn(self) -> str:
        """`<appId>/<room>`."""
        return f"{self.app_id}/{self.room}"

    def publish(self, server: FileServer) -> dict[str, Link]:
        """Serve the files; the links by object name."""
        links = {
            file.object_name: server.publish(
                file.source, name=file.object_name, bucket=file.bucket, content_type=file.content_type
            )
            for file in self.files
        }
        pictures = [
            Picture(file.object_name, file.announced_at_ms, file.source)
            for file in self.screenshots
            if isinstance(file.source, bytes)
        ]
        return links | {SCREENSHOTS: publish_list(server, pictures, name=SCREENSHOTS, per_page=SCREENSHOTS_ON_A_PAGE)}


def build_meeting(
    seed: int,
    *,
    started_at_ms: int,
    recordings: Sequence[Recording] = (),
    segments: Sequence[Recording] = (),
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
    maker = _FileMaker(rng, app_id, room, session_id, people[0], started_at_ms, ended_at_ms)
    deleted = maker.document("Q3 road map \u2013 draft (2).pdf", make_pdf("Q3 road map"), "application/pdf", 70)
    files = (
        *maker.recordings(recordings),
        maker.json_file("chat", "CHAT_UPLOADED", _chat_document(app_id, room, session_id, chat)),
        maker.json_file("transcript", "TRANSCRIPTION_UPLOADED", _transcript_document(room, session_id, speech)),
        *(maker.segment(segment) for segment in segments),
        deleted,
        maker.document("../whiteboard.png", make_screenshot(1, slides=6), "image/png", 80),
        *(maker.rtc_stats(presence) for presence in presences[:2]),
    )
    return Meeting(
        seed,
        app_id,
        room,
        session_id,
        started_at_ms,
        ended_at_ms,
        people,
        presences,
        chat,
        speech,
        files,
        deleted,
        tuple(maker.screenshot(number) for number in range(1, _SCREENSHOTS + 1)),
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


@dataclass(slots=True)
class _FileMaker:
    """Makes the files of one meeting."""

    rng: random.Random
    app_id: str
    room: str
    session_id: str
    host: Person
    started_at_ms: int
    ended_at_ms: int
    recording_session_id: str = ""
    count: int = 0

    def recordings(self, recordings: Sequence[Recording]) -> Iterator[MeetingFile]:
        """One after the other, with five seconds between."""
        starts_at_ms = self.started_at_ms + 2 * _MINUTE_MS
        for recording in recordings:
            self.recording_session_id = random_text(self.rng, 16, string.ascii_lowercase)
            started = datetime.fromtimestamp(starts_at_ms // _SECOND_MS, UTC).strftime("%Y-%m-%d-%H-%M-%S")
            ends_at_ms = starts_at_ms + recording.duration_seconds * _SECOND_MS
            yield MeetingFile(
                kind="recording",
                event_type="RECORDING_UPLOADED",
                key=rf"recording_{_compact(starts_at_ms)}_{self.recording_session_id[:8]}\.mp4",
                object_name=f"{self.app_id}/{self.recording_session_id}/{self.room}_{started}.mp4",
                bucket=_bucket("recordings"),
                content_type="video/mp4",
                source=recording.path,
                size_bytes=recording.size_bytes,
                sha256=recording.sha256,
                announced_at_ms=self._afterwards_ms(),
                data={
                    "durationSec": recording.duration_seconds,
                    "startTimestamp": starts_at_ms,
                    "endTimestamp": ends_at_ms,
                    "recordingSessionId": self.recording_session_id,
                },
                recording=recording,
            )
            starts_at_ms = ends_at_ms + 5 * _SECOND_MS

    def segment(self, segment: Recording) -> MeetingFile:
        """A sample of the last recording."""
        starts_at_ms = self.started_at_ms + 2 * _MINUTE_MS + self.rng.randrange(500) * 10
        return MeetingFile(
            kind="segment",
            event_type="VIDEO_SEGMENT_UPLOADED",
            key=rf"segments/segment_{_compact(starts_at_ms)}_{self.recording_session_id[:8]}\.mp4",
            object_name=f"{self.app_id}/{self.recording_session_id}/{new_uuid(self.rng)}.mp4",
            bucket=_bucket("segments"),
            content_type="video/mp4",
            source=segment.path,
            size_bytes=segment.size_bytes,
            sha256=segment.sha256,
            announced_at_ms=self._afterwards_ms(),
            data={
                "startTimestamp": starts_at_ms,
                "endTimestamp": starts_at_ms + segment.duration_seconds * _SECOND_MS,
                "recordingSessionId": self.recording_session_id,
            },
        )

    def document(self, name: str, content: bytes, content_type: str, after_seconds: int) -> MeetingFile:
        """What the host hands round in the meeting, under that name."""
        stem, _, suffix = name.removeprefix("../").rpartition(".")
        plain = re.sub(r"[^\w.-]+", "-", stem).strip("-")
        hashed = "" if plain == stem else "-[0-9a-f]{8}"
        file_id = new_uuid(self.rng)
        added_at_ms = self.started_at_ms + after_seconds * _SECOND_MS
        return _in_memory(
            content,
            kind="document",
            event_type="DOCUMENT_ADDED",
            key=rf"documents/{re.escape(plain)}{hashed}\.{suffix}",
            object_name=f"{self.app_id}/{self.session_id}/{file_id}.{suffix}",
            bucket=_bucket("documents"),
            content_type=content_type,
            announced_at_ms=added_at_ms,
            data={
                "fileName": name,
                "fileId": file_id,
                "fileSize": len(content),
                "initiatorId": self.host.user_id,
                "fileCreatedAt": added_at_ms - 400,
                "linkExpiration": added_at_ms + 24 * 60 * _MINUTE_MS,
            },
        )

    def rtc_stats(self, presence: Presence) -> MeetingFile:
        """What the browser of one participant told of its connection."""
        name = re.sub(r"[^\w.-]+", "-", presence.person.name)
        hashed = "" if name == presence.person.name else "-[0-9a-f]{8}"
        return _in_memory(
            make_rtc_stats(presence.person.name, self.rng.randrange(1000)),
            kind="rtcstats",
            event_type="RTCSTATS_UPLOADED",
            key=rf"rtcstats/{re.escape(name)}{hashed}_[0-9a-f]{{8}}\.gz",
            object_name=f"{new_uuid(self.rng)}.gz",
            bucket="jaas-rtcstats-example",
            content_type="application/gzip",
            announced_at_ms=self._afterwards_ms(),
            data={
                "participantId": presence.person.user_id,
                "participantName": presence.person.name,
                "endpointId": presence.participant_id,
            },
            link_field="statsUrl",
        )

    def screenshot(self, number: int) -> MeetingFile:
        """What was on the shared screen, a quarter of a minute after the one before."""
        taken_at_ms = self.started_at_ms + 2 * _MINUTE_MS + number * 15 * _SECOND_MS
        return _in_memory(
            make_screenshot(number, slides=_SCREENSHOTS),
            kind="screenshot",
            event_type="",
            key=rf"screenshots/{_compact(taken_at_ms)}_[0-9a-f]{{8}}\.png",
            object_name=f"{self.session_id}/{new_uuid(self.rng)}.png",
            bucket=_bucket("screenshots"),
            content_type="image/png",
            announced_at_ms=taken_at_ms,
        )

    def json_file(self, kind: str, event_type: str, document: dict[str, Any]) -> MeetingFile:
        """The chat, or the transcript."""
        tail = "" if kind == "chat" else "-transcript"
        return _in_memory(
            as_json(document),
            kind=kind,
            event_type=event_type,
            key=rf"{kind}\.json",
            object_name=f"{self.app_id}/{self.session_id}{tail}.json",
            bucket=_bucket("chat" if kind == "chat" else "transcriptions"),
            content_type="application/json",
            announced_at_ms=self._afterwards_ms(),
        )

    def _afterwards_ms(self) -> int:
        self.count += 1
        return self.ended_at_ms + 1500 + self.count * 500


def _in_memory(content: bytes, **told: Any) -> MeetingFile:
    return MeetingFile(source=content, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), **told)


def _compact(ms: int) -> str:
    return datetime.fromtimestamp(ms // _SECOND_MS, UTC).strftime("%Y%m%dT%H%M%SZ")


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
