"""Files to copy: of any size, random inside, with the boxes of an MP4 around that."""

import itertools
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import SCRATCH

_PIECE_BYTES = 1 << 24
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that nginx serves, and what must arrive of it."""

    path: Path
    size: int
    crc32: int


def folder() -> Path:
    """What nginx serves."""
    return SCRATCH / "files"


def parse_size(text: str) -> int:
    """The bytes of `64MiB`, or of a plain number.

    Raises:
        ValueError: it is neither.
    """
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    return int(text)


def size_text(size: int) -> str:
    """`64MiB` for its bytes."""
    for unit, factor in reversed(_UNITS.items()):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def file_of(size: int) -> SourceFile:
    """The file of that size, made at the first call."""
    path = folder() / f"{size_text(size)}.mp4"
    note = SCRATCH / "checksums" / f"{path.name}.json"
    if not note.exists() or not path.exists() or path.stat().st_size != size:
        for parent in (path.parent, note.parent):
            parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(_write(path, size)))
    return SourceFile(path, size, json.loads(note.read_text()))


def _write(path: Path, size: int) -> int:
    """Returns the CRC32 of what was written."""
    start = _box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")
    # An mvhd of one minute (60,000 units of 1 ms), the rest of it zeros: there are no tracks to describe.
    end = _box(b"moov", _box(b"mvhd", bytes(12) + (1000).to_bytes(4) + (60_000).to_bytes(4) + bytes(80)))
    mdat_bytes = size - len(start) - len(end)
    start += (1).to_bytes(4) + b"mdat" + mdat_bytes.to_bytes(8)
    left = size - len(start) - len(end)
    crc32 = 0
    with path.open("wb") as file:
        noise = (os.urandom(min(_PIECE_BYTES, left - at)) for at in range(0, left, _PIECE_BYTES))
        for piece in itertools.chain([start], noise, [end]):
            file.write(piece)
            crc32 = zlib.crc32(piece, crc32)
    return crc32


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + kind + content
