"""An MP4 is inspected alike, whether any stretch of it can be had or it passes by only once."""

import io
import struct
from itertools import batched, count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.errors import MismatchError, SourceUnavailableError
from jaas_archive.mp4 import Excerpt, inspect_mp4, seekable_file
from local.recording import make_small_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_small_recording(Path(tmp_path_factory.mktemp("mp4") / "recording.mp4")).path.read_bytes()


def excerpt_of(content: bytes, sizes: list[int]) -> Excerpt:
    excerpt, position = Excerpt(), 0
    for size in sizes:
        excerpt.feed(memoryview(content[position : position + size]))
        position += size
    excerpt.feed(memoryview(content[position:]))
    return excerpt


def seconds_of(excerpt: Excerpt, announced_seconds: float | None = None) -> float | None:
    return inspect_mp4(excerpt.file(), excerpt.length, announced_seconds=announced_seconds)


def box(kind: bytes, content: bytes = b"", *, size: int | None = None) -> bytes:
    """A box; with `size` its 64-bit one, for content that is given elsewhere."""
    if size is not None:
        return struct.pack(">I4sQ", 1, kind, size) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def index(seconds: int) -> bytes:
    """A `moov` that says so."""
    return box(b"moov", box(b"mvhd", struct.pack(">IIIII80x", 0, 0, 0, 1000, seconds * 1000)))


@given(sizes=st.lists(st.integers(1, 70_000), max_size=20))
def test_what_passed_by_once_tells_the_same(recording: bytes, sizes: list[int]) -> None:
    known = inspect_mp4(io.BytesIO(recording), len(recording), announced_seconds=10)
    assert known == pytest.approx(10, abs=0.2)
    assert seconds_of(excerpt_of(recording, sizes)) == known


def test_only_heads_and_the_index_are_kept(recording: bytes) -> None:
    padded = recording + struct.pack(">I4s", 8 << 20, b"free") + bytes((8 << 20) - 8)
    excerpt = Excerpt()
    for piece in batched(padded, 1 << 20, strict=False):
        excerpt.feed(memoryview(bytes(piece)))
    assert seconds_of(excerpt) == pytest.approx(10, abs=0.2)
    assert sum(len(kept) for _, kept in excerpt._kept) < 100_000  # noqa: SLF001 - memory is what this is about


@pytest.mark.parametrize("cut", [1, 5_000, 500_000])
def test_a_cut_file_is_found_out(recording: bytes, cut: int) -> None:
    with pytest.raises(MismatchError):
        seconds_of(excerpt_of(recording[:-cut], [100]))


def test_another_duration_is_found_out(recording: bytes) -> None:
    with pytest.raises(MismatchError, match="plays 10 s"):
        seconds_of(excerpt_of(recording, []), announced_seconds=100)


@given(st.binary(max_size=3000), st.lists(st.integers(1, 50), max_size=5))
def test_no_bytes_are_taken_for_an_mp4(content: bytes, sizes: list[int]) -> None:
    with pytest.raises(MismatchError):
        seconds_of(excerpt_of(content, sizes))


def test_boxes_without_end_cost_no_memory(recording: bytes) -> None:
    excerpt = excerpt_of(struct.pack(">I4s", 8, b"free") * 20_000, [])
    with pytest.raises(MismatchError):
        seconds_of(excerpt)


def test_trouble_of_the_source_is_not_taken_for_a_fault_of_the_file() -> None:
    content = (
        box(b"ftyp", b"mp42") + box(b"free", bytes(200_000)) + index(10) + box(b"mdat", bytes(200_000)) + box(b"free")
    )
    for allowed in count():
        asked = count()

        def fill(view: memoryview, start: int, *, allowed: int = allowed, asked: "count[int]" = asked) -> None:
            if next(asked) >= allowed:
                raise SourceUnavailableError("the source broke off")
            view[:] = content[start : start + len(view)]

        try:
            seconds = inspect_mp4(seekable_file(len(content), fill), len(content), announced_seconds=10)
        except SourceUnavailableError as error:
            assert not isinstance(error, MismatchError)  # noqa: PT017 - which of its kind it is
            continue
        assert (seconds, allowed) == (10, 4)
        return


def test_a_file_in_thousands_of_fragments_is_inspected_with_few_reads() -> None:
    start = box(b"ftyp", b"mp42") + index(2)
    fragment = box(b"moof", bytes(100)) + box(b"mdat", bytes(300_000))
    length = len(start) + 20_000 * len(fragment)
    reads = count()

    def fill(view: memoryview, position: int) -> None:
        next(reads)
        offset = (position - len(start)) % len(fragment)
        stretch = start + 2 * fragment if position < len(start) else (2 * fragment)[offset:]
        view[:] = stretch[: len(view)]

    # Its index tells only of the first fragment.
    assert inspect_mp4(seekable_file(length, fill), length, announced_seconds=40_000) is None
    assert next(reads) < 5_000


@pytest.mark.parametrize("index_first", [True, False])
@pytest.mark.parametrize("passes_by", [True, False])
def test_sizes_of_64_bits_are_read(index_first: bool, passes_by: bool) -> None:  # noqa: FBT001
    data = box(b"mdat", bytes(50_000), size=50_016)
    content = box(b"ftyp", b"mp42") + (index(10) + data if index_first else data + index(10))
    file = excerpt_of(content, [7, 9]).file() if passes_by else io.BytesIO(content)
    assert inspect_mp4(file, len(content), announced_seconds=10) == 10


def test_an_index_that_claims_all_the_rest_costs_little_memory() -> None:
    excerpt, mebibyte = excerpt_of(box(b"ftyp", b"mp42") + struct.pack(">I4s", 0, b"moov"), []), bytes(1 << 20)
    for _ in range(40):
        excerpt.feed(memoryview(mebibyte))
    assert sum(len(kept) for _, kept in excerpt._kept) <= 33 << 20  # noqa: SLF001 - memory is what this is about


def test_only_a_file_in_fragments_may_have_more_boxes_than_are_walked() -> None:
    """The walk through any other would end before what it ends in was seen."""
    content = index(10) + box(b"mdat") + 4_100 * box(b"free") + b"\x00"
    with pytest.raises(MismatchError, match="boxes reach to byte"):
        inspect_mp4(io.BytesIO(content), len(content), announced_seconds=10)
    fragmented = index(10) + 2_100 * (box(b"moof") + box(b"mdat"))
    assert inspect_mp4(io.BytesIO(fragmented), len(fragmented), announced_seconds=10) is None
