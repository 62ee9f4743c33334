"""The load that `make load` puts on a stack comes to an end, or says what is lost or stuck."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from local.cloud import Cloud, seconds_of
from local.jaas.files import Link
from local.jaas.storage import StoredObject
from local.load.events import chat_events, feedback_events
from local.load.flow import LoadError, Offered, offer, wait_until_empty
from local.load.workers import CLOUD, Costs, Memory

CLOUD_OF_NOBODY = cast("Cloud", None)


@dataclass
class Clock:
    """Time that passes only in `sleep`."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def offer_to(deliver: Callable[[bytes], bool], count: int, clock: Clock) -> Offered:
    bodies = [str(number).encode() for number in range(count)]
    return offer(deliver, bodies, rate=2, senders=1, clock=clock, sleep=clock.sleep)


def test_each_event_is_offered_at_its_time(clock: Clock) -> None:
    times: dict[bytes, float] = {}

    def deliver(body: bytes) -> bool:
        times[body] = clock()
        return True

    offered = offer_to(deliver, 4, clock)
    assert times == {b"0": 0, b"1": 0.5, b"2": 1, b"3": 1.5}
    assert offered == Offered(4, 1.5, 0)


def test_a_slow_cloud_makes_events_late(clock: Clock) -> None:
    def deliver(_: bytes) -> bool:
        clock.now += 1
        return True

    offered = offer_to(deliver, 4, clock)
    assert offered == Offered(4, 4, 2.5)
    assert str(offered) == "1 a second taken, the slowest 2.5 s after its time"


def test_an_event_that_is_not_taken_ends_the_load(clock: Clock) -> None:
    with pytest.raises(LoadError, match="event 1 was not taken"):
        offer_to(lambda body: body != b"1", 4, clock)


def counts(*some: int) -> Callable[[], int]:
    """Says these numbers in turn, and then the last one again and again."""
    numbers: Iterator[int] = iter(some)
    return lambda: next(numbers, some[-1])


def test_queues_drain(clock: Clock) -> None:
    assert wait_until_empty(counts(7, 3, 0), clock=clock, sleep=clock.sleep) == 2


def test_queues_in_which_nothing_moves_are_not_waited_for(clock: Clock) -> None:
    with pytest.raises(LoadError, match="3 messages are left; none has moved for 301 s"):
        wait_until_empty(counts(7, 3), clock=clock, sleep=clock.sleep)
    assert clock() == 302


def test_queues_that_never_become_empty_are_not_waited_for(clock: Clock) -> None:
    back_and_forth = counts(*(1 + number % 2 for number in range(10_000)))
    with pytest.raises(LoadError, match="messages are left"):
        wait_until_empty(back_and_forth, clock=clock, sleep=clock.sleep)
    assert clock() == pytest.approx(7201)


def test_a_single_threaded_cloud_is_the_limit() -> None:
    costs = Costs({CLOUD: 20, "Receiver": 10}, events=10_000, elapsed_seconds=30, processors=2)
    assert costs.most_a_second == pytest.approx(500)
    assert str(costs) == "MiniStack 2.0 ms, Receiver 1.0 ms each; 1.0 of 2 processors, which allow 500 a second"


def test_the_processors_together_are_the_limit() -> None:
    costs = Costs({CLOUD: 20, "Receiver": 60}, events=10_000, elapsed_seconds=80, processors=2)
    assert costs.most_a_second == pytest.approx(250)


def test_whole_seconds_of_many_workers_are_too_coarse_for_a_short_load() -> None:
    costs = Costs({CLOUD: 3, "Receiver": 0}, events=1_500, elapsed_seconds=7, processors=2)
    assert "too short" in str(costs)


@pytest.mark.parametrize(
    ("samples", "grown"),
    [
        ([20.0] + [47.0] * 59, []),
        ([47.0] * 30 + [49.0] * 30, []),
        ([float(47 + number) for number in range(60)], ["Receiver"]),
        ([20.0, 47.0], []),
    ],
    ids=["started", "flat", "grown", "too short to tell"],
)
def test_memory_that_grows_is_told_from_a_start(samples: list[float], grown: list[str]) -> None:
    memory = Memory(CLOUD_OF_NOBODY, ("Receiver",), {"Receiver": samples})
    assert memory.grown == grown


@pytest.mark.parametrize(
    ("shown", "seconds"), [("00:01:02", 62), ("1-02:03:04", 93784), ("0:31.52", 31.52), ("75:00.25", 4500.25)]
)
def test_processor_time_as_linux_and_macos_show_it(shown: str, seconds: float) -> None:
    assert seconds_of(shown) == pytest.approx(seconds)


def sessions_of(bodies: list[bytes]) -> Counter[str]:
    return Counter(json.loads(body)["sessionId"] for body in bodies)


def test_the_meetings_of_a_load_are_as_large_as_the_page_assumes() -> None:
    link = Link("https://files.example.com/1", StoredObject("1", "bucket", b"", "application/json", 0, 0))
    events, files = sessions_of(feedback_events(400)), sessions_of(chat_events([link] * 30))
    assert set(events.values()) == {40}
    assert set(files.values()) == {3}
    assert not {session[:8] for session in events} & {session[:8] for session in files}
