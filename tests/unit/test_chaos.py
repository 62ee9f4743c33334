"""A run of chaos can be repeated: its plan follows from the seed."""

from collections import Counter

from local.chaos.faults import AwsFaults
from local.chaos.plan import Disturbance, Plan, Post, make_plan
from local.proxy import Call

DISTURBANCES = (Disturbance.KILL, Disturbance.RESTART)


def plan(seed: int) -> Plan:
    return make_plan(seed, 6, film=b"film", now_ms=1_782_896_401_240, disturbances=DISTURBANCES)


def test_the_same_seed_is_the_same_plan() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_each_event_is_delivered_five_times() -> None:
    one = plan(7)
    delivered = Counter(step for step in one.steps if isinstance(step, Post))
    events = [
        Post(number, event) for number, meeting in enumerate(one.meetings) for event in range(len(meeting.events))
    ]
    assert delivered == Counter(events * 5)
    assert [step for step in one.steps if isinstance(step, Disturbance)] == list(DISTURBANCES)


def test_aws_fails_the_same_requests_of_an_operation_again() -> None:
    def failures(seed: str, operation: str) -> list[object]:
        faults = AwsFaults(seed)
        return [faults.take(Call("s3", operation, "PUT", f"/key{number}")) for number in range(2000)]

    assert failures("7", "PutObject") == failures("7", "PutObject") != failures("8", "PutObject")
    assert any(failures("7", "PutObject"))


def test_what_is_not_the_functions_business_does_not_fail() -> None:
    faults = AwsFaults("7")
    assert not any(faults.take(Call("", "GET", "GET", "/_ministack/ready")) for _ in range(2000))
