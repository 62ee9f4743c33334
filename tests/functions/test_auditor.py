import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from moto.core.models import DEFAULT_ACCOUNT_ID

from functions.auditor import app
from jaas_archive.events import read_event
from jaas_archive.findings import FindingKind
from jaas_archive.items import shard_of
from jaas_archive.kinds import announced_files
from jaas_archive.names import iso_time
from local.jaas.faults import Fail
from local.jaas.files import FileServer, Link
from tests.functions.conftest import ARCHIVE, CLAIMS, World, context, load_event, mp4

HOUR_MS = 3_600_000
SESSION = "4be1f0a7-63c2-4d1e-9b57-20c8de715f3a"
FILE = "FILE#recording#tgwrnkqpzdbmxjvu.1782896531000"
_PK = {"S": f"SESSION#{SESSION}"}


def now_ms() -> int:
    return int(time.time() * 1000)


def event(event_type: str, *, hours_ago: float = 0, **data: Any) -> dict[str, Any]:
    """An event of the session, at a time near now."""
    document = load_event(event_type)
    document |= {"sessionId": SESSION, "fqn": "app/weeklysync", "timestamp": now_ms() - int(hours_ago * HOUR_MS)}
    document["data"] |= data
    return document


def recording(link: Link, *, hours_left: float = 24) -> dict[str, Any]:
    return event(
        "RECORDING_UPLOADED",
        preAuthenticatedLink=link.url,
        linkExpiration=now_ms() + int(hours_left * HOUR_MS),
        recordingSessionId="tgwrnkqpzdbmxjvu",
        startTimestamp=1782896531000,
    )


@pytest.fixture
def content() -> bytes:
    return mp4(300)


@pytest.fixture
def link(files: FileServer, content: bytes) -> Link:
    return files.publish(content, name="app/tgwrnkqpzdbmxjvu/weeklysync.mp4")


def fail_for_ever(link: Link) -> None:
    link.faults.then(*[Fail(503)] * 100)


def lose_messages(world: World) -> None:
    for name in ("download", "urgent-download"):
        world.sqs.purge_queue(QueueUrl=world.queues[name])


def found(world: World, **later: float) -> list[str]:
    return sorted(world.audit(**later).found.elements())


# --- open files -------------------------------------------------------------------------------------------------------


def test_an_archived_file_is_no_finding(world: World, link: Link) -> None:
    world.accept(recording(link))
    world.settle()
    assert found(world, hours_later=2) == []
    assert world.told() == []


def test_a_file_that_waits_long_is_found_once(world: World, link: Link) -> None:
    fail_for_ever(link)
    world.accept(recording(link))
    world.settle()
    assert found(world, hours_later=1) == []
    assert found(world, hours_later=3) == ["pending_too_long"]
    assert found(world, hours_later=4) == []


def test_a_file_at_risk_is_found_while_there_is_time(world: World, link: Link) -> None:
    fail_for_ever(link)
    world.accept(recording(link))
    world.settle()
    audit = world.audit(hours_later=18.1)
    assert (audit.found, audit.at_risk) == ({FindingKind.AT_RISK: 1}, 1)
    again = world.audit(hours_later=19)
    assert (again.found, again.at_risk) == ({}, 1)


def test_people_are_told_in_one_message_what_to_do(world: World, link: Link) -> None:
    fail_for_ever(link)
    world.accept(recording(link))
    world.settle()
    world.audit(hours_later=19)
    world.audit(hours_later=19.25)
    (message,) = world.told()
    assert message["Subject"] == "jaas-archive: 1 file will be lost in less than 6 hours"
    assert f"- room weeklysync, session {SESSION}, {FILE}, link dies 20" in message["Message"]
    assert "503" in message["Message"]
    assert "What to do: " in message["Message"]
    assert link.url not in message["Message"]


def test_a_file_at_risk_goes_ahead_of_a_backlog(world: World, link: Link, content: bytes) -> None:
    """Whatever waits in the download queue, the urgent one has a way of its own."""
    event_ = recording(link, hours_left=5)
    world.accept(event_)
    _deliver_meeting_messages(world)
    assert world.audit().requeued == 1
    (message,) = world.receive("urgent-download")
    assert link.url in message["Body"]
    world.sqs.change_message_visibility(
        QueueUrl=world.queues["urgent-download"], ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    assert world.audit(minutes_later=15).requeued == 0
    world.settle()
    assert world.object(".mp4") == content
    assert [request.method for request in link.requests] == ["GET"], "its other message finds it archived"


def test_a_failed_urgent_copy_stays_in_the_urgent_queue(world: World, link: Link, content: bytes) -> None:
    link.faults.then(Fail(503))
    world.accept(recording(link, hours_left=5))
    _deliver_meeting_messages(world)
    lose_messages(world)
    world.audit()
    world.settle()
    assert world.failed["urgent-download"]
    world.show_all("urgent-download")
    world.settle()
    assert world.object(".mp4") == content


def test_a_lost_message_is_not_a_lost_recording(world: World, link: Link, content: bytes) -> None:
    world.accept(recording(link))
    _deliver_meeting_messages(world)
    lose_messages(world)
    assert world.audit(hours_later=1).requeued == 0
    assert world.audit(hours_later=1.5).requeued == 1
    assert world.audit(hours_later=1.75).requeued == 0
    world.settle()
    assert world.object(".mp4") == content


def test_an_invocation_that_died_with_its_message_is_made_up_for(world: World, link: Link, content: bytes) -> None:
    world.accept(recording(link))
    _deliver_meeting_messages(world)
    lose_messages(world)
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": _PK, "sk": {"S": FILE}},
        UpdateExpression="SET #status = :copying, lease_until = :until",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":copying": {"S": "copying"}, ":until": {"N": str(now_ms() - 1000)}},
    )
    assert world.audit(hours_later=1.5).requeued == 1
    world.settle()
    assert world.object(".mp4") == content


def test_waiting_for_its_turn_is_not_being_lost(world: World, link: Link) -> None:
    world.accept(recording(link))
    _deliver_meeting_messages(world)
    assert world.audit(hours_later=3).requeued == 0


def test_a_file_being_copied_is_left_alone(world: World, link: Link) -> None:
    world.accept(recording(link, hours_left=5))
    _deliver_meeting_messages(world)
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": _PK, "sk": {"S": FILE}},
        UpdateExpression="SET lease_until = :until",
        ExpressionAttributeValues={":until": {"N": str(now_ms() + 600_000)}},
    )
    assert world.audit().requeued == 0


def test_an_event_too_large_for_the_table_is_queued_again_too(world: World, link: Link, content: bytes) -> None:
    document = recording(link)
    document["data"]["participants"] = [{"name": "x" * 1000, "id": str(number)} for number in range(400)]
    world.accept(document)
    _deliver_meeting_messages(world)
    lose_messages(world)
    assert world.audit(hours_later=2).requeued == 1
    world.settle()
    assert world.object(".mp4") == content


def test_a_long_outage_costs_a_round_few_requests(world: World) -> None:
    """Tens of thousands of files may be late for hours, and a round has ten minutes."""
    files = app.auditor().meetings.files
    for number in range(120):
        document = event("CHAT_UPLOADED", preAuthenticatedLink=f"https://down.example.com/o/{number}.json")
        (file,) = announced_files(read_event(document, received_at_ms=now_ms()))
        files.announce(SESSION, file, now_ms=now_ms())
    assert world.audit(hours_later=3).found == {FindingKind.PENDING_TOO_LONG: 120}
    requests: list[str] = []
    events = app.auditor().backlog.client.meta.events
    events.register("before-call.dynamodb", lambda model, **_: requests.append(model.name), unique_id="count")
    audit = world.audit(hours_later=4)
    events.unregister("before-call.dynamodb", unique_id="count")
    assert (audit.found, audit.open_files) == ({}, 120)
    assert len(requests) < 60


def test_files_at_risk_are_queued_again_before_anything_is_written_down(world: World, link: Link) -> None:
    world.accept(recording(link, hours_left=5))
    _deliver_meeting_messages(world)
    times = iter([True])
    audit = app.auditor().run(has_time=lambda: next(times, False))
    assert (audit.requeued, audit.findings, audit.complete) == (1, [], False)
    assert world.audit().found == {FindingKind.AT_RISK: 1}, "the next round says it"


def test_a_file_that_was_given_up_is_found_with_its_reason(world: World, files: FileServer) -> None:
    document = event("RECORDING_UPLOADED", preAuthenticatedLink="https://evil.example.com/file.mp4")
    world.accept(document)
    world.settle()
    assert found(world) == ["lost"]
    assert found(world) == []
    (message,) = world.told()
    assert message["Subject"] == "jaas-archive: 1 file was not archived and will not be tried again"
    assert "jaas-archive redrive" in message["Message"]


def test_a_file_that_was_given_up_a_day_after_its_deadline_is_found_too(world: World, link: Link) -> None:
    """For so long a link is tried that is not known to be dead."""
    fail_for_ever(link)
    world.accept(recording(link, hours_left=-25) | {"timestamp": now_ms() - 49 * HOUR_MS})
    world.settle()
    (file,) = world.items("FILE#")
    assert (file["status"], found(world)) == ("expired", ["lost"])


def test_a_file_that_nobody_can_try_any_more_ends_a_day_after_its_deadline(world: World, link: Link) -> None:
    """Its message is lost, and so is its link: an alarm that told of it would never end."""
    world.accept(recording(link, hours_left=5))
    _deliver_meeting_messages(world)
    lose_messages(world)
    _forget_announcement(world)
    assert world.audit(hours_later=28).at_risk == 1
    audit = world.audit(hours_later=30)
    assert (audit.found, audit.at_risk, audit.open_files) == ({FindingKind.LOST: 1}, 0, 0)
    assert "no message about it is left" in world.told()[-1]["Message"]
    time.sleep(2)
    world.settle()
    (file,) = world.meeting()["files"]
    assert file["status"] == "expired"


def test_a_file_whose_message_came_lately_is_left_to_it(world: World, link: Link) -> None:
    fail_for_ever(link)
    world.accept(recording(link, hours_left=-23.5) | {"timestamp": now_ms() - 48 * HOUR_MS})
    world.settle()
    _forget_announcement(world)
    assert world.audit(hours_later=1).open_files == 1


def test_a_message_that_cannot_be_made_again_does_not_spoil_the_round(world: World, link: Link) -> None:
    world.accept(recording(link, hours_left=5))
    _deliver_meeting_messages(world)
    (kept,) = world.s3.list_objects_v2(Bucket=CLAIMS, Prefix="announcements/")["Contents"]
    world.s3.put_object(Bucket=CLAIMS, Key=kept["Key"], Body=b"")
    audit = world.audit()
    assert (audit.requeued, audit.complete) == (0, True)


def _forget_announcement(world: World) -> None:
    world.dynamodb.update_item(
        TableName="meetings", Key={"pk": _PK, "sk": {"S": FILE}}, UpdateExpression="REMOVE announcement"
    )


def _deliver_meeting_messages(world: World) -> None:
    """Let the enricher note the events, and the downloader none."""
    while world.deliver_to_enricher():
        pass


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_recording_that_never_came_is_found_an_hour_after_the_meeting(world: World) -> None:
    for document in (event("RECORDING_STARTED", hours_ago=1), event("RECORDING_ENDED"), event("ROOM_DESTROYED")):
        world.accept(document)
    world.settle()
    assert found(world, minutes_later=59) == []
    assert found(world, minutes_later=61) == ["recording_missing"]
    assert found(world, minutes_later=75) == []
    assert "ask 8x8 support" in world.told()[0]["Message"]


def test_a_meeting_that_goes_on_is_not_asked_for_its_recording(world: World) -> None:
    world.accept(event("RECORDING_STARTED"))
    world.settle()
    assert found(world, hours_later=3) == []
    assert found(world, hours_later=7) == []
    assert found(world, hours_later=8.1) == ["recording_missing"]


def test_each_start_needs_an_upload(world: World, files: FileServer, content: bytes) -> None:
    world.accept(event("RECORDING_STARTED", hours_ago=3) | {"idempotencyKey": "first"})
    world.accept(event("RECORDING_STARTED", hours_ago=1) | {"idempotencyKey": "second"})
    second = event(
        "RECORDING_UPLOADED",
        preAuthenticatedLink=files.publish(content, name="second.mp4").url,
        linkExpiration=now_ms() + HOUR_MS,
        startTimestamp=now_ms() - HOUR_MS,
    )
    world.accept(second)
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    assert found(world, minutes_later=61) == ["recording_missing"]


def test_a_recorded_meeting_is_in_order(world: World, link: Link) -> None:
    document = recording(link)
    document["data"]["startTimestamp"] = now_ms() - HOUR_MS
    for part in (event("RECORDING_STARTED", hours_ago=1), document, event("ROOM_DESTROYED")):
        world.accept(part)
    world.settle()
    audit = world.audit(hours_later=1.1)
    assert (audit.found, audit.sessions) == ({}, 1)
    assert world.audit(hours_later=2).sessions == 0, "nothing new was heard of it"


def test_an_object_that_is_gone_is_found(world: World, link: Link) -> None:
    world.accept(recording(link))
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    (key,) = [key for key in world.archived_keys() if key.endswith(".mp4")]
    world.s3.delete_object(Bucket=ARCHIVE, Key=key)
    assert found(world, hours_later=1.1) == ["object_missing"]


@pytest.mark.parametrize(("retention_days", "kinds"), [(0, ["object_missing"]), (40, ["object_missing"]), (30, [])])
def test_what_the_bucket_let_go_after_its_retention_is_no_finding(
    world: World, link: Link, retention_days: int, kinds: list[str]
) -> None:
    """Late news, or a replay, has the auditor look at an old session again."""
    world.accept(recording(link))
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    (key,) = [key for key in world.archived_keys() if key.endswith(".mp4")]
    world.s3.delete_object(Bucket=ARCHIVE, Key=key)
    world.auditor = replace(app.auditor(), retention_days=retention_days, silence_ms=0)
    assert found(world, hours_later=31 * 24) == kinds


def test_whose_statistics_are_gone_is_not_told(world: World, files: FileServer) -> None:
    link = files.publish(b"[]", name="statistics.json")
    world.accept(event("RTCSTATS_UPLOADED", statsUrl=link.url, participantName="Ada Nwosu", endpointId="ab12"))
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    (key,) = [key for key in world.archived_keys() if "/rtcstats/" in key]
    assert "Ada" in key
    world.s3.delete_object(Bucket=ARCHIVE, Key=key)
    assert found(world, hours_later=1.1) == ["object_missing"]
    assert "Ada" not in str(world.told())


def test_an_object_of_another_size_is_found(world: World, link: Link) -> None:
    world.accept(recording(link))
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    (key,) = [key for key in world.archived_keys() if key.endswith(".mp4")]
    world.s3.put_object(Bucket=ARCHIVE, Key=key, Body=b"other")
    assert found(world, hours_later=1.1) == ["object_changed"]
    assert "5 bytes instead of 300" in world.told()[0]["Message"]


def test_an_event_whose_file_the_table_lacks_is_found(world: World, link: Link) -> None:
    world.accept(recording(link))
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    world.dynamodb.delete_item(TableName="meetings", Key={"pk": _PK, "sk": {"S": FILE}})
    assert found(world, hours_later=1.1) == ["file_unknown"]


def test_one_session_that_cannot_be_noted_does_not_keep_the_others_from_being_looked_at(world: World) -> None:
    """The connection breaks, which boto3 tells in another way than an answer that says no."""
    for number in range(3):
        world.accept(event("ROOM_DESTROYED", hours_ago=2) | {"sessionId": f"{SESSION}-{number}"})
    world.settle()
    breaks = iter([True])

    def broken(params: dict[str, Any], **_: Any) -> None:
        if "REMOVE" in params["UpdateExpression"] and next(breaks, False):
            raise ConnectionClosedError(endpoint_url="https://dynamodb")

    events = app.auditor().backlog.client.meta.events
    events.register("provide-client-params.dynamodb.UpdateItem", broken, unique_id="broken")
    audit = world.audit(hours_later=2)
    events.unregister("provide-client-params.dynamodb.UpdateItem", unique_id="broken")
    assert (audit.sessions, audit.complete) == (2, False)
    assert world.audit(hours_later=2.25).sessions == 1


def test_an_event_from_the_future_puts_no_audit_off(world: World) -> None:
    world.accept(event("RECORDING_STARTED", hours_ago=1))
    world.accept(event("ROOM_DESTROYED", hours_ago=-10_000))
    world.settle()
    assert found(world, hours_later=1.1) == ["recording_missing"]


def test_without_time_the_sessions_are_left_to_the_next_round(world: World) -> None:
    world.accept(event("ROOM_DESTROYED", hours_ago=2))
    world.settle()
    late = replace(app.auditor(), clock=lambda: time.time() + 7200)
    audit = late.run(has_time=lambda: False)
    assert (audit.sessions, audit.complete) == (0, False)
    assert late.run(has_time=lambda: True).sessions == 1


# --- silence, messages, the handler -----------------------------------------------------------------------------------


def test_an_archive_that_never_heard_anything_is_not_silent(world: World) -> None:
    assert found(world, hours_later=1000) == []


def test_silence_is_found_once_until_something_is_heard(world: World) -> None:
    world.accept(event("ROOM_DESTROYED"))
    world.settle()
    assert found(world, hours_later=71) == []
    assert found(world, hours_later=73) == ["silence"]
    assert found(world, hours_later=80) == []
    assert "nothing was heard for 73 hours" in world.told()[0]["Message"]


def test_a_meeting_that_is_looked_at_later_does_not_hide_what_is_heard_of_another(world: World) -> None:
    """Both are in one partition of the list, by when the auditor looks at them."""
    ids = (f"{SESSION}-{number}" for number in range(100))
    early, late, *_ = (one for one in ids if shard_of(one) == 0)
    for session_id in (early, late):
        world.accept(event("ROOM_CREATED") | {"sessionId": session_id})
    world.settle()
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": f"SESSION#{early}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="SET heard_at = :heard, gsi2sk = :due",
        ExpressionAttributeValues={
            ":heard": {"N": str(now_ms() - 10 * HOUR_MS)},
            ":due": {"S": iso_time(now_ms() + 5 * HOUR_MS)},
        },
    )
    world.auditor = replace(app.auditor(), silence_ms=4 * HOUR_MS)
    assert found(world) == []


def test_a_message_that_was_not_sent_is_sent_by_the_next_round(world: World, link: Link, broken_topic: None) -> None:
    fail_for_ever(link)
    world.accept(recording(link))
    world.settle()
    audit = world.audit(hours_later=19)
    assert (audit.at_risk, audit.found, audit.complete) == (1, {}, False), "its other numbers are told"
    _mend(world)
    assert world.audit(hours_later=19.25).found == {FindingKind.AT_RISK: 1}, "a metric counts it once, too"
    assert (world.audit(hours_later=19.5).found, len(world.told())) == ({}, 1)


@pytest.fixture
def broken_topic(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ALARM_TOPIC_ARN", f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:nowhere")
    app.auditor.cache_clear()
    yield
    app.auditor.cache_clear()


def _mend(world: World) -> None:
    topic = replace(app.auditor().topic, arn=world.topic_arn)
    world.auditor = replace(app.auditor(), topic=topic)


def test_the_handler_reports_each_number(world: World, link: Link, capsys: pytest.CaptureFixture[str]) -> None:
    fail_for_ever(link)
    world.accept(recording(link, hours_left=5))
    world.settle()
    capsys.readouterr()
    app.handler({}, context())
    output = capsys.readouterr().out
    assert '"FilesOpen":[1.0],"FilesAtRisk":[1.0],"FilesQueuedAgain":[1.0]' in output.replace(" ", "")
    assert '"AuditsCompleted":[1.0]' in output.replace(" ", "")
    assert '"FoundLost":[0.0],"FoundAtRisk":[1.0]' in output.replace(" ", "")
