"""The registry of file kinds: for each event that carries a file, where its link, identity, name and lifetime are."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from jaas_archive.events import DOCUMENTED_TYPES, LINK_REMOVED, Event, Json, milliseconds, without_links
from jaas_archive.names import compact_time, safe_file_stem, safe_name, suffix_of

_HOUR_MS = 3_600_000
LONGEST_LIFE_HOURS = 72
"""A queue keeps a message for two weeks, and no file of JaaS's lives longer than two days."""
_LONGEST_TITLE = 1_000
_LONGEST_TITLE_IN_NAME = 150
_WHOLE_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_CREDENTIAL = re.compile(
    r"x-amz-.*|.*(?:token|signature|expir|credential|policy).*|sig|jwt|auth|hmac|nonce|awsaccesskeyid|key-pair-id",
    re.IGNORECASE,
)
"""Arguments in a link that prove who may follow it and until when, and are others whenever it is made anew."""
_KEPT_IN_LINK = "".join(map(chr, range(0x80))).replace(" ", "")


@dataclass(frozen=True, slots=True)
class FileKind:
    """One row of the registry.

    The first of `link_fields` that holds a link counts; where the file is a list, the others are other forms of it.
    `identity` are the fields of `data` that tell two files of a session apart; where they are missing, and for kinds
    that have none, the object's name inside the link does. `stem` is the name in the session's folder without its
    extension, with `{time}`, `{id8}`, and `{title}` or `{file_name}` filled in. `extension` and `content_type` are None
    where only name and first bytes can tell. `title_fields` say what people call the file, the first that is there;
    `owner_field` has the JWT user id of whose it is.
    """

    name: str
    event_type: str
    link_fields: tuple[str, ...]
    lifetime_hours: int
    stem: str
    identity: tuple[str, ...] = ()
    extension: str | None = None
    content_type: str | None = None
    time_field: str = "startTimestamp"
    title_fields: tuple[str, ...] = ()
    owner_field: str = ""
    is_list: bool = False


KINDS: tuple[FileKind, ...] = (
    FileKind(
        name="recording",
        event_type="RECORDING_UPLOADED",
        link_fields=("preAuthenticatedLink",),
        lifetime_hours=24,
        stem="recording_{time}_{id8}",
        identity=("recordingSessionId", "startTimestamp"),
        extension=".mp4",
        content_type="video/mp4",
    ),
    FileKind(
        name="chat",
        event_type="CHAT_UPLOADED",
        link_fields=("preAuthenticatedLink",),
        lifetime_hours=24,
        stem="chat",
        extension=".json",
        content_type="application/json",
    ),
    FileKind(
        name="transcript",
        event_type="TRANSCRIPTION_UPLOADED",
        link_fields=("preAuthenticatedLink",),
        lifetime_hours=24,
        stem="transcript",
    ),
    FileKind(
        name="segment",
        event_type="VIDEO_SEGMENT_UPLOADED",
        link_fields=("preAuthenticatedLink",),
        lifetime_hours=24,
        stem="segments/segment_{time}_{id8}",
        identity=("recordingSessionId", "startTimestamp"),
        extension=".mp4",
        content_type="video/mp4",
    ),
    FileKind(
        name="document",
        event_type="DOCUMENT_ADDED",
        link_fields=("preAuthenticatedLink",),
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
        link_fields=("statsUrl",),
        lifetime_hours=48,
        stem="rtcstats/{title}_{id8}",
        title_fields=("participantName", "endpointId"),
        owner_field="participantId",
    ),
    FileKind(
        name="screenshots",
        event_type="SCREEN_SHARING_HISTORY",
        link_fields=("preAuthenticatedLinkV2", "preAuthenticatedLink"),
        lifetime_hours=24,
        stem="screenshots/list_{time}",
        # Its link names the session: a list that comes later may hold more.
        identity=("linkExpiration",),
        extension=".json",
        content_type="application/json",
        is_list=True,
    ),
)
SCREENSHOT = FileKind(
    name="screenshot", event_type="", link_fields=(), lifetime_hours=24, stem="screenshots/{time}_{id8}"
)
"""A picture of which a list tells, and no event."""
OTHER = FileKind(name="other", event_type="", link_fields=(), lifetime_hours=24, stem="other/{title}_{time}_{id8}")
"""What an event brings that 8x8 does not document."""
KIND_NAMES = frozenset(kind.name for kind in (*KINDS, OTHER))
MAX_OTHER_FILES = 50
"""Of one event; links beyond are not followed."""
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
    other_links: tuple[str, ...]
    deadline_ms: int
    stem: str
    suffix: str
    title: str
    owner_id: str
    announced_bytes: int | None
    duration_seconds: float | None
    starts_at_ms: int | None


def message_document(event: Event, file: AnnouncedFile) -> dict[str, Json]:
    """The event as it announces this file alone: what is not documented may bring several, each with its message."""
    if file.kind is not OTHER:
        return event.document
    data = without_links(event.data)
    # Nobody knows what place in such an event is the link's, so any is: the first, since the first link counts. Of
    # several files, nobody knows of which a size tells.
    left_out = {"link"} | ({"fileSize"} if len(announced_files(event)) > 1 else set())
    rest = {name: value for name, value in (data if isinstance(data, dict) else {}).items() if name not in left_out}
    return event.document | {"data": {"link": file.link} | rest}


def announced_files(event: Event) -> tuple[AnnouncedFile, ...]:
    """The files that the event carries: one, or as many as there are links in an event that is not documented."""
    if kind := _BY_EVENT_TYPE.get(event.type):
        links = [link for link in (_link(event.fields.get(name)) for name in kind.link_fields) if link]
        return (_announced(event, kind, *links),) if links else ()
    if event.type in DOCUMENTED_TYPES:
        return ()
    files = (_announced(event, OTHER, link) for link in islice(_links_in(event.data), MAX_OTHER_FILES))
    return tuple({file.id: file for file in files}.values())


def _announced(event: Event, kind: FileKind, link: str, *other_links: str) -> AnnouncedFile:
    fields = event.fields
    # A list may come again, and hold more by then.
    file_id, id8 = _identity(kind, fields, link, event.idempotency_key if kind.is_list else "")
    starts_at_ms = milliseconds(fields.get(kind.time_field))
    expires_at_ms = milliseconds(fields.get("linkExpiration"))
    if expires_at_ms is None or expires_at_ms <= event.timestamp_ms:
        expires_at_ms = event.timestamp_ms + kind.lifetime_hours * _HOUR_MS
    expires_at_ms = min(expires_at_ms, event.timestamp_ms + LONGEST_LIFE_HOURS * _HOUR_MS)
    title = next(filter(None, (_text(fields.get(name)) for name in kind.title_fields)), "")[:_LONGEST_TITLE]
    if kind is OTHER:
        title, suffix = event.type, suffix_of(_object_path(link))
    else:
        suffix = suffix_of(title) if "{file_name}" in kind.stem else ""
    return AnnouncedFile(
        kind=kind,
        id=file_id,
        link=link,
        other_links=other_links,
        deadline_ms=expires_at_ms,
        stem=kind.stem.format(
            time=compact_time(starts_at_ms or event.timestamp_ms),
            id8=id8,
            title=safe_name(title, max_bytes=_LONGEST_TITLE_IN_NAME) if title else id8,
            file_name=safe_file_stem(title) if title else id8,
        ),
        suffix=suffix,
        title=title,
        owner_id=_text(fields.get(kind.owner_field)),
        announced_bytes=_whole_number(fields.get("fileSize")),
        duration_seconds=_number(fields.get("durationSec")),
        starts_at_ms=starts_at_ms,
    )


def listed_picture(listed: AnnouncedFile, link: str, number: int, at_ms: int | None) -> AnnouncedFile:
    """The picture behind a link of a list: the number of the link names it where no time does."""
    file_id, id8 = _identity(SCREENSHOT, {}, link)
    return replace(
        listed,
        kind=SCREENSHOT,
        id=file_id,
        link=_link(link),
        other_links=(),
        stem=SCREENSHOT.stem.format(time=compact_time(at_ms) if at_ms else f"{number:04d}", id8=id8),
        starts_at_ms=at_ms,
        # What the event says of these is said of the list.
        announced_bytes=None,
        duration_seconds=None,
    )


def identified_file(kind_name: str, fields: Json) -> str:
    """The id of the file of that kind that an event without a link speaks of; empty if it cannot be told."""
    kind = _BY_NAME[kind_name]
    return _identity(kind, fields, "")[0] if all(fields.get(name) for name in kind.identity) else ""


def _identity(kind: FileKind, fields: Json, link: str, told_by: str = "") -> tuple[str, str]:
    """What tells the file from others of its kind, and its first eight characters for names.

    `told_by` is the event, for a file whose link may be that of another.
    """
    identity = [str(fields[name]) for name in kind.identity if fields.get(name)]
    if len(identity) == len(kind.identity) > 0:
        return safe_name(".".join(identity)), safe_name(identity[0][:8])
    told = "\n".join([*identity, *filter(None, [told_by]), _object_name(link)]).encode("utf-8", "replace")
    file_id = hashlib.sha256(told).hexdigest()[:32]
    return file_id, file_id[:8]


def _link(value: object) -> str:
    """A link; a blank in it, and what is not ASCII, stands for its UTF-8, percent-encoded."""
    return quote(value.strip(), safe=_KEPT_IN_LINK) if isinstance(value, str) and value != LINK_REMOVED else ""


def _links_in(value: Json) -> Iterator[str]:
    """Every text that is a link and nothing else."""
    match value:
        case str() if _WHOLE_LINK.fullmatch(value.strip()):
            yield _link(value)
        case list():
            for element in value:
                yield from _links_in(element)
        case dict():
            for element in value.values():
                yield from _links_in(element)


def _object_name(link: str) -> str:
    """What stays the same when a link is made anew: its path, and what it asks for beside showing that it may."""
    try:
        asked = sorted(
            pair
            for pair in parse_qsl(urlsplit(link).query, keep_blank_values=True)
            if not _CREDENTIAL.fullmatch(pair[0])
        )
    except ValueError:
        return link
    return f"{_object_path(link)}?{urlencode(asked)}" if asked else _object_path(link)


def _object_path(link: str) -> str:
    """What stands after `/o/` in an Oracle link: it stays the same when the bucket changes."""
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
