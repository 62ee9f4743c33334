"""The events of a load: those of many meetings in turn, each as large as docs/scale.md assumes."""

import time
from collections.abc import Sequence
from typing import Any

from local.jaas.files import Link
from local.jaas.meeting import as_json
from local.scale import EVENTS, FILES

SECRET = "whsec_0123456789abcdef0123456789abcdef"  # noqa: S105 - a sample


def feedback_events(count: int) -> list[bytes]:
    """Events without a file."""
    data = {"rating": 5, "comments": "x" * 500}
    sessions = _sessions(count, EVENTS.value)
    return [_event("FEEDBACK", f"load-event-{number}", f"{number % sessions:08x}", data) for number in range(count)]


def chat_events(links: Sequence[Link]) -> list[bytes]:
    """Events with a file each, of other meetings."""
    sessions = _sessions(len(links), FILES.value)
    return [
        _event("CHAT_UPLOADED", f"load-file-{number}", f"f{number % sessions:07x}", {"preAuthenticatedLink": link.url})
        for number, link in enumerate(links)
    ]


def _sessions(count: int, of_a_meeting: float) -> int:
    return max(1, round(count / of_a_meeting))


def _event(event_type: str, idempotency_key: str, session: str, data: dict[str, Any]) -> bytes:
    return as_json(
        {
            "idempotencyKey": idempotency_key,
            "eventType": event_type,
            "sessionId": f"{session}-load",
            "timestamp": int(time.time() * 1000),
            "fqn": "vpaas-magic-cookie-load/load",
            "data": data,
        }
    )
