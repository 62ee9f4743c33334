import json
from pathlib import Path

import pytest

from local.jaas.samples import SAMPLES_FOLDER, SampleError, freshen, load_sample

NOW_MS = 1_800_000_000_000


def test_a_sample_is_found_by_its_name_alone() -> None:
    assert load_sample(Path("ROOM_CREATED")).body == (SAMPLES_FOLDER / "ROOM_CREATED.json").read_bytes()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SampleError, match="NO_SUCH_EVENT"):
        load_sample(Path("NO_SUCH_EVENT"))


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_file_that_can_be_no_event_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "body.json"
    path.write_text(content)
    with pytest.raises(SampleError, match="JSON"):
        load_sample(path)


def test_the_last_fresh_event_happens_now() -> None:
    names = ("ROOM_CREATED", "RECORDING_UPLOADED")
    bodies = freshen((load_sample(Path(name)) for name in names), now_ms=NOW_MS)
    assert max(json.loads(body)["timestamp"] for body in bodies) == NOW_MS


def test_fresh_times_keep_their_distance() -> None:
    sample = load_sample(Path("trap_data_timestamps_months_away"))
    before, after = json.loads(sample.body), json.loads(freshen([sample], now_ms=NOW_MS)[0])
    distances = [event["timestamp"] - event["data"]["startTimestamp"] for event in (before, after)]
    assert distances[0] == distances[1]


def test_fresh_events_of_one_session_stay_together() -> None:
    bodies = freshen([load_sample(Path("ROOM_CREATED")), load_sample(Path("ROOM_DESTROYED"))])
    assert len({json.loads(body)["sessionId"] for body in bodies}) == 1


def test_a_fresh_session_is_a_new_one() -> None:
    sample = load_sample(Path("ROOM_CREATED"))
    assert json.loads(freshen([sample])[0])["sessionId"] != sample.session_id


def test_the_same_sample_made_fresh_twice_is_two_events() -> None:
    sample = load_sample(Path("ROOM_CREATED"))
    assert len({json.loads(body)["idempotencyKey"] for body in freshen([sample, sample])}) == 2


def test_a_field_that_comes_twice_still_does() -> None:
    assert freshen([load_sample(Path("trap_app_id_twice"))])[0].count(b'"appId"') == 2


def test_a_key_that_is_no_uuid_still_is_none() -> None:
    fresh = json.loads(freshen([load_sample(Path("trap_idempotency_key_not_uuid"))])[0])
    assert len(fresh["idempotencyKey"]) > 36


def test_an_event_without_any_identity_is_left_alone() -> None:
    sample = load_sample(Path("trap_settings_provisioning_only_fqn"))
    assert freshen([sample]) == [sample.body]
