"""The plan of a run: who sends what when, and what is disturbed in between; the same for the same seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from local.chaos.invention import invent
from local.chaos.meetings import Event, Meeting
from local.jaas.meeting import seeded

_TIMES = 5
"""How often each event is delivered."""
_MEETINGS_AT_ONCE = 6
_LATE_SHARE = 0.02


class Disturbance(StrEnum):
    """What is done to the machines."""

    KILL = "workers killed"
    REDEPLOY = "stack redeployed"
    RESTART = "cloud stopped and started"


@dataclass(frozen=True, slots=True)
class Post:
    """A delivery of an event."""

    meeting: int
    event: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A run; what fails follows from its seed, too."""

    seed: int
    meetings: tuple[Meeting, ...]
    steps: tuple[Post | Disturbance, ...]

    def event(self, post: Post) -> Event:
        """The event that is delivered."""
        return self.meetings[post.meeting].events[post.event]

    @property
    def posts(self) -> int:
        """How many deliveries there are."""
        return sum(isinstance(step, Post) for step in self.steps)


def make_plan(seed: int, count: int, *, film: bytes, now_ms: int, disturbances: Sequence[Disturbance]) -> Plan:
    """`count` meetings of now, disturbed at even distances, each time while a large recording is copied."""
    rng = seeded(f"chaos {seed}")
    step = count // max(1, len(disturbances))
    large = [number * step for number in range(len(disturbances))]
    meetings = tuple(
        invent(
            seeded(f"chaos {seed} meeting {number}"),
            film=film,
            now_ms=now_ms - rng.randint(0, 3_600_000),
            large_recording=number in large,
        )
        for number in range(count)
    )
    announcing = [
        [
            Post(number, event)
            for event, one in enumerate(meetings[number].events)
            if meetings[number].announced[0].object_name in one.links.values()
        ]
        for number in large
    ]
    apart = {post for posts in announcing for post in posts}
    steps: list[Post | Disturbance] = [post for post in _deliveries(rng, meetings) if post not in apart]
    distance = len(steps) // (len(disturbances) + 1)
    for number, (disturbance, posts) in reversed(list(enumerate(zip(disturbances, announcing, strict=True), 1))):
        steps[number * distance : number * distance] = [*posts * _TIMES, disturbance]
    return Plan(seed, meetings, tuple(steps))


def _deliveries(rng: random.Random, meetings: tuple[Meeting, ...]) -> list[Post]:
    """Each event five times, in any order, a few meetings at a time; some come much too late."""
    times = []
    for number, meeting in enumerate(meetings):
        for event in range(len(meeting.events)):
            for _ in range(_TIMES):
                late = len(meetings) if rng.random() < _LATE_SHARE else 0
                at = number + rng.uniform(0, _MEETINGS_AT_ONCE) + rng.uniform(0, late)
                times.append((at, Post(number, event)))
    return [post for _, post in sorted(times, key=lambda pair: pair[0])]
