"""Threads that work until nothing is left: few at first, more as long as more of them get more done."""

import threading
import time
from collections.abc import Callable

from jaas_archive.connections import Stop, StoppedError

FIRST_WORKERS = 2
"""On a fast source two use all that a process can, and more get in each other's way; on a slow one the others join."""
_WATCH_SECONDS = 0.1
_BUSY_PROCESSORS = 0.9
"""Python's lock lets a process use hardly more than one processor, however many threads it has."""
_WORTHWHILE_GROWTH = 1.2


def run_workers(work: Callable[[Stop], None], most: int, stop: Stop, *, progress: Callable[[], int]) -> None:
    """Let up to that many threads `work` until it returns; the first failure stops them all and is raised.

    `progress` tells how much they have done so far, in any unit.
    """
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []
    stop = stop.child()

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
            failures.append(error)
            stop.now()

    def grow(count: int) -> None:
        for _ in range(count - len(threads)):
            thread = threading.Thread(target=run, name=f"worker-{len(threads)}")
            thread.start()
            threads.append(thread)

    try:
        grow(min(FIRST_WORKERS, most))
        best_rate = 0.0
        while 0 < len(threads) < most and threads[0].is_alive():
            rate, busy = _watch(threads[0], progress)
            if busy > _BUSY_PROCESSORS or rate < _WORTHWHILE_GROWTH * best_rate:
                break
            best_rate = rate
            grow(min(2 * len(threads), most))
    except BaseException:
        stop.now()
        raise
    finally:
        for thread in threads:
            thread.join()
    # The others only stopped because of the first.
    failures.sort(key=lambda error: isinstance(error, StoppedError))
    if failures:
        raise failures[0]


def _watch(thread: threading.Thread, progress: Callable[[], int]) -> tuple[float, float]:
    """For a moment, or until the thread ends: progress per second, and processors that this process used."""
    done, cpu, wall = progress(), time.process_time(), time.monotonic()
    thread.join(_WATCH_SECONDS)
    seconds = max(time.monotonic() - wall, 0.001)
    return (progress() - done) / seconds, (time.process_time() - cpu) / seconds
