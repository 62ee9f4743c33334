"""Meetings that chance invented: who came and went, what they wrote and said, and what became of it."""

import random
import re
from collections.abc import Sequence
from typing import Any

from local.chaos.documents import hand_round
from local.chaos.draft import Draft
from local.chaos.meetings import (
    CHAT,
    RTC_STATS,
    SECOND_MS,
    TRANSCRIPT,
    File,
    Line,
    Meeting,
    Person,
    Stay,
    Telling,
    sorted_lines,
)
from local.chaos.recordings import record
from local.chaos.screens import share_screen
from local.jaas import conversation
from local.jaas.meeting import APP_ID, DOMAIN, as_json, new_uuid, random_text
from local.jaas.small_files import make_rtc_stats

_ROOMS = ("weeklysync", "release-review", "sales.pipeline", "Quarterly Planning", "besprechung-süd", "../../etc/passwd")
_KIB, _MIB = 1 << 10, 1 << 20
_CHAT_SHARE = 0.9
_STATS_SHARE = 0.2


def invent(rng: random.Random, *, film: bytes, now_ms: int, large_recording: bool = False) -> Meeting:
    """A meeting that ended a little before `now_ms`; its recordings are `film`, each made different.

    A large recording, of more parts than are copied at once, comes first if it is wanted.
    """
    session_id, room = new_uuid(rng), rng.choice(_ROOMS)
    ends_ms = now_ms - rng.randint(5, 600) * SECOND_MS
    draft = Draft(rng, session_id, room, ends_ms - rng.randint(300, 1800) * SECOND_MS, ends_ms)
    return _Inventor(draft).invent(film, large_recording=large_recording)


class _Inventor:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._rng = draft.rng

    def invent(self, film: bytes, *, large_recording: bool) -> Meeting:
        rng, draft = self._rng, self._draft
        people = self._people()
        known = [person for person in people if person.has_token]
        stays = self._stays(people)
        draft.tell("ROOM_CREATED", draft.starts_ms, self._of_room())
        draft.tell("ROOM_DESTROYED", draft.ends_ms, self._of_room())
        for stay in stays:
            self._tell_of(stay)
        if large_recording:
            record(draft, film, 0, rng.randint(72 * _MIB, 96 * _MIB))
        for number in range(rng.choice((0, 0, 0, 1, 1, 2))):
            record(draft, film, number + 1, rng.randint(0, 200 * _KIB))
        for breakout in sorted({stay.breakout for stay in stays}):
            if breakout or rng.random() < _CHAT_SHARE:
                self._chat([stay for stay in stays if stay.breakout == breakout], breakout)
        self._speech([stay for stay in stays if stay.person.has_token and not stay.breakout])
        hand_round(draft, known)
        share_screen(draft)
        for stay in stays:
            if rng.random() < _STATS_SHARE:
                self._tell_of_connection(stay)
        return Meeting(
            draft.session_id,
            draft.room,
            tuple(draft.events),
            tuple(draft.files),
            tuple(draft.lists),
            tuple(sorted_lines(draft.lines)),
            {stay.full_jid.partition("/")[0]: stay.person.name for stay in stays if stay.person.has_token},
        )

    def _people(self) -> list[Person]:
        rng = self._rng
        tellings = [Telling.FULL, *rng.choices(list(Telling), weights=(4, 3, 1, 2), k=rng.randint(0, 2))]
        people = []
        # Two people may well have the same name.
        for telling, name in zip(tellings, rng.choices(conversation.NAMES, k=len(tellings)), strict=True):
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
            bounds = sorted(rng.sample(range(self._draft.starts_ms + 1000, self._draft.ends_ms - 1000), 2 * len(rooms)))
            for room, from_ms, until_ms in zip(rooms, bounds[::2], bounds[1::2], strict=True):
                jid = f"{new_uuid(rng)}@{DOMAIN}/{random_text(rng, 12)}"
                stays.append(Stay(person, jid, room, from_ms, until_ms))
        return stays

    def _tell_of(self, stay: Stay) -> None:
        person = stay.person
        if person.telling is Telling.VOTE:
            user = {"participantJid": stay.full_jid, "currentName": person.name, "name": person.name}
            answers = [{"key": 1, "name": "Monday", "value": True}]
            self._draft.tell("POLL_ANSWER", stay.from_ms + 10, {"pollId": "p1", "answers": answers, "user": user})
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
        self._draft.tell("PARTICIPANT_JOINED", stay.from_ms, data)
        reason = self._rng.choice(("left", "unknown", "switch_room"))
        self._draft.tell("PARTICIPANT_LEFT", stay.until_ms, data | {"disconnectReason": reason})

    def _chat(self, stays: Sequence[Stay], breakout: str) -> None:
        rng = self._rng
        messages = []
        for _ in range(rng.choice((0, 1, 3, 8, 20))):
            stay = rng.choice(stays)
            at_ms = rng.randint(stay.from_ms, stay.until_ms)
            content = f"{rng.choice(conversation.CHAT)[1]} {rng.randint(1, 3)}"
            messages.append({"jid": stay.full_jid, "content": content, "timestamp": at_ms})
            person = stay.person
            name = "" if person.telling is Telling.NOTHING else person.name
            self._draft.lines.append(Line(at_ms, "chat", content, name, person.email, person.user_id))
        # A breakout room's file may name another session.
        document = {"sessionId": new_uuid(rng) if breakout else self._draft.session_id, "messageType": "CHAT"}
        content_bytes = as_json(document | ({"messages": messages} if messages else {"id": new_uuid(rng)}))
        object_name = f"{APP_ID}/{breakout or self._draft.session_id}.json"
        at_ms = self._draft.afterwards_ms()
        self._draft.announce(File(CHAT, object_name, content_bytes, r"chat(_[0-9a-f]{32})?\.json", at_ms))

    def _speech(self, stays: Sequence[Stay]) -> None:
        """A transcript, or what was heard live, or both of the same words."""
        rng = self._rng
        has_file, has_live = rng.choice(((False, False), (True, False), (False, True), (True, True)))
        spoken = []
        for _ in range(rng.randint(1, 4)):
            stay = rng.choice(stays)
            spoken.append((rng.randint(stay.from_ms, stay.until_ms), rng.choice(conversation.SPEECH)[1], stay))
        if has_file:
            messages = [{"name": s.person.name, "content": text, "timestamp": at} for at, text, s in spoken]
            session_id = self._draft.session_id
            content = as_json({"conferenceName": self._draft.room, "sessionId": session_id, "messages": messages})
            object_name, at_ms = f"{APP_ID}/{session_id}-transcript.json", self._draft.afterwards_ms()
            self._draft.announce(File(TRANSCRIPT, object_name, content, r"transcript\.json", at_ms))
            self._draft.lines += [Line(at, "speech", text, stay.person.name) for at, text, stay in spoken]
        if has_live:
            for number, (at, text, stay) in enumerate(spoken):
                person = stay.person
                speaker = {"id": stay.full_jid[:8], "name": person.name, "userId": person.user_id}
                data = {"final": text, "messageID": f"m{number}", "language": "en", "participant": speaker}
                self._draft.tell("TRANSCRIPTION_CHUNK_RECEIVED", at, data)
                if not has_file:
                    self._draft.lines.append(Line(at, "speech", text, person.name, person.email, person.user_id))

    def _tell_of_connection(self, stay: Stay) -> None:
        """What the browser told of its connection; of somebody without a JWT, only which one it was."""
        person, endpoint_id = stay.person, stay.full_jid[:8]
        name = person.name if person.has_token else ""
        plain = re.sub(r"[^\w.-]+", "-", name)
        stem = re.escape(plain) + ("" if plain == name else "-[0-9a-f]{8}") if name else endpoint_id
        file = File(
            RTC_STATS,
            f"{new_uuid(self._rng)}.gz",
            make_rtc_stats(person.name, self._rng.randrange(1 << 32)),
            rf"rtcstats/{stem}_[0-9a-f]{{8}}\.gz",
            self._draft.afterwards_ms(),
            title=name or endpoint_id,
            by=name,
        )
        data = {"participantId": person.user_id, "participantName": name, "endpointId": endpoint_id}
        self._draft.announce(file, data)

    def _of_room(self) -> dict[str, Any]:
        return {"conference": self._draft.room, "isBreakout": False}
