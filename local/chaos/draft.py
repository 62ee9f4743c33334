"""A meeting while it is invented: what JaaS tells of it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.chaos.meetings import SECOND_MS, Event, File, Line, PictureList
from local.jaas.meeting import APP_ID, new_uuid


@dataclass(slots=True)
class Draft:
    """What has been invented so far."""

    rng: random.Random
    session_id: str
    room: str
    starts_ms: int
    ends_ms: int
    events: list[Event] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    lists: list[PictureList] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def tell(
        self, event_type: str, timestamp_ms: int, data: dict[str, Any], links: Mapping[str, str] | None = None
    ) -> None:
        """JaaS sends an event."""
        document = {
            "idempotencyKey": new_uuid(self.rng),
            "customerId": APP_ID.rpartition("-")[2],
            "appId": APP_ID,
            "eventType": event_type,
            "sessionId": self.session_id,
            "timestamp": timestamp_ms,
            "fqn": f"{APP_ID}/{self.room}",
            "data": data,
        }
        self.events.append(Event(document, links or {}))

    def announce(self, file: File, data: dict[str, Any] | None = None) -> None:
        """JaaS has a file, and says so."""
        self.files.append(file)
        told = (data or {}) | ({"linkExpiration": file.expires_at_ms} if file.expires_at_ms else {})
        self.tell(file.kind.event_type, file.told_at_ms, told, {file.kind.link_field: file.object_name})

    def afterwards_ms(self) -> int:
        """When the next file is ready, after the meeting."""
        return self.ends_ms + 2 * SECOND_MS + len(self.events) * 200
