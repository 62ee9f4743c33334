"""A JaaS event: the envelope that every webhook body has, read leniently at the edge."""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jaas_archive.errors import NotAnEventError
from jaas_archive.names import bounded

type Json = Any
"""Whatever `json.loads` returns."""

_LINK = re.compile(r"https?:\\?/\\?/[^\s\"'<>]+", re.IGNORECASE)
"""A link anywhere in a text, also in JSON inside a string."""
LINK_REMOVED = "[link removed]"
"""Stands in the journal where an event held a link."""
SETTINGS_PROVISIONING = "SETTINGS_PROVISIONING"
DOCUMENTED_TYPES = frozenset(
    {
        "ROOM_CREATED",
        "ROOM_DESTROYED",
        "PARTICIPANT_JOINED",
        "PARTICIPANT_LEFT",
        "PARTICIPANT_JOINED_LOBBY",
        "PARTICIPANT_LEFT_LOBBY",
        "ROLE_CHANGED",
        "RECORDING_STARTED",
        "RECORDING_ENDED",
        "RECORDING_UPLOADED",
        "VIDEO_SEGMENT_UPLOADED",
        "CHAT_UPLOADED",
        "TRANSCRIPTION_UPLOADED",
        "TRANSCRIPTION_CHUNK_RECEIVED",
        "SCREEN_SHARING_HISTORY",
        "DOCUMENT_ADDED",
        "DOCUMENT_DELETED",
        "RTCSTATS_UPLOADED",
        "LIVE_STREAM_STARTED",
        "LIVE_STREAM_ENDED",
        "SIP_CALL_IN_STARTED",
        "SIP_CALL_IN_ENDED",
        "SIP_CALL_OUT_STARTED",
        "SIP_CALL_OUT_ENDED",
        "DIAL_IN_STARTED",
        "DIAL_IN_ENDED",
        "DIAL_OUT_STARTED",
        "DIAL_OUT_ENDED",
        "FEEDBACK",
        "USAGE",
        "SPEAKER_STATS",
        "POLL_CREATED",
        "POLL_ANSWER",
        "REACTIONS",
        "AGGREGATED_REACTIONS",
        "SETTINGS_PROVISIONING",
    }
)
"""The types that 8x8 documents (July 2026); others arrive too."""
_MAX_DEPTH = 100
"""What walks through a document calls itself, and Python has an end to that."""
_LONGEST_NUMBER = 300
"""Digits: more do not fit a float, and Python writes no more than 4,300 of them."""
_MAX_NAME_BYTES = 1_000
"""Room and session id are parts of keys, of which DynamoDB takes 2,048 bytes."""
_EARLIEST_MS = 100_000_000_000
"""A number below counts seconds: as milliseconds it would lie before 1973."""
_LATEST_MS = 9_999_999_999_999
"""The last millisecond that fits the 13 digits of the table's sort keys (year 2286)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    `app_id` and `room` come from `fqn` (`<appId>/<room>`), because `appId` itself may be missing, doubled or a number.
    `document` is the whole body as it came.
    """

    type: str
    session_id: str
    timestamp_ms: int
    idempotency_key: str
    fqn: str
    app_id: str
    room: str
    data: Json
    document: dict[str, Json]

    @property
    def dated(self) -> bool:
        """Whether it says itself when it happened; otherwise `timestamp_ms` is when it came, each time another."""
        return milliseconds(self.document.get("timestamp")) is not None

    @property
    def fields(self) -> dict[str, Json]:
        """`data` where it is an object, else nothing."""
        return self.data if isinstance(self.data, dict) else {}


def read_json(content: bytes) -> Json:
    """Read JSON that others wrote, as far as anything can be made of it, since what is refused is lost.

    Numbers that JSON does not have or nobody can reckon with become text; what cannot be stored as text becomes `?` or
    U+FFFD; of two fields of the same name the last counts.

    Raises:
        ValueError: not JSON, or nested more than 100 deep.
    """
    try:
        document = json.loads(
            content.decode("utf-8-sig", "replace"), parse_constant=str, parse_float=_finite, parse_int=_short
        )
        if b"\\ud" in content.lower():
            document = json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if content.count(b"[") + content.count(b"{") > _MAX_DEPTH:
        _check_depth(document)
    return document


def parse_body(body: bytes) -> dict[str, Json]:
    """Read a webhook body.

    Raises:
        NotAnEventError: not JSON, not an object, or nested too deeply.
    """
    try:
        document = read_json(body)
    except ValueError as error:
        raise NotAnEventError("the body is not JSON") from error
    if not isinstance(document, dict):
        raise NotAnEventError("the body is not a JSON object")
    return document


def read_event(document: dict[str, Json], *, received_at_ms: int) -> Event:
    """Read the envelope; whatever can be done without is done without, since a refused event is lost.

    Raises:
        NotAnEventError: no event type, or nothing that tells which meeting it belongs to.
    """
    event_type = bounded(_text(document.get("eventType")), _MAX_NAME_BYTES)
    if not event_type:
        raise NotAnEventError("the event has no eventType")
    fqn = _text(document.get("fqn"))
    session_id = bounded(_text(document.get("sessionId")), _MAX_NAME_BYTES)
    if not fqn and not session_id:
        raise NotAnEventError("the event has neither fqn nor sessionId")
    app_id, _, room = fqn.partition("/")
    idempotency_key = _text(document.get("idempotencyKey")) or _digest(document)
    return Event(
        type=event_type,
        # An event of no session is a session of its own: it is kept, and mixes with nothing.
        session_id=session_id or f"{hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]}-none",
        timestamp_ms=milliseconds(document.get("timestamp")) or received_at_ms,
        idempotency_key=idempotency_key,
        fqn=bounded(fqn, _MAX_NAME_BYTES),
        app_id=bounded(app_id or _text(document.get("appId")), _MAX_NAME_BYTES),
        room=bounded(room, _MAX_NAME_BYTES) or "unknown-room",
        data=document.get("data"),
        document=document,
    )


def without_links(value: Json) -> Json:
    """The same JSON with every link removed: JaaS's links are credentials."""
    match value:
        case dict():
            return {name: without_links(element) for name, element in value.items()}
        case list():
            return [without_links(element) for element in value]
        case str():
            return _LINK.sub(LINK_REMOVED, value)
    return value


def is_settings_request(document: dict[str, Json]) -> bool:
    """Whether JaaS asks for settings before a meeting: a body of only `fqn`, or that event type."""
    return document.get("eventType") == SETTINGS_PROVISIONING or set(document) == {"fqn"}


def milliseconds(value: Json) -> int | None:
    """A time in milliseconds since 1970, out of milliseconds, seconds or ISO 8601 text; None if it is no such time."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _iso_milliseconds(value) if isinstance(value, str) else None
    if 0 < number < _EARLIEST_MS:
        number *= 1000
    return round(number) if _EARLIEST_MS <= number <= _LATEST_MS else None


def _iso_milliseconds(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    number = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return number if _EARLIEST_MS <= number <= _LATEST_MS else None


def _text(value: Json) -> str:
    """Text, also where JaaS sends a number."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _digest(document: dict[str, Json]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _short(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_NUMBER else text


def _check_depth(document: Json) -> None:
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [
            element
            for value in level
            if isinstance(value, dict | list)
            for element in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")
