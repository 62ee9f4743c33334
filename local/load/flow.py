"""Into the cloud at a fixed rate, and out of its queues: both come to an end, or say what is stuck."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

SENDERS = 16
_LOOK_SECONDS = 1
_STALLED_SECONDS = 300
_LONGEST_SECONDS = 7200


class LoadError(Exception):
    """Something is lost or stuck; the text says what."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What became of the events that were offered."""

    events: int
    seconds: float
    """Until the last was taken."""
    latest_seconds: float
    """How long after its time the slowest was taken."""

    def __str__(self) -> str:
        taken = f"{self.events / self.seconds:.0f} a second taken"
        return f"{taken}, the slowest {self.latest_seconds:.1f} s after its time"


def offer(
    deliver: Callable[[bytes], bool],
    bodies: Sequence[bytes],
    *,
    rate: float,
    senders: int = SENDERS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Offered:
    """Deliver `rate` events a second. Each has its time, and what finds all senders busy is late by that.

    Raises:
        LoadError: one was not taken, however often it was sent.
    """
    started = clock()

    def deliver_in_time(number: int) -> float:
        due_at = started + number / rate
        sleep(max(0.0, due_at - clock()))
        if not deliver(bodies[number]):
            raise LoadError(f"event {number} was not taken, {clock() - due_at:.0f} s after its time")
        return clock() - due_at

    with ThreadPoolExecutor(senders) as pool:
        futures = [pool.submit(deliver_in_time, number) for number in range(len(bodies))]
        try:
            latest_seconds = max((future.result() for future in futures), default=0.0)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return Offered(len(bodies), clock() - started, latest_seconds)


def wait_until_empty(
    waiting: Callable[[], int],
    *,
    on_progress: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait for queues that hold `waiting()` messages; returns how many seconds it took.

    Raises:
        LoadError: the number has not changed for five minutes, or it takes two hours.
    """
    started = moved_at = clock()
    known = -1
    while count := waiting():
        now = clock()
        if count != known:
            known, moved_at = count, now
        if now - moved_at > _STALLED_SECONDS or now - started > _LONGEST_SECONDS:
            raise LoadError(f"{count} messages are left; none has moved for {now - moved_at:.0f} s")
        on_progress(f"{count} messages are left")
        sleep(_LOOK_SECONDS)
    return clock() - started
