"""Whether an MP4 is whole: its boxes reach exactly to its end, and it plays as long as was announced."""

import io
import struct
import sys
from typing import TYPE_CHECKING, BinaryIO, cast

from tinytag import TinyTag, TinyTagException

from jaas_archive.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable

    type Fill = Callable[[memoryview, int], None]

_NEEDED_BOXES = {b"moov", b"mdat"}
_HEADER_BYTES = 8
_LONGEST_HEADER_BYTES = 16
_MAX_BOXES = 4_000
"""A file in more fragments is not walked to its end: each may cost a request, and a long one has tens of thousands."""
_MAX_EXCERPT_BYTES = 32 << 20
"""The index of ten hours is some 20 MiB."""
_TOLERATED_SECONDS = 60.0
_TOLERATED_SHARE = 0.1
"""`durationSec` counts from the order to record, the file from its first frame: a minute or a tenth apart is normal."""


def inspect_mp4(file: BinaryIO, length: int, *, announced_seconds: float | None) -> float | None:
    """Read through the structure of an MP4 of `length` bytes; how many seconds it plays, None if it does not say.

    Raises:
        MismatchError: a box is missing or cut, or the duration is far from what was announced.
    """
    boxes = _check_boxes(file, length)
    # The index of a file in fragments knows at most the first of them.
    seconds = None if b"moof" in boxes else _seconds(file, boxes[b"moov"])
    if not seconds:
        return None
    if announced_seconds:
        tolerated = max(_TOLERATED_SECONDS, _TOLERATED_SHARE * announced_seconds)
        if abs(seconds - announced_seconds) > tolerated:
            raise MismatchError(f"the MP4 plays {seconds:.0f} s, announced were {announced_seconds:.0f} s")
    return round(seconds, 3)


def _seconds(file: BinaryIO, index: range) -> float | None:
    """How long a file plays by its index, the stretch of its `moov` box."""
    failures: list[Exception] = []

    def fill(view: memoryview, start: int) -> None:
        try:
            file.seek(index.start + start)
            view[:] = file.read(len(view))
        except Exception as error:
            failures.append(error)
            raise

    try:
        return TinyTag.get("index.mp4", seekable_file(len(index), fill), tags=False, check_magic_bytes=False).duration
    except TinyTagException as error:
        # TinyTag takes whatever is raised while it reads for a fault of the file.
        if failures:
            raise failures[0] from None
        raise MismatchError("the MP4 cannot be read") from error


def _check_boxes(file: BinaryIO, length: int) -> dict[bytes, range]:
    """Walk the top-level boxes; where the first of each kind is."""
    seen: dict[bytes, range] = {}
    position = 0
    for _ in range(_MAX_BOXES):
        if position >= length:
            break
        file.seek(position)
        box = _box(file.read(_LONGEST_HEADER_BYTES))
        if box is None:
            raise MismatchError("the MP4 ends within a box")
        kind, size = box
        size = size or length - position
        if size < _HEADER_BYTES:
            raise MismatchError("the MP4 has a box of no size")
        seen.setdefault(kind, range(position, position + size))
        position += size
    else:
        position = length if b"moof" in seen else position
    if position != length:
        raise MismatchError(f"the MP4's boxes reach to byte {position} of {length}")
    if missing := _NEEDED_BOXES - seen.keys():
        raise MismatchError(f"the MP4 has no {b', '.join(sorted(missing)).decode()}")
    return seen


def _box(header: bytes) -> tuple[bytes, int] | None:
    """Kind and size of the box that begins so, size 0 for all the rest; None if more of it has to be known.

    ISO/IEC 14496-12, 4.2.
    """
    if len(header) < _HEADER_BYTES:
        return None
    size, kind = struct.unpack(">I4s", header[:_HEADER_BYTES])
    if size == 1:
        if len(header) < _LONGEST_HEADER_BYTES:
            return None
        (size,) = struct.unpack(">Q", header[_HEADER_BYTES:])
    return kind, size


class Excerpt:
    """What can be inspected of an MP4 that passes by only once: the heads of its boxes, and its index."""

    def __init__(self) -> None:
        self.length = 0
        self._kept: list[tuple[int, bytearray]] = []
        self._keep_to = self._box_end = 0
        self._may_keep = _MAX_EXCERPT_BYTES

    def feed(self, piece: memoryview) -> None:
        """Take the next bytes of the file."""
        while piece:
            if self.length < self._keep_to:
                taken = piece[: self._keep_to - self.length]
                self._kept[-1][1].extend(taken)
            elif self.length < self._box_end:
                taken = piece[: self._box_end - self.length]
            else:
                taken = piece[:1]
                self._read_head(taken)
            self.length += len(taken)
            piece = piece[len(taken) :]

    def _read_head(self, byte: memoryview) -> None:
        if self.length == self._box_end:
            self._kept.append((self.length, bytearray()))
        start, head = self._kept[-1]
        head.extend(byte)
        if (box := _box(bytes(head))) is None:
            return
        kind, size = box
        # What cannot be a box ends the walk here, and what is read of it says so later.
        is_broken = 0 < size < _HEADER_BYTES or len(self._kept) > _MAX_BOXES
        self._box_end = start + size if size and not is_broken else sys.maxsize
        if kind == b"moov":
            self._keep_to = min(self._box_end, start + self._may_keep)
            self._may_keep = max(0, start + self._may_keep - self._keep_to)

    def file(self) -> BinaryIO:
        """The file as far as it was kept, with zeros for the rest."""
        return seekable_file(self.length, self._fill)

    def _fill(self, view: memoryview, start: int) -> None:
        view[:] = bytes(len(view))
        for kept_from, kept in self._kept:
            low, high = max(start, kept_from), min(start + len(view), kept_from + len(kept))
            if low < high:
                view[low - start : high - start] = memoryview(kept)[low - kept_from : high - kept_from]


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
