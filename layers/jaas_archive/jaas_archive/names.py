"""Names in the bucket, made for people who browse it, out of names that anybody can choose."""

import hashlib
import re
import unicodedata
from datetime import UTC, datetime

MAX_ROOM_BYTES = 200
MAX_NAME_BYTES = 200

# Letters and digits of any script, and what S3 and every browser leave alone.
_UNSAFE = re.compile(r"[^\w.\-]+")
_SUFFIX = re.compile(r"(?<=[^.\s])\.[A-Za-z0-9]{1,10}$", re.ASCII)
_MAX_STEM_BYTES = 150
"""Leaves room for a suffix and for the id of a second file of that name: file systems take 255 bytes."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows gives to devices, with whatever extension."""


def safe_name(text: str, *, max_bytes: int = MAX_NAME_BYTES) -> str:
    """One path segment that is recognisable, harmless, and different for different texts.

    A text that had to be changed carries eight hex digits of its hash, so that two rooms never share a folder.
    """
    normal = unicodedata.normalize("NFC", text)
    safe = _UNSAFE.sub("-", normal).strip(".-")
    cut = safe.encode()[: max_bytes - 9].decode(errors="ignore") if len(safe.encode()) > max_bytes else safe
    if text and cut == text:
        return cut
    return f"{cut}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def bounded(text: str, max_bytes: int) -> str:
    """The text, or the beginning of a longer one with 16 hex digits of its hash: what names something in the table."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return text
    return f"{encoded[: max_bytes - 17].decode(errors='ignore')}-{hashlib.sha256(encoded).hexdigest()[:16]}"


def suffix_of(file_name: str) -> str:
    """The extension that people gave a file, `.pdf`; empty where there is none that looks like one."""
    found = _SUFFIX.search(_last_segment(file_name))
    return found[0] if found else ""


def safe_file_stem(file_name: str) -> str:
    """A file's name as people gave it, without its extension and whatever folders it claims to be in, made safe."""
    stem = _last_segment(file_name).removesuffix(suffix_of(file_name))
    safe = safe_name(stem, max_bytes=_MAX_STEM_BYTES)
    return f"_{safe}" if _RESERVED.match(safe) else safe


def session_folders(room: str, session_id: str, started_at_ms: int) -> tuple[str, str]:
    """`<room>/<YYYY-MM-DD>_<HH-MM-SS>Z_<first 8 of the session id>`, and what no other session can have.

    That one goes on with a hash of the whole session id. Both are without a slash at the end.
    """
    started = _utc(started_at_ms).strftime("%Y-%m-%d_%H-%M-%SZ")
    usual = f"{safe_name(room, max_bytes=MAX_ROOM_BYTES)}/{started}_{safe_name(session_id[:8])}"
    return usual, f"{usual}-{hashlib.sha256(session_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


def compact_time(ms: int) -> str:
    """`20240625T101530Z`."""
    return _utc(ms).strftime("%Y%m%dT%H%M%SZ")


def iso_time(ms: int) -> str:
    """`2024-06-25T10:15:30.123Z`: sorts by time as text."""
    return _utc(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_day(ms: int) -> str:
    """`2024-06-25`."""
    return _utc(ms).strftime("%Y-%m-%d")


def _last_segment(file_name: str) -> str:
    return re.split(r"[/\\]", file_name.strip(" /\\"))[-1].strip()


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
