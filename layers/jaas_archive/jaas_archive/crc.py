"""CRC32C of a whole file out of the CRC32Cs of its parts, so that parts may be copied in any order."""

import base64
from collections.abc import Iterable, Iterator
from functools import lru_cache

_POLYNOMIAL = 0x82F63B78
"""CRC-32C (Castagnoli), bits reversed; the arithmetic below is that of zlib's crc32_combine."""

type _Matrix = tuple[int, ...]


def combined(parts: Iterable[tuple[int, int]]) -> int:
    """The CRC32C of parts laid end to end, each given as its CRC32C and its length in bytes."""
    whole = 0
    for crc, length in parts:
        whole = _times(_shift(length), whole) ^ crc
    return whole


def as_text(crc: int) -> str:
    """A CRC32C as S3 and Oracle write it: four bytes, highest first, in base64."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def from_text(text: str) -> int:
    """The CRC32C that a text stands for."""
    return int.from_bytes(base64.b64decode(text), "big")


@lru_cache(maxsize=8)
def _shift(length: int) -> _Matrix:
    """What appending `length` bytes of zero does to a CRC, as a matrix over GF(2)."""
    result: _Matrix = tuple(1 << bit for bit in range(32))
    for power in _powers():
        if not length:
            return result
        if length & 1:
            result = _product(power, result)
        length >>= 1
    raise AssertionError("unreachable")


def _powers() -> Iterator[_Matrix]:
    """What 1, 2, 4, 8… bytes of zero do."""
    matrix: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(31)))
    for _ in range(3):
        matrix = _product(matrix, matrix)
    while True:
        yield matrix
        matrix = _product(matrix, matrix)


def _product(left: _Matrix, right: _Matrix) -> _Matrix:
    return tuple(_times(left, column) for column in right)


def _times(matrix: _Matrix, vector: int) -> int:
    result = 0
    for column in matrix:
        if vector & 1:
            result ^= column
        vector >>= 1
    return result
