"""Files that are published and announced: what the tests of the downloader begin with."""

import time
from typing import Any

from local.jaas.files import FileServer, Link
from tests.functions.conftest import load_event

MIB = 1 << 20
RECORDING = "recording_20260701T090211Z_tgwrnkqp.mp4"
FOLDER = r"weeklysync/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\dZ_4be1f0a7"


def uploaded(link: Link, event_type: str = "RECORDING_UPLOADED", **data: Any) -> dict[str, Any]:
    """The event that announces a file, now."""
    event = load_event(event_type)
    event["timestamp"] = int(time.time() * 1000)
    event["data"] |= {"preAuthenticatedLink": link.url, "linkExpiration": int(time.time() * 1000) + 3_600_000} | data
    return event


def publish(files: FileServer, content: bytes, name: str = "app/tgwrnkqpzdbmxjvu/weeklysync.mp4") -> Link:
    return files.publish(content, name=name)


def long_ago(event: dict[str, Any], *, hours: float) -> dict[str, Any]:
    """The event as it would have been so long ago, with the usual lifetime of its link."""
    event["data"].pop("linkExpiration", None)
    return event | {"timestamp": int((time.time() - hours * 3600) * 1000)}
