"""A meeting with everything in it, as events, lines and files: what the page and the properties are tested with."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from jaas_archive.conversation import Line
from jaas_archive.events import Event, read_event
from jaas_archive.files import FileRecord, FileStatus
from jaas_archive.sessions import Session

APP = "vpaas-magic-cookie-96f0941768964ab380ed0fbada7a502f"
SESSION_ID = "9a441d60-ceaf-4eba-b0a8-a7d940a76e1b"
START_MS = 1719396000000
MINUTE_MS = 60_000
FOLDER = "weekly-sync/2024-06-26_10-00-00Z_9a441d60"


def full_jid(digit: str, resource: str = "res") -> str:
    """The JID of a connection whose node is made of one hex digit."""
    return f"{digit * 8}-0000-4000-8000-000000000000@8x8.vc/{resource}"


ADA, TOM, TOM_AGAIN, MEI, JON, PHONE, GUEST, SIP = (full_jid(digit) for digit in "abcdef12")
USERS = {
    ADA: ("Ada Nwosu", "ada.nwosu@example.com", "auth0|ada"),
    TOM: ("Tomás Ferreira", "tomas@example.com", "auth0|tomas"),
    TOM_AGAIN: ("Tomás Ferreira", "tomas@example.com", "auth0|tomas"),
    MEI: ("Mei-Ling Chou", "meiling.chou@example.com", "google|mei"),
    JON: ("Jonas Lindqvist", "jonas@example.com", "auth0|jonas"),
}


def event(event_type: str, minutes: float, data: Any = None, *, key: str = "") -> dict[str, Any]:
    """A webhook body."""
    at_ms = START_MS + round(minutes * MINUTE_MS)
    return {
        "idempotencyKey": key or f"{event_type}-{at_ms}-{json.dumps(data, sort_keys=True)[:200]}",
        "customerId": "c",
        "appId": APP,
        "eventType": event_type,
        "sessionId": SESSION_ID,
        "timestamp": at_ms,
        "fqn": f"{APP}/weekly-sync",
        "data": {} if data is None else data,
    }


def participant(jid: str, *, full: bool = True, **more: Any) -> dict[str, Any]:
    """The data of a participant's event."""
    name, email, user_id = USERS[jid]
    bare = jid.partition("/")[0]
    told: dict[str, Any] = {
        "name": name,
        "email": email,
        "id": user_id,
        "participantJid": bare,
        "participantId": jid[:8],
    }
    return told | ({"participantFullJid": jid} if full else {}) | more


def _breakout(room: str) -> dict[str, Any]:
    return {"isBreakout": True, "breakoutRoomId": room}


def documents() -> list[dict[str, Any]]:
    """The events of the meeting as they come over the wire."""
    poll = {"pollId": "k3v9", "answers": [{"key": 1, "name": "Thursday"}, {"key": 2, "name": "Monday"}]}
    votes = [{"key": 1, "name": "Thursday", "value": True}, {"key": 2, "name": "Monday", "value": False}]
    other_votes = [answer | {"value": not answer["value"]} for answer in votes]
    guest = {"participantJid": GUEST, "currentName": "Priya Raman"}
    gathered = [(TOM, 720_000, "clap"), (TOM, 725_000, "clap"), (MEI, 726_000, "clap"), (TOM, 1_320_000, "laugh")]
    switched = {"disconnectReason": "switch_room"}
    return [
        event("ROOM_CREATED", 0, {"isBreakout": False}),
        event("PARTICIPANT_JOINED", 0.2, participant(ADA, moderator=True)),
        event("PARTICIPANT_JOINED", 1, participant(TOM)),
        event("PARTICIPANT_LEFT", 14, participant(TOM, disconnectReason="unrecoverable_error")),
        event("PARTICIPANT_JOINED", 15.5, participant(TOM_AGAIN)),
        event("PARTICIPANT_JOINED_LOBBY", 1.5, participant(MEI, full=False)),
        event("PARTICIPANT_LEFT_LOBBY", 4, participant(MEI, full=False)),
        event("PARTICIPANT_JOINED", 4, participant(MEI, full=False)),
        event("PARTICIPANT_JOINED", 2, participant(JON)),
        *[event("PARTICIPANT_LEFT", 20, participant(jid) | switched) for jid in (ADA, JON)],
        *[event("PARTICIPANT_JOINED", 20.1, participant(jid, **_breakout("room-b"))) for jid in (ADA, JON)],
        event("ROOM_CREATED", 20, _breakout("room-b")),
        *[event("PARTICIPANT_LEFT", 28, participant(jid, **_breakout("room-b")) | switched) for jid in (ADA, JON)],
        event("ROOM_DESTROYED", 28.5, _breakout("room-b")),
        *[event("PARTICIPANT_JOINED", 28.1, participant(jid)) for jid in (ADA, JON)],
        event("DIAL_IN_STARTED", 6, {"nick": "+351 210 000 123", "participantJid": PHONE, "participantId": PHONE[:8]}),
        event("DIAL_IN_ENDED", 31, {"participantJid": PHONE, "participantId": PHONE[:8]}),
        event("SIP_CALL_IN_STARTED", 7, {"nick": "Meeting room Lisbon", "participantJid": SIP}),
        event(
            "ROLE_CHANGED",
            3,
            {"role": "moderator", "grantedTo": {"participantJid": TOM}, "grantedBy": {"participantJid": ADA}},
        ),
        event("RECORDING_STARTED", 5, {"conference": "c"}),
        event("POLL_CREATED", 10, poll | {"question": "When do we ship 4.2?", "user": _user(ADA)}),
        event("POLL_ANSWER", 10.2, poll | {"answers": votes, "user": _user(TOM)}),
        event("POLL_ANSWER", 10.3, poll | {"answers": votes, "user": _user(MEI)}),
        event("POLL_ANSWER", 10.4, poll | {"answers": votes, "user": _user(JON)}),
        event("POLL_ANSWER", 10.6, poll | {"answers": other_votes, "user": _user(JON)}),
        event(
            "POLL_ANSWER",
            10.7,
            poll | {"answers": votes, "user": guest},
        ),
        event("REACTIONS", 12, _reaction(TOM, "clap")),
        event("REACTIONS", 12.1, _reaction(MEI, "clap")),
        event("REACTIONS", 22, _reaction(TOM, "laugh")),
        event(
            "AGGREGATED_REACTIONS",
            34,
            [
                {
                    "participantId": USERS[jid][2],
                    "participantName": USERS[jid][0],
                    "timestamp": START_MS + at,
                    "reaction": word,
                }
                for jid, at, word in gathered
            ],
        ),
        event("TRANSCRIPTION_CHUNK_RECEIVED", 30.5, _chunk("m1", TOM, "One more thing, said after the")),
        event("TRANSCRIPTION_CHUNK_RECEIVED", 30.6, _chunk("m1", TOM, "One more thing, after the transcript ended.")),
        event("TRANSCRIPTION_CHUNK_RECEIVED", 7, _chunk("m0", ADA, "a live chunk that the file has better")),
        event("PARTICIPANT_LEFT", 33, participant(ADA, disconnectReason="left")),
        event("PARTICIPANT_LEFT", 33.1, participant(TOM_AGAIN, disconnectReason="left")),
        event("PARTICIPANT_LEFT", 32, participant(MEI, full=False, disconnectReason="kicked")),
        event("SIP_CALL_IN_ENDED", 33, {"participantJid": SIP}),
        event("ROOM_DESTROYED", 34, {"isBreakout": False}),
        event(
            "SPEAKER_STATS",
            34.1,
            {
                jid: {"time": seconds * 1000, "name": USERS[jid][0], "id": USERS[jid][2], "email": USERS[jid][1]}
                for jid, seconds in ((ADA, 512), (TOM, 120), (TOM_AGAIN, 244), (MEI, 61), (JON, 178))
            },
        ),
        event("USAGE", 34.2, [{"email": "ada.nwosu@example.com", "userId": "auth0|ada"}]),
        event("FEEDBACK", 34.3, {"rating": 5, "userId": "auth0|ada"}),
    ]


def _user(jid: str) -> dict[str, Any]:
    name, email, user_id = USERS[jid]
    return {"participantJid": jid, "currentName": name.split()[0], "name": name, "email": email, "id": user_id}


def _reaction(jid: str, word: str) -> dict[str, Any]:
    name, _, user_id = USERS[jid]
    return {"participantId": user_id, "participantJid": jid, "participantName": name, "reactions": [word]}


def _chunk(message_id: str, jid: str, text: str) -> dict[str, Any]:
    name, email, user_id = USERS[jid]
    speaker = {"id": jid[:8], "name": name, "userId": user_id, "email": email}
    return {"messageID": message_id, "final": text, "language": "en", "participant": speaker}


CHAT = (
    (2.0, ADA, "Good morning everyone 👋"),
    (2.3, TOM, "Morning! Sound check: I hear you well"),
    (4.5, MEI, "hi all, I am on the train, so mostly typing today 🚆"),
    (5.5, GUEST, "Hello, this is Priya from Northwind, I join as a guest"),
    (6.0, ADA, "Welcome Priya! Agenda: release 4.2, the audit, holidays"),
    (6.1, ADA, "https://boards.example.com/release-4.2?view=swimlanes&sprint=31"),
    (9.0, JON, 'what about the "legacy <export>" button?'),
    (9.4, TOM, "I would hide it behind a flag & remove it in 4.3"),
    (9.5, TOM, "+1"),
    (16.0, TOM_AGAIN, "sorry, my connection dropped, I am back"),
    (16.3, full_jid("9"), "who am I?"),
    (17.0, ADA, "Open points of the audit:\n1. access review\n2. log retention\n3. restore test"),
    (29.0, MEI, "我可以帮忙做恢复测试 (I can help with the restore test)"),
    (30.0, JON, "שלום לכולם, תודה רבה!"),
    (32.9, ADA, "Thanks everyone, see you next week!"),
)
SPEECH = (
    (6.4, ADA, "Good morning. I have started the recording, and I hope that this is fine with all of you."),
    (6.8, JON, "Sure."),
    (7.1, ADA, "Let us begin with release four two. Where are we with the migration?"),
    (7.5, TOM, "We ran it on staging yesterday. It took thirty-eight minutes."),
    (7.6, TOM, "The way back takes a bit longer, forty-one minutes, and we compared every row."),
    (8.2, ADA, "That is better than I expected. Are there any objections to Thursday?"),
    (18.0, JON, "The access review is finished."),
    (18.6, MEI, "For the log retention we need a decision, the auditor asks for a year."),
    (19.0, ADA, "Then a year it is. Thank you, that was quick."),
)


def lines() -> list[tuple[Line, ...]]:
    """The chat file and the transcript file."""
    chat = [Line(START_MS + round(at * MINUTE_MS), "chat", jid, text) for at, jid, text in CHAT]
    speech = [
        Line(START_MS + round(at * MINUTE_MS), "speech", jid[:8], text, name="" if at == 18.0 else USERS[jid][0])
        for at, jid, text in SPEECH
    ]
    claimed = Line(START_MS + round(19.3 * MINUTE_MS), "speech", "", "Thank you all.", name="Room Lisbon")
    return [tuple(chat), (*speech, claimed)]


_BLANK = FileRecord(
    sort_key="FILE#chat#c1",
    kind="chat",
    id="c1",
    status=FileStatus.ARCHIVED,
    deadline_ms=START_MS + 86_400_000,
    tries=1,
    key="",
    size=None,
    checksum="",
    content_type="",
    source_etag="",
    reason="",
    starts_at_ms=None,
    duration_seconds=None,
    plays_seconds=None,
    mismatched=False,
    checkpoint=None,
    archived_at_ms=START_MS + 40 * MINUTE_MS,
)


def files() -> list[FileRecord]:
    """Two recordings, the chat, the transcript, and one that was lost."""
    first = replace(
        _BLANK,
        sort_key="FILE#recording#r1",
        kind="recording",
        id="r1",
        key=f"{FOLDER}/recording_20240626T100500Z_r1.mp4",
        size=184_213_332,
        checksum="8wgKMA==",
        content_type="video/mp4",
        starts_at_ms=START_MS + 5 * MINUTE_MS,
        duration_seconds=900.0,
    )
    second = replace(
        first,
        sort_key="FILE#recording#r2",
        id="r2",
        key=f"{FOLDER}/recording_20240626T102500Z_r2.mp4",
        size=92_113_332,
        starts_at_ms=START_MS + 25 * MINUTE_MS,
        duration_seconds=480.0,
    )
    return [
        first,
        second,
        replace(_BLANK, key=f"{FOLDER}/chat.json", size=3_213, checksum="yZRlqg==", content_type="application/json"),
        replace(
            _BLANK,
            sort_key="FILE#transcript#t1",
            kind="transcript",
            id="t1",
            key=f"{FOLDER}/transcript.json",
            size=5_120,
            checksum="Nks/tw==",
            content_type="application/json",
        ),
        replace(
            _BLANK,
            sort_key="FILE#recording#r3",
            kind="recording",
            id="r3",
            status=FileStatus.EXPIRED,
            reason="the source answered 404 until the link died",
            archived_at_ms=None,
        ),
    ]


SESSION = Session(
    id=SESSION_ID,
    room="weekly-sync",
    fqn=f"{APP}/weekly-sync",
    app_id=APP,
    folder=FOLDER,
    started_at_ms=START_MS,
    version=42,
    messages_digest="",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """All that a record is made from."""

    session: Session = SESSION
    documents: list[dict[str, Any]] = field(default_factory=documents)
    files: list[FileRecord] = field(default_factory=files)
    lines: list[tuple[Line, ...]] = field(default_factory=lines)

    @property
    def events(self) -> list[Event]:
        """The events as the archive reads them."""
        return [read_event(document, received_at_ms=START_MS) for document in self.documents]
