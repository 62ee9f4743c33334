"""How long people were there."""

from collections.abc import Iterable

from jaas_archive.people import Person, Stay


def seconds_present(person: Person, *, until_ms: int) -> float:
    """Seconds in the main room or a breakout, counted once where connections overlap; lobbies do not count.

    Who has not left stays until the end of the meeting. A stay whose beginning nobody told counts nothing.
    """
    return _covered_ms(_intervals((stay for one in person.connections for stay in one.stays), until_ms)) / 1000


def _intervals(stays: Iterable[Stay], until_ms: int) -> list[tuple[int, int]]:
    return sorted(
        (stay.joined_at_ms, until_ms if stay.left_at_ms is None else stay.left_at_ms)
        for stay in stays
        if stay.joined_at_ms is not None
    )


def _covered_ms(intervals: Iterable[tuple[int, int]]) -> int:
    covered_ms, reached_ms = 0, 0
    for from_ms, to_ms in intervals:
        covered_ms += max(0, to_ms - max(from_ms, reached_ms))
        reached_ms = max(reached_ms, to_ms)
    return covered_ms
