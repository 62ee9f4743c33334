"""What the functions' workers take while a load goes through: memory, and time of the processors."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from local.cloud import Cloud

CLOUD, OURS = "MiniStack", "this command"
_KIB_OF_MIB = 1024
_ENOUGH = 30
"""Samples of which the first third begins with a worker's imports and does not end with them."""
_FLAT = 1.2
_TELLING_SECONDS = 20
"""Linux shows whole seconds of each process; less than that, of all of them, says nothing."""


@dataclass(slots=True)
class Memory:
    """The most MiB that a worker of each function had, second by second."""

    cloud: Cloud
    functions: Sequence[str]
    samples: dict[str, list[float]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every second while inside."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1):
            for function in self.functions:
                if workers := self.cloud.workers(f"{function}Function"):
                    self.samples.setdefault(function, []).append(max(workers.values()) / _KIB_OF_MIB)

    @property
    def grown(self) -> list[str]:
        """The functions whose memory did not stay flat, of those that were looked at long enough to tell."""
        return [
            function
            for function, some in self.samples.items()
            if len(some) >= _ENOUGH and max(some) > _FLAT * _in_first_third(some)
        ]

    def __str__(self) -> str:
        return "memory: " + "; ".join(
            f"{function} {_in_first_third(some):.0f} MiB in the first third, {max(some):.0f} MiB in all"
            for function, some in self.samples.items()
        )


def _in_first_third(samples: Sequence[float]) -> float:
    return max(samples[: len(samples) // 3 or 1])


@dataclass(frozen=True, slots=True)
class Costs:
    """The seconds of a processor that each took for all events, and what they allow: MiniStack is a single thread."""

    used: Mapping[str, float]
    events: int
    elapsed_seconds: float
    processors: int = os.process_cpu_count() or 1

    @property
    def busy(self) -> float:
        """How many processors were at work on it on average; what is missing had nothing to do, or was others'."""
        return sum(self.used.values()) / self.elapsed_seconds

    @property
    def most_a_second(self) -> float:
        """What this machine cannot exceed, if it does nothing else."""
        return self.events / max(self.used[CLOUD], sum(self.used.values()) / self.processors, 1e-3)

    def __str__(self) -> str:
        if sum(self.used.values()) < _TELLING_SECONDS:
            return "too short to tell what it took of the processors"
        each = ", ".join(f"{name} {seconds * 1000 / self.events:.1f} ms" for name, seconds in self.used.items())
        share = f"{self.busy:.1f} of {self.processors} processors"
        return f"{each} each; {share}, which allow {self.most_a_second:.0f} a second"


class Meter:
    """Reads what MiniStack, the functions' workers and this program have used of the processors."""

    def __init__(self, cloud: Cloud, functions: Sequence[str]) -> None:
        self._cloud, self._functions = cloud, functions
        self._begun_at, self._before = time.monotonic(), self._read()

    def costs(self, events: int) -> Costs:
        """Of so many events, since the beginning."""
        used = {name: seconds - self._before[name] for name, seconds in self._read().items()}
        return Costs(used, max(1, events), time.monotonic() - self._begun_at)

    def _read(self) -> dict[str, float]:
        workers = {function: self._cloud.processor_seconds(f"{function}Function") for function in self._functions}
        return {CLOUD: self._cloud.processor_seconds(), **workers, OURS: time.process_time()}
