"""The webhook events of a meeting, in the order in which they happened or in the disorder in which they come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.jaas.conversation import Role
from local.jaas.files import Link
from local.jaas.meeting import (
    DOMAIN,
    SCREENSHOTS,
    Meeting,
    MeetingFile,
    Person,
    Presence,
    as_json,
    new_uuid,
    random_text,
    seeded,
)


@dataclass(frozen=True, slots=True)
class MeetingEvent:
    """One webhook body."""

    type: str
    timestamp_ms: int
    body: bytes


def events_of(meeting: Meeting, links: Mapping[str, Link]) -> list[MeetingEvent]:
    """A meeting's events by time; its files are announced with these links, by object name."""
    return _EventWriter(meeting, {name: link.url for name, link in links.items()}).write()


def disorder[T](events: Iterable[T], *, seed: int, doubled: float = 0.3) -> list[T]:
    """Events as JaaS may deliver them: in any order, a share of them twice."""
    rng = seeded(f"disorder {seed}")
    events = list(events)
    mixed = events + rng.sample(events, round(len(events) * doubled))
    rng.shuffle(mixed)
    return mixed


class _EventWriter:
    """Writes down a meeting's events."""

    def __init__(self, meeting: Meeting, urls: Mapping[str, str]) -> None:
        self._meeting = meeting
        self._urls = urls
        self._rng = seeded(f"events {meeting.seed}")
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
        at_ms = self._meeting.started_at_ms + 60_000
        role = {"grantedTo": {"participantJid": regular.full_jid}, "grantedBy": {"participantJid": host.full_jid}}
        self._add("ROLE_CHANGED", at_ms, {"role": "moderator", **role})
        answers = [{"key": 1, "name": "Thursday"}, {"key": 2, "name": "Monday"}]
        poll = {"pollId": random_text(self._rng, 10).lower(), "isBreakout": False}
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
        for file in self._meeting.files:
            data: dict[str, Any] = {file.link_field: self._urls[file.object_name], **file.data}
            if file.recording:
                data |= self._recording(file)
            self._add(file.event_type, file.announced_at_ms, data)
        if listed := self._urls.get(SCREENSHOTS):
            links = dict.fromkeys(("preAuthenticatedLink", "preAuthenticatedLinkV2"), listed)
            expires_at_ms = ended_at_ms + 24 * 3_600_000
            self._add("SCREEN_SHARING_HISTORY", ended_at_ms + 1200, links | {"linkExpiration": expires_at_ms})
        deletion = {name: self._meeting.deleted.data[name] for name in ("initiatorId", "fileId", "fileName")}
        self._add("DOCUMENT_DELETED", self._meeting.deleted.announced_at_ms + 20_000, deletion)
        feedback = {"rating": 5, "comments": "", "userId": self._by_role[Role.HOST].person.user_id}
        self._add("FEEDBACK", ended_at_ms + 8000, feedback, app_id=False)

    def _recording(self, file: MeetingFile) -> dict[str, Any]:
        """What else goes with a recording's link; the two events that frame it."""
        self._add("RECORDING_STARTED", file.data["startTimestamp"] - 300, {"conference": self._conference})
        self._add("RECORDING_ENDED", file.data["endTimestamp"] + 300, {"conference": self._conference})
        present = [person for person in self._meeting.people if person.has_token]
        return {
            "participants": [{"name": person.name, "id": person.user_id} for person in present],
            "share": True,
            "initiatorId": self._by_role[Role.HOST].person.user_id,
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
            "idempotencyKey": new_uuid(self._rng),
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
        self._events.append(MeetingEvent(event_type, timestamp_ms, as_json(event)))
