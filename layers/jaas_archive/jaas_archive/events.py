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
    def fields(self) -> dict[str, Json]:
        """`data` where it is an object, else nothing."""
        return self.data if isinstance(self.data, dict) else {}


def read_json(content: bytes) -> Json:
    """Read JSON that others wrote; a lone surrogate, which cannot be stored, becomes `?`.

    Raises:
        ValueError: not UTF-8, not JSON, or with numbers that JSON does not have.
    """
    try:
        document = json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
        if b"\\ud" in content.lower():
            document = json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return document


def parse_body(body: bytes) -> dict[str, Json]:
    """Read a webhook body.

    Raises:
        NotAnEventError: not UTF-8, not JSON, not an object.
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


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number
