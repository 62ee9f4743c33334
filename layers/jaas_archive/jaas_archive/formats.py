"""What a file is, by its first bytes and by the name that people gave it: its extension and its content type.

The bytes decide; a name only tells apart what begins alike. What a browser would run as a page is shown as text.
"""

_TEXT = "text/plain; charset=utf-8"
_UNKNOWN = "application/octet-stream"

_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"%PDF-", ".pdf", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", ".png", "image/png"),
    (0, b"\xff\xd8\xff", ".jpg", "image/jpeg"),
    (0, b"GIF8", ".gif", "image/gif"),
    (8, b"WEBP", ".webp", "image/webp"),
    (8, b"WAVE", ".wav", "audio/wav"),
    (0, b"II*\x00", ".tif", "image/tiff"),
    (0, b"MM\x00*", ".tif", "image/tiff"),
    (4, b"ftypavif", ".avif", "image/avif"),
    (4, b"ftyphei", ".heic", "image/heic"),
    (4, b"ftypmif1", ".heic", "image/heic"),
    (4, b"ftypqt", ".mov", "video/quicktime"),
    (4, b"ftypM4A", ".m4a", "audio/mp4"),
    (4, b"ftyp", ".mp4", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", ".webm", "video/webm"),
    (0, b"OggS", ".ogg", "audio/ogg"),
    (0, b"ID3", ".mp3", "audio/mpeg"),
    (0, b"{\\rtf", ".rtf", "application/rtf"),
    (0, b"\x1f\x8b", ".gz", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", ".7z", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", ".rar", "application/vnd.rar"),
    (0, b"PK\x03\x04", ".zip", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".ole", "application/x-ole-storage"),
)
"""Position, bytes, extension and type; the first that fits."""
_INSIDE = {
    "application/zip": {
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".odt": "application/vnd.oasis.opendocument.text",
        ".ods": "application/vnd.oasis.opendocument.spreadsheet",
        ".odp": "application/vnd.oasis.opendocument.presentation",
        ".epub": "application/epub+zip",
    },
    "application/x-ole-storage": {
        ".doc": "application/msword",
        ".xls": "application/vnd.ms-excel",
        ".ppt": "application/vnd.ms-powerpoint",
        ".msg": "application/vnd.ms-outlook",
    },
    _TEXT: {
        ".csv": "text/csv; charset=utf-8",
        ".json": "application/json",
        ".md": "text/markdown; charset=utf-8",
        ".vtt": "text/vtt; charset=utf-8",
        ".ics": "text/calendar; charset=utf-8",
    },
}
"""What begins alike, told apart by the name."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WEB_PAGE = (b"<!doctype html", b"<html")


def format_of(head: bytes, suffix: str = "") -> tuple[str, str]:
    """Extension and content type of a file that begins so; `suffix` is the extension that people gave it, and stays."""
    extension, content_type = _by_bytes(head)
    return suffix or extension, _INSIDE.get(content_type, {}).get(suffix.lower(), content_type)


def is_web_page(head: bytes) -> bool:
    """Whether a browser would take it for a page: what services send, with status 200, instead of a file."""
    return head.removeprefix(_BYTE_ORDER_MARK).lstrip()[:14].lower().startswith(_WEB_PAGE)


def is_image(content_type: str) -> bool:
    """Whether a page can show it."""
    return content_type in ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")


def is_text(content_type: str) -> bool:
    """Whether people can read it: so are the errors that services send instead of a file."""
    return content_type == "application/json" or content_type.startswith("text/")


def may_be_image(content_type: str) -> bool:
    """Whether it may be a picture, if only of a kind that is not known here."""
    return content_type == _UNKNOWN or content_type.startswith("image/")


def _by_bytes(head: bytes) -> tuple[str, str]:
    for position, magic, extension, content_type in _MAGIC:
        if head[position:].startswith(magic):
            return extension, content_type
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not _is_text(head):
        return ".bin", _UNKNOWN
    if start[:1] in (b"{", b"["):
        return ".json", "application/json"
    if start.startswith(b"WEBVTT"):
        return ".vtt", "text/vtt; charset=utf-8"
    return ".txt", _TEXT


def _is_text(head: bytes) -> bool:
    """Whether it reads as UTF-8; its last character may be cut."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and b"\x00" not in head
    return b"\x00" not in head
