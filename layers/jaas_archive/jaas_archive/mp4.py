"""Whether an MP4 is whole: its boxes reach exactly to its end, and it plays as long as was announced."""

import io
import struct
from typing import TYPE_CHECKING, BinaryIO, cast

from tinytag import TinyTag, TinyTagException

from jaas_archive.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable

    type Fill = Callable[[memoryview, int], None]

_NEEDED_BOXES = {b"ftyp", b"moov", b"mdat"}
_MAX_BOXES = 1_000_000
_TOLERATED_SECONDS = 60.0
_TOLERATED_SHARE = 0.1
"""`durationSec` counts from the order to record, the file from its first frame: a minute or a tenth apart is normal."""


def inspect_mp4(file: BinaryIO, length: int, *, announced_seconds: float | None) -> float | None:
    """Read through the structure of an MP4 of `length` bytes; how many seconds it plays, None if it does not say.

    Raises:
        MismatchError: a box is missing or cut, or the duration is far from what was announced.
    """
    _check_boxes(file, length)
    file.seek(0)
    try:
        seconds = TinyTag.get(filename="recording.mp4", file_obj=file, tags=False).duration
    except TinyTagException as error:
        raise MismatchError("the MP4 cannot be read") from error
    # A file in fragments does not say how long it is.
    if not seconds:
        return None
    if announced_seconds:
        tolerated = max(_TOLERATED_SECONDS, _TOLERATED_SHARE * announced_seconds)
        if abs(seconds - announced_seconds) > tolerated:
            raise MismatchError(f"the MP4 plays {seconds:.0f} s, announced were {announced_seconds:.0f} s")
    return round(seconds, 3)


def _check_boxes(file: BinaryIO, length: int) -> None:
    """Walk the top-level boxes (ISO/IEC 14496-12, 4.2)."""
    seen: set[bytes] = set()
    position = 0
    for _ in range(_MAX_BOXES):
        if position >= length:
            break
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:  # noqa: PLR2004 - size and type
            raise MismatchError("the MP4 ends within a box")
        size, kind = struct.unpack(">I4s", header[:8])
        if size == 1 and len(header) == 16:  # noqa: PLR2004 - a size of 64 bits follows
            (size,) = struct.unpack(">Q", header[8:])
        elif size == 0:
            size = length - position
        if size < 8:  # noqa: PLR2004
            raise MismatchError("the MP4 has a box of no size")
        seen.add(kind)
        position += size
    if position != length:
        raise MismatchError(f"the MP4's boxes reach to byte {position} of {length}")
    if missing := _NEEDED_BOXES - seen:
        raise MismatchError(f"the MP4 has no {b', '.join(sorted(missing)).decode()}")


class SeekableFile(io.RawIOBase):
    """A file of known length of which any stretch can be had through `fill(view, start)`."""

    def __init__(self, length: int, fill: "Fill") -> None:
        self._length = length
        self._fill = fill
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._length - self._position)]
        if view:
            self._fill(view, self._position)
            self._position += len(view)
        return len(view)


def seekable_file(length: int, fill: "Fill") -> BinaryIO:
    """Such a file, read in stretches of 64 KiB."""
    return cast("BinaryIO", io.BufferedReader(SeekableFile(length, fill), buffer_size=1 << 16))
