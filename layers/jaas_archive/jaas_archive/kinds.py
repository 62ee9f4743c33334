"""The registry of file kinds: for each event that carries a file, where its link, identity, name and lifetime are."""

import hashlib
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from jaas_archive.events import LINK_REMOVED, Event, milliseconds
from jaas_archive.names import compact_time, safe_name

_HOUR_MS = 3_600_000
LONGEST_LIFE_HOURS = 72
"""A queue keeps a message for two weeks, and no file of JaaS's lives longer than two days."""
_ASCII = "".join(map(chr, range(0x80)))


@dataclass(frozen=True, slots=True)
class FileKind:
    """One row of the registry.

    `identity` are the fields of `data` that tell two files of a session apart; where they are missing, and for kinds
    that have none, the object's name inside the link does. `stem` is the name in the session's folder without its
    extension, with `{time}` and `{id8}` filled in. `extension` and `content_type` are None where only the file's own
    first bytes can tell.
    """

    name: str
    event_type: str
    link_field: str
    identity: tuple[str, ...]
    lifetime_hours: int
    stem: str
    extension: str | None
    content_type: str | None


KINDS: tuple[FileKind, ...] = (
    FileKind(
        name="recording",
        event_type="RECORDING_UPLOADED",
        link_field="preAuthenticatedLink",
        identity=("recordingSessionId", "startTimestamp"),
        lifetime_hours=24,
        stem="recording_{time}_{id8}",
        extension=".mp4",
        content_type="video/mp4",
    ),
    FileKind(
        name="chat",
        event_type="CHAT_UPLOADED",
        link_field="preAuthenticatedLink",
        identity=(),
        lifetime_hours=24,
        stem="chat",
        extension=".json",
        content_type="application/json",
    ),
    FileKind(
        name="transcript",
        event_type="TRANSCRIPTION_UPLOADED",
        link_field="preAuthenticatedLink",
        identity=(),
        lifetime_hours=24,
        stem="transcript",
        extension=None,
        content_type=None,
    ),
)
_BY_EVENT_TYPE = {kind.event_type: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """A file that an event says JaaS holds for us; `deadline_ms` is when its link dies."""

    kind: FileKind
    id: str
    link: str
    deadline_ms: int
    stem: str
    announced_bytes: int | None
    duration_seconds: float | None
    starts_at_ms: int | None


def announced_file(event: Event) -> AnnouncedFile | None:
    """The file that the event carries; None if it carries none."""
    kind = _BY_EVENT_TYPE.get(event.type)
    link = event.fields.get(kind.link_field) if kind else None
    if kind is None or not isinstance(link, str) or not link.strip() or link == LINK_REMOVED:
        return None
    fields = event.fields
    identity = [str(fields[name]) for name in kind.identity if fields.get(name)]
    if len(identity) == len(kind.identity) > 0:
        file_id, id8 = safe_name(".".join(identity)), safe_name(identity[0][:8])
    else:
        file_id = hashlib.sha256("\n".join([*identity, _object_name(link)]).encode("utf-8", "replace")).hexdigest()[:32]
        id8 = file_id[:8]
    starts_at_ms = milliseconds(fields.get("startTimestamp"))
    expires_at_ms = milliseconds(fields.get("linkExpiration"))
    if expires_at_ms is None or expires_at_ms <= event.timestamp_ms:
        expires_at_ms = event.timestamp_ms + kind.lifetime_hours * _HOUR_MS
    expires_at_ms = min(expires_at_ms, event.timestamp_ms + LONGEST_LIFE_HOURS * _HOUR_MS)
    return AnnouncedFile(
        kind=kind,
        id=file_id,
        # What is not ASCII in a link stands for its UTF-8, percent-encoded.
        link=quote(link.strip(), safe=_ASCII),
        deadline_ms=expires_at_ms,
        stem=kind.stem.format(time=compact_time(starts_at_ms or event.timestamp_ms), id8=id8),
        announced_bytes=_whole_number(fields.get("fileSize")),
        duration_seconds=_number(fields.get("durationSec")),
        starts_at_ms=starts_at_ms,
    )


def extension_of(first_bytes: bytes) -> tuple[str, str]:
    """Extension and content type of a text file, from how it begins."""
    start = first_bytes.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"{", b"["):
        return ".json", "application/json"
    if start.startswith(b"WEBVTT"):
        return ".vtt", "text/vtt; charset=utf-8"
    return ".txt", "text/plain; charset=utf-8"


def _object_name(link: str) -> str:
    """What stands after `/o/` in an Oracle link: it stays the same when the link is made anew or the bucket changes."""
    try:
        path = unquote(urlsplit(link).path)
    except ValueError:
        return link
    return path.partition("/o/")[2] or path


def _whole_number(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None
