"""A run of chaos can be repeated: its plan follows from the seed."""

import re
from collections import Counter
from pathlib import Path

from local import chaos
from local.chaos.faults import AwsFaults
from local.chaos.plan import Disturbance, Plan, Post, make_plan
from local.proxy import Call

DISTURBANCES = (Disturbance.KILL, Disturbance.RESTART)


def plan(seed: int, now_ms: int = 1_782_896_401_240) -> Plan:
    return make_plan(seed, 6, film=b"film", now_ms=now_ms, disturbances=DISTURBANCES)


def object_names(plan: Plan) -> list[str]:
    lists = [one.object_name for meeting in plan.meetings for one in meeting.lists]
    return [file.object_name for meeting in plan.meetings for file in meeting.files] + lists


def test_the_same_seed_is_the_same_plan() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_what_goes_wrong_with_a_file_is_the_same_whenever_it_runs() -> None:
    """It follows from the object's name."""
    now, later = object_names(plan(7)), object_names(plan(7, now_ms=1_782_999_999_999))
    assert now == later
    assert len(now) == len(set(now))


def test_each_event_is_delivered_five_times() -> None:
    one = plan(7)
    delivered = Counter(step for step in one.steps if isinstance(step, Post))
    events = [
        Post(number, event) for number, meeting in enumerate(one.meetings) for event in range(len(meeting.events))
    ]
    assert delivered == Counter(events * 5)
    assert [step for step in one.steps if isinstance(step, Disturbance)] == list(DISTURBANCES)


def test_no_two_files_are_the_same_bytes() -> None:
    """The archive is searched by hash."""
    hashes = [file.sha256 for meeting in plan(7).meetings for file in meeting.files]
    assert len(hashes) == len(set(hashes)) > 0


def test_the_model_shares_no_code_with_the_archive() -> None:
    sources = [path.read_text() for path in Path(chaos.__file__).parent.glob("*.py")]
    imported = {name for source in sources for name in re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)}
    assert "local" in imported
    assert "jaas_archive" not in imported


def test_aws_fails_the_same_requests_of_an_operation_again() -> None:
    def failures(seed: str, operation: str) -> list[object]:
        faults = AwsFaults(seed)
        return [faults.take(Call("s3", operation, "PUT", f"/key{number}")) for number in range(2000)]

    assert failures("7", "PutObject") == failures("7", "PutObject") != failures("8", "PutObject")
    assert any(failures("7", "PutObject"))


def test_what_is_not_the_functions_business_does_not_fail() -> None:
    faults = AwsFaults("7")
    assert not any(faults.take(Call("", "GET", "GET", "/_ministack/ready")) for _ in range(2000))
