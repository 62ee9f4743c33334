"""The message "meeting archived", for those who build on the archive; docs/notifications.md is its contract."""

import hashlib
import json
from dataclasses import dataclass

from jaas_archive.events import Json
from jaas_archive.files import FileStatus

SUBJECT = "Meeting archived"
SCHEMA_VERSION = 1
LARGEST_BYTES = 200_000
"""SNS takes 256 KiB; the rest is for what subscriptions wrap around it."""
_OPEN = {FileStatus.PENDING, FileStatus.COPYING}
_OF_MEETING = ("session_id", "version", "app_id", "room", "folder", "started_at", "ended_at", "duration_seconds")
_OF_FILE = ("kind", "id", "status", "size", "checksum_crc32c", "content_type", "starts_at", "duration_seconds")
_OF_COVERAGE = ("messages", "with_a_name", "ratio")


@dataclass(frozen=True, slots=True)
class Notification:
    """A message; `digest` is the same for all that say the same, whatever the version of the record."""

    text: str
    digest: str


def notification(document: dict[str, Json], bucket: str) -> Notification | None:
    """What to tell of a meeting, from its `meeting.json`; None while it is not archived.

    It is when no file is waited for any more, and the room was closed or a file came.
    """
    files = document["files"]
    if any(file["status"] in _OPEN for file in files) or not (files or document["ended_at"]):
        return None
    folder = document["folder"]
    content = {
        "schema_version": SCHEMA_VERSION,
        **{name: document[name] for name in _OF_MEETING},
        "bucket": bucket,
        "record": f"{folder}/meeting.json",
        "page": f"{folder}/meeting.html",
        "people": len(document["people"]),
        "coverage": {name: document["coverage"][name] for name in _OF_COVERAGE},
        "files_in_all": len(files),
        "files": [_file(file, folder) for file in files],
        "warnings": [
            {"warning": "file_lost", "kind": file["kind"], "id": file["id"], "reason": file.get("reason", "")}
            for file in files
            if file["status"] != FileStatus.ARCHIVED
        ],
    }
    if len(_encoded(content)) > LARGEST_BYTES:
        content |= {"files": [], "warnings": [{"warning": "too_many_files"}]}
    text = _encoded(content)
    return Notification(text, hashlib.sha256(_encoded(content | {"version": 0}).encode()).hexdigest())


def _file(file: dict[str, Json], folder: str) -> dict[str, Json]:
    told = {name: file[name] for name in _OF_FILE if name in file}
    return told | ({"key": f"{folder}/{file['name']}"} if file["status"] == FileStatus.ARCHIVED else {})


def _encoded(content: dict[str, Json]) -> str:
    return json.dumps(content, separators=(",", ":"))
