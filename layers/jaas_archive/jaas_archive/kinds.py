"""The registry of file kinds: for each event that carries a file, where its link, identity, name and lifetime are."""

import hashlib
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from jaas_archive.events import LINK_REMOVED, Event, Json, milliseconds
from jaas_archive.names import compact_time, safe_file_stem, safe_name, suffix_of

_HOUR_MS = 3_600_000
LONGEST_LIFE_HOURS = 72
"""A queue keeps a message for two weeks, and no file of JaaS's lives longer than two days."""
_LONGEST_TITLE = 1_000
_ASCII = "".join(map(chr, range(0x80)))


@dataclass(frozen=True, slots=True)
class FileKind:
    """One row of the registry.

    `identity` are the fields of `data` that tell two files of a session apart; where they are missing, and for kinds
    that have none, the object's name inside the link does. `stem` is the name in the session's folder without its
    extension, with `{time}`, `{id8}`, and `{title}` or `{file_name}` filled in. `extension` and `content_type` are None
    where only name and first bytes can tell. `title_fields` say what people call the file, the first that is there;
    `owner_field` has the JWT user id of whose it is.
    """

    name: str
    event_type: str
    link_field: str
    lifetime_hours: int
    stem: str
    identity: tuple[str, ...] = ()
    extension: str | None = None
    content_type: str | None = None
    time_field: str = "startTimestamp"
    title_fields: tuple[str, ...] = ()
    owner_field: str = ""


KINDS: tuple[FileKind, ...] = (
    FileKind(
        name="recording",
        event_type="RECORDING_UPLOADED",
        link_field="preAuthenticatedLink",
        lifetime_hours=24,
        stem="recording_{time}_{id8}",
        identity=("recordingSessionId", "startTimestamp"),
        extension=".mp4",
        content_type="video/mp4",
    ),
    FileKind(
        name="chat",
        event_type="CHAT_UPLOADED",
        link_field="preAuthenticatedLink",
        lifetime_hours=24,
        stem="chat",
        extension=".json",
        content_type="application/json",
    ),
    FileKind(
        name="transcript",
        event_type="TRANSCRIPTION_UPLOADED",
        link_field="preAuthenticatedLink",
        lifetime_hours=24,
        stem="transcript",
    ),
    FileKind(
        name="segment",
        event_type="VIDEO_SEGMENT_UPLOADED",
        link_field="preAuthenticatedLink",
        lifetime_hours=24,
        stem="segments/segment_{time}_{id8}",
        identity=("recordingSessionId", "startTimestamp"),
        extension=".mp4",
        content_type="video/mp4",
    ),
    FileKind(
        name="document",
        event_type="DOCUMENT_ADDED",
        link_field="preAuthenticatedLink",
        lifetime_hours=24,
        stem="documents/{file_name}",
        identity=("fileId",),
        time_field="fileCreatedAt",
        title_fields=("fileName",),
        owner_field="initiatorId",
    ),
    FileKind(
        name="rtcstats",
        event_type="RTCSTATS_UPLOADED",
        link_field="statsUrl",
        lifetime_hours=48,
        stem="rtcstats/{title}_{id8}",
        title_fields=("participantName", "endpointId"),
        owner_field="participantId",
    ),
)
_BY_EVENT_TYPE = {kind.event_type: kind for kind in KINDS}
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """A file that an event says JaaS holds for us.

    `deadline_ms` is when its link dies; `suffix` is the extension that people gave it.
    """

    kind: FileKind
    id: str
    link: str
    deadline_ms: int
    stem: str
    suffix: str
    title: str
    owner_id: str
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
    file_id, id8 = _identity(kind, fields, link)
    starts_at_ms = milliseconds(fields.get(kind.time_field))
    expires_at_ms = milliseconds(fields.get("linkExpiration"))
    if expires_at_ms is None or expires_at_ms <= event.timestamp_ms:
        expires_at_ms = event.timestamp_ms + kind.lifetime_hours * _HOUR_MS
    expires_at_ms = min(expires_at_ms, event.timestamp_ms + LONGEST_LIFE_HOURS * _HOUR_MS)
    title = next(filter(None, (_text(fields.get(name)) for name in kind.title_fields)), "")[:_LONGEST_TITLE]
    takes_name = "{file_name}" in kind.stem
    return AnnouncedFile(
        kind=kind,
        id=file_id,
        # What is not ASCII in a link stands for its UTF-8, percent-encoded.
        link=quote(link.strip(), safe=_ASCII),
        deadline_ms=expires_at_ms,
        stem=kind.stem.format(
            time=compact_time(starts_at_ms or event.timestamp_ms),
            id8=id8,
            title=safe_name(title) if title else id8,
            file_name=safe_file_stem(title) if title else id8,
        ),
        suffix=suffix_of(title) if takes_name else "",
        title=title,
        owner_id=_text(fields.get(kind.owner_field)),
        announced_bytes=_whole_number(fields.get("fileSize")),
        duration_seconds=_number(fields.get("durationSec")),
        starts_at_ms=starts_at_ms,
    )


def identified_file(kind_name: str, fields: Json) -> str:
    """The id of the file of that kind that an event without a link speaks of; empty if it cannot be told."""
    kind = _BY_NAME[kind_name]
    return _identity(kind, fields, "")[0] if all(fields.get(name) for name in kind.identity) else ""


def _identity(kind: FileKind, fields: Json, link: str) -> tuple[str, str]:
    """What tells the file from others of its kind, and its first eight characters for names."""
    identity = [str(fields[name]) for name in kind.identity if fields.get(name)]
    if len(identity) == len(kind.identity) > 0:
        return safe_name(".".join(identity)), safe_name(identity[0][:8])
    told = "\n".join([*identity, _object_name(link)]).encode("utf-8", "replace")
    file_id = hashlib.sha256(told).hexdigest()[:32]
    return file_id, file_id[:8]


def _object_name(link: str) -> str:
    """What stands after `/o/` in an Oracle link: it stays the same when the link is made anew or the bucket changes."""
    try:
        path = unquote(urlsplit(link).path)
    except ValueError:
        return link
    return path.partition("/o/")[2] or path


def _text(value: object) -> str:
    """Text, also where JaaS sends a number."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


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
