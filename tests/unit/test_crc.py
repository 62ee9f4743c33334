from fastcrc.crc32 import iscsi as crc32c
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.crc import as_text, combined, from_text


@given(st.lists(st.binary(max_size=5000), max_size=8))
def test_the_crcs_of_parts_combine_to_that_of_the_whole(parts: list[bytes]) -> None:
    assert combined((crc32c(part), len(part)) for part in parts) == crc32c(b"".join(parts))


def test_long_parts_combine_as_well() -> None:
    part = bytes(range(256)) * 20_480
    assert combined([(crc32c(part), len(part))] * 3) == crc32c(part * 3)


@given(st.integers(0, 2**32 - 1))
def test_a_crc_survives_being_written(crc: int) -> None:
    assert from_text(as_text(crc)) == crc
