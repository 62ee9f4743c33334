"""Traces: what each event says of somebody, and the addresses that it calls them by.

One person has many names here: a full JID (`<node uuid>@8x8.vc/<resource>`), the same without its resource, its node,
the first eight hex digits of that, a JWT user id. Which event holds which is told by
https://developer.8x8.com/jaas/docs/webhooks-payload, and where that is silent by what has been seen.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from jaas_archive.events import Event, Json

JOINED, LEFT = "PARTICIPANT_JOINED", "PARTICIPANT_LEFT"
LOBBY_JOINED, LOBBY_LEFT = "PARTICIPANT_JOINED_LOBBY", "PARTICIPANT_LEFT_LOBBY"
_CALLS = {
    f"{call}_{end}": kind
    for call, kind in {"DIAL_IN": "phone", "DIAL_OUT": "phone", "SIP_CALL_IN": "sip", "SIP_CALL_OUT": "sip"}.items()
    for end in ("STARTED", "ENDED")
}
_SHORT_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Trace:
    """What one event says of somebody; `source` is the kind of event, blank is what it does not say."""

    source: str
    at_ms: int
    jid: str = ""
    full_jid: str = ""
    participant_id: str = ""
    name: str = ""
    email: str = ""
    user_id: str = ""

    @property
    def is_identity(self) -> bool:
        """Whether it tells more than an address."""
        return bool(self.name or self.email or self.user_id)


def bare_jid(jid: str) -> str:
    """A JID without its resource."""
    return jid.partition("/")[0]


def node_of(jid: str) -> str:
    """What stands before the `@`: a UUID, the same whatever the domain."""
    node, at, _ = jid.partition("@")
    return node.lower() if at else ""


def short_id(jid: str) -> str:
    """The first eight hex digits of a JID, by which JaaS also calls a connection; blank if it does not begin so."""
    start = jid[:8].lower()
    return start if _SHORT_ID.fullmatch(start) and jid[8:9] in ("", "-", "@") else ""


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events in an order that does not depend on how they came."""
    return sorted(events, key=lambda event: (event.timestamp_ms, event.type, event.idempotency_key))


def traces(events: Iterable[Event]) -> tuple[Trace, ...]:
    """All that events say of somebody, in order."""
    return tuple(chain.from_iterable(map(traces_of, in_order(events))))


def traces_of(event: Event) -> Iterator[Trace]:
    """All that one event says of somebody."""
    return _READERS[event.type](event) if event.type in _READERS else iter(())


def call_kind(event_type: str) -> str:
    """`phone` or `sip` for events of calls, else blank."""
    return _CALLS.get(event_type, "")


def _participant(event: Event) -> Iterator[Trace]:
    fields = event.fields
    name, user_id = text_of(fields, "name"), text_of(fields, "id")
    yield _address(fields, "participant", event.timestamp_ms, name=name, user_id=user_id)


def _call(event: Event) -> Iterator[Trace]:
    fields = event.fields
    name = text_of(fields, "name") or text_of(fields, "nick") or text_of(fields, "sipAddress")
    yield _address(fields, "call", event.timestamp_ms, name=name, user_id=text_of(fields, "id"))


def _speaker_stats(event: Event) -> Iterator[Trace]:
    for jid, stats in event.fields.items():
        if isinstance(stats, dict) and "@" in jid:
            name, email, user_id = text_of(stats, "name"), text_of(stats, "email"), text_of(stats, "id")
            trace = Trace("speaker_stats", event.timestamp_ms, name=name, email=email, user_id=user_id)
            yield _at(trace, jid)


def _poll(event: Event) -> Iterator[Trace]:
    user = object_of(event.fields, "user")
    name = text_of(user, "name") or text_of(user, "currentName")
    yield _address(user, "poll", event.timestamp_ms, name=name, user_id=text_of(user, "id"))


def _reaction(event: Event) -> Iterator[Trace]:
    # Here `participantId` is the JWT user id.
    name, user_id = text_of(event.fields, "participantName"), text_of(event.fields, "participantId")
    trace = Trace("reaction", event.timestamp_ms, name=name, user_id=user_id)
    yield _at(trace, text_of(event.fields, "participantJid"))


def _gathered_reactions(event: Event) -> Iterator[Trace]:
    for reaction in objects_of(event.data):
        name, user_id = text_of(reaction, "participantName"), text_of(reaction, "participantId")
        yield Trace("reaction", event.timestamp_ms, name=name, user_id=user_id)


def _transcription_chunk(event: Event) -> Iterator[Trace]:
    speaker = object_of(event.fields, "participant")
    yield Trace(
        "transcription_chunk",
        event.timestamp_ms,
        participant_id=short_id(text_of(speaker, "id")),
        name=text_of(speaker, "name"),
        email=text_of(speaker, "email"),
        user_id=text_of(speaker, "userId"),
    )


def _rtc_stats(event: Event) -> Iterator[Trace]:
    # Here too `participantId` is the JWT user id, and `endpointId` what is called participantId elsewhere.
    yield Trace(
        "rtc_stats",
        event.timestamp_ms,
        participant_id=short_id(text_of(event.fields, "endpointId")),
        name=text_of(event.fields, "participantName"),
        user_id=text_of(event.fields, "participantId"),
    )


def _recording(event: Event) -> Iterator[Trace]:
    for present in objects_of(event.fields.get("participants")):
        name, user_id = text_of(present, "name"), text_of(present, "id")
        yield Trace("recording", event.timestamp_ms, name=name, user_id=user_id)


def _usage(event: Event) -> Iterator[Trace]:
    for usage in objects_of(event.data):
        email, user_id = text_of(usage, "email"), text_of(usage, "userId")
        yield Trace("usage", event.timestamp_ms, email=email, user_id=user_id)


def _address(fields: Mapping[str, Json], source: str, at_ms: int, *, name: str, user_id: str) -> Trace:
    trace = Trace(
        source,
        at_ms,
        participant_id=text_of(fields, "participantId"),
        name=name,
        email=text_of(fields, "email"),
        user_id=user_id,
    )
    # `participantJid` is sometimes bare and sometimes full.
    told = [text_of(fields, "participantFullJid"), text_of(fields, "participantJid")]
    return _at(trace, next((jid for jid in told if "/" in jid), "") or next(filter(None, told), ""))


def _at(trace: Trace, jid: str) -> Trace:
    return replace(trace, jid=bare_jid(jid), full_jid=jid if "/" in jid else "")


def text_of(fields: Mapping[str, Json], name: str) -> str:
    """A field as text, also where JaaS sends a number."""
    value = fields.get(name)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def object_of(fields: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """A field that is an object, else an empty one."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def objects_of(value: Json) -> list[dict[str, Json]]:
    """The objects of a list."""
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


_READERS: Mapping[str, Callable[[Event], Iterator[Trace]]] = {
    **dict.fromkeys((JOINED, LEFT, LOBBY_JOINED, LOBBY_LEFT), _participant),
    **dict.fromkeys(_CALLS, _call),
    "SPEAKER_STATS": _speaker_stats,
    "POLL_CREATED": _poll,
    "POLL_ANSWER": _poll,
    "REACTIONS": _reaction,
    "AGGREGATED_REACTIONS": _gathered_reactions,
    "TRANSCRIPTION_CHUNK_RECEIVED": _transcription_chunk,
    "RTCSTATS_UPLOADED": _rtc_stats,
    "RECORDING_UPLOADED": _recording,
    "USAGE": _usage,
}
