"""The parts of a multipart upload: how large they are, which are missing, and who copies which."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jaas_archive.archive import Part
from jaas_archive.connections import Stop
from jaas_archive.uploads import Checkpoint

MIB = 1 << 20
SMALLEST_PART_BYTES = 5 * MIB
"""S3 takes no smaller ones but the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).

At the slowest pace that a connection may have, one is there before an invocation ends.
"""
SMALLEST_USUAL_PART_BYTES = 8 * MIB
LARGEST_USUAL_PART_BYTES = 16 * MIB
"""Larger parts would save requests, but leave workers idle at the end and lose more when an invocation ends.

Beyond 156 GiB their number decides.
"""
_USUAL_PARTS = 32
_MAX_PARTS = 10_000
LARGEST_FILE_BYTES = _MAX_PARTS * (5 << 30)
"""What S3 takes as one object (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). No smaller limit: it
would save little, since memory does not grow with the file, and could cost a recording."""
_ORDERED_BYTES = 48 * MIB
"""What the parts may take that wait for their turn, where an MD5 has to be taken over the whole in order."""


def part_bytes(length: int, *, ordered: bool = False, slow: bool = False) -> int:
    """The size of parts for a file of that length, in bytes: whole MiB, and not more parts than S3 takes.

    `slow` makes them as small as they may be, because usual ones did not get finished.
    """
    needed = -(-length // _MAX_PARTS)
    usual = SMALLEST_USUAL_PART_BYTES
    if slow:
        usual = SMALLEST_PART_BYTES
    elif not ordered:
        usual = max(usual, min(length // _USUAL_PARTS, LARGEST_USUAL_PART_BYTES))
    return -(-max(usual, needed) // MIB) * MIB


@dataclass(slots=True)
class Parts:
    """The parts of one upload, shared by the workers; `present` are those that S3 has already.

    `ordered` makes each part wait until all before it have gone into an MD5 over the whole.
    """

    checkpoint: Checkpoint
    present: Sequence[Part]
    ordered: bool
    moved: int = 0
    """Bytes that flowed so far, about: good enough to tell whether more workers help."""
    _missing: deque[int] = field(init=False)
    _done: dict[int, Part] = field(init=False)
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _md5: "hashlib._Hash" = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _next_digest: int = 1

    def __post_init__(self) -> None:
        count = -(-self.checkpoint.length // self.checkpoint.part_bytes)
        self._done = {part.number: part for part in self.present if part.size == len(self.span(part.number))}
        self._missing = deque(number for number in range(1, count + 1) if number not in self._done)

    def useful_workers(self, most: int) -> int:
        """So many workers, of at most that many, have something to do and memory to do it in."""
        affordable = max(1, _ORDERED_BYTES // self.checkpoint.part_bytes) if self.ordered else most
        return min(most, affordable, len(self._missing))

    def span(self, number: int) -> range:
        """Which bytes of the file a part is."""
        start = (number - 1) * self.checkpoint.part_bytes
        return range(start, min(start + self.checkpoint.part_bytes, self.checkpoint.length))

    def next(self) -> int:
        """The number of a part that nobody copies yet, 0 if there is none."""
        with self._turn:
            return self._missing.popleft() if self._missing else 0

    def counted(self, pieces: Callable[[], Iterable[memoryview]]) -> Iterator[memoryview]:
        """The same pieces, counted as they flow."""
        for piece in pieces():
            yield piece
            self.moved += len(piece)

    def digest(self, number: int, part: memoryview, stop: Stop) -> None:
        """Take the MD5 of the part when it is its turn."""
        with self._turn:
            while number != self._next_digest:
                stop.check()
                self._turn.wait(1)
        self._md5.update(part)
        with self._turn:
            self._next_digest += 1
            self._turn.notify_all()

    def done(self, part: Part) -> None:
        """S3 has this part."""
        with self._turn:
            self._done[part.number] = part

    @property
    def whole(self) -> int:
        """How many S3 has of full size: the last is as short as it happens to be."""
        return sum(part.size == self.checkpoint.part_bytes for part in self._done.values())

    @property
    def md5(self) -> bytes | None:
        """The MD5 of the whole, None where it was not taken."""
        return self._md5.digest() if self.ordered else None

    def all(self) -> list[Part]:
        """Those that S3 has, in order."""
        return [self._done[number] for number in sorted(self._done)]
