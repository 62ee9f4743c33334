"""What goes wrong: with requests to AWS, with the links of files, and with the machines."""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.jaas import faults as source
from local.jaas.meeting import as_json, seeded
from local.proxy import Call, Fault

_LONGEST_BURST = 12
"""Longer than botocore is patient, so that some failures reach our own code."""
_BURST_SHARE = 0.006
_RARE_SHARE = 0.05
"""For what is asked only now and then, such as the secret."""
_CUT_UPLOAD_BYTES = 50_000
_LARGE_BYTES = 16 << 20
"""Larger files are copied in parts."""
_FAILURES, _FAILURES_OF_LISTED = (0, 0, 1, 2, 4), (0, 0, 0, 1, 2)
_ODD_SHARE = 0.1
_SLOW_BYTES_PER_SECOND = 1_000_000
"""Slow enough that something can happen in the middle of a copy."""


def _cancelled(_request: bytes) -> bytes:
    """Another transaction works on the same items."""
    reasons = [{"Code": "TransactionConflict", "Message": "simulated"}]
    return as_json({"__type": "TransactionCanceledException", "message": "simulated", "CancellationReasons": reasons})


_LOST = Fault(hidden=True, reset_after_bytes=0)
_RESET = Fault(reset_after_bytes=0)
_ALWAYS = {"reset": _RESET, "done, and the answer lost": _LOST}
_OF_SERVICE: Mapping[str, Mapping[str, Fault]] = {
    "s3": {
        "throttled": Fault(503, "SlowDown"),
        "500": Fault(500, "InternalError"),
        "done, and answered 500": Fault(500, "InternalError", hidden=True),
        "upload cut": Fault(reset_after_bytes=_CUT_UPLOAD_BYTES),
        "answer cut": Fault(hidden=True, reset_after_bytes=100),
    },
    "sqs": {"throttled": Fault(400, "ThrottlingException"), "503": Fault(503, "ServiceUnavailable")},
    "dynamodb": {
        "throttled": Fault(400, "ProvisionedThroughputExceededException"),
        "500": Fault(500, "InternalServerError"),
    },
    "secretsmanager": {"throttled": Fault(400, "ThrottlingException"), "500": Fault(500, "InternalServiceError")},
    "sns": {"500": Fault(500, "InternalFailure")},
}
_OF_OPERATION: Mapping[str, Mapping[str, Fault]] = {
    "TransactWriteItems": {"conflict": Fault(400, answer=_cancelled)},
}


class AwsFaults:
    """Bursts of failures, the same for the n-th request of an operation wherever the seed is the same."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._bursts: dict[str, _Burst] = {}
        self._lock = threading.Lock()
        self.active = True
        self.injected: Counter[str] = Counter()

    def take(self, call: Call) -> Fault | None:
        """What happens to the next request."""
        sorts = {**_ALWAYS, **_OF_SERVICE.get(call.service, {}), **_OF_OPERATION.get(call.operation, {})}
        with self._lock:
            if not self.active or call.service not in _OF_SERVICE:
                return None
            name = f"{call.service} {call.operation}"
            if name not in self._bursts:
                self._bursts[name] = _Burst(seeded(f"{self._seed} {name}"))
            share = _RARE_SHARE if call.service == "secretsmanager" else _BURST_SHARE
            sort = self._bursts[name].next(list(sorts), share)
            if sort is None:
                return None
            self.injected[f"{call.service}: {sort}"] += 1
            return sorts[sort]


class _Burst:
    """The failures of one operation."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._sort = ""
        self._left = 0

    def next(self, sorts: Sequence[str], share: float) -> str | None:
        if not self._left:
            if self._rng.random() >= share:
                return None
            self._sort, self._left = self._rng.choice(sorts), self._rng.randint(1, _LONGEST_BURST)
        self._left -= 1
        return self._sort


@dataclass(frozen=True, slots=True)
class SourceFaults:
    """A link's failures, in order; `slow` holds for all requests."""

    script: tuple[tuple[str, source.Fault], ...]
    ignores_ranges: bool
    bytes_per_second: int | None

    def armed(self) -> source.Faults:
        """Faults that a link can have."""
        faults = source.Faults()
        for _, fault in self.script:
            faults.then(fault)
        if self.ignores_ranges:
            faults.always(source.NoRanges())
        if self.bytes_per_second:
            faults.always(source.Trickle(self.bytes_per_second))
        return faults

    def met(self, faults: source.Faults) -> list[str]:
        """The failures that have happened."""
        return [f"source: {name}" for name, _ in self.script[: len(self.script) - faults.scripted]]


def source_faults(rng: random.Random, size: int, *, listed: bool = False) -> SourceFaults:
    """What goes wrong with a file of that size; each of it may pass.

    A list and its pictures, `listed`, fail less often each, since they have to come together.
    """
    middle = rng.randrange(max(1, size))
    passing: dict[str, source.Fault] = {
        "503": source.Fail(503),
        "429": source.Fail(429, "TooManyRequests", retry_after_seconds=1),
        "404 for a while": source.Fail(404, "ObjectNotFound"),
        "401 for a while": source.Fail(401, "NotAuthenticated"),
        "no answer": source.Drop(),
        "cut": source.Cut(middle),
        "ended early": source.Truncate(middle),
        "stalled": source.Stall(middle, 2),
        "web page": source.HtmlPage(),
        "written anew": source.Changed(),
    }
    script = [
        (name, passing[name])
        for name in rng.choices(list(passing), k=rng.choice(_FAILURES_OF_LISTED if listed else _FAILURES))
    ]
    is_large = size > _LARGE_BYTES
    if rng.random() < _ODD_SHARE and not is_large:
        # A file that comes out wrong twice is given up, and rightly.
        wrong: dict[str, source.Fault] = {
            "one byte wrong": source.Corrupt(middle),
            "wrong length": source.WrongLength(-max(1, size // 3)),
        }
        script = [rng.choice(list(wrong.items()))]
    return SourceFaults(
        tuple(script),
        ignores_ranges=not is_large and rng.random() < _ODD_SHARE,
        bytes_per_second=_SLOW_BYTES_PER_SECOND if is_large else None,
    )
