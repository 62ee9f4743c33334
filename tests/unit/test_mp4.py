"""An MP4 is inspected alike, whether any stretch of it can be had or it passes by only once."""

import io
import struct
from itertools import batched
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.errors import MismatchError
from jaas_archive.mp4 import Excerpt, inspect_mp4
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
