import json
import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from functions.transcript_enricher import app as enricher_app
from jaas_archive.archive import Archive
from jaas_archive.choices import EVERYTHING
from jaas_archive.enriching import Enricher
from jaas_archive.errors import AwsUnavailableError
from jaas_archive.meetings import Meetings
from jaas_archive.notification import LARGEST_BYTES, notification
from jaas_archive.publishing import EventBus, Topic
from jaas_archive.queues import unfold
from local.jaas.files import FileServer
from tests.functions.conftest import ARCHIVE, ROOT, TABLE, World, load_event
from tests.functions.test_enricher import ADA, SESSION, chat, event, joined, message

CONTRACT = json.loads((ROOT / "docs/meeting-archived.schema.json").read_text())
SCHEMA = Draft202012Validator(CONTRACT)


@pytest.fixture
def heard(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """What a queue that is subscribed got since the last look."""
    sns = boto3.client("sns")
    arn = sns.create_topic(Name="meetings")["TopicArn"]
    world.queues["meetings"] = world.sqs.create_queue(QueueName="meetings")["QueueUrl"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:meetings")
    monkeypatch.setenv("MEETING_TOPIC_ARN", arn)

    def read() -> list[dict[str, Any]]:
        told = []
        for letter in world.receive("meetings"):
            world.sqs.delete_message(QueueUrl=world.queues["meetings"], ReceiptHandle=letter["ReceiptHandle"])
            told.append(json.loads(json.loads(letter["Body"])["Message"]))
            SCHEMA.validate(told[-1])
        return told

    return read


def test_the_schema_is_one_and_takes_the_sample_of_its_documentation() -> None:
    Draft202012Validator.check_schema(CONTRACT)
    (sample,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs/notifications.md").read_text(), re.DOTALL)
    SCHEMA.validate(json.loads(sample))
    assert set(json.loads(sample)) == set(CONTRACT["properties"])


def test_tells_of_a_meeting_with_its_files(
    world: World, files: FileServer, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    for one in (joined(ADA, "Ada"), chat(files, message(f"{ADA}/res", "hello")), event("ROOM_DESTROYED", 200)):
        world.accept(one)
    world.settle()
    told = heard()[-1]
    assert (told["room"], told["people"], told["warnings"]) == ("weeklysync", 1, [])
    assert told["coverage"] == {"messages": 1, "with_a_name": 1, "ratio": 1.0}
    (file,) = told["files"]
    assert world.s3.head_object(Bucket=told["bucket"], Key=file["key"])["ContentLength"] == file["size"]
    record = json.loads(world.s3.get_object(Bucket=told["bucket"], Key=told["record"])["Body"].read())
    assert (record["version"], record["ended_at"]) == (told["version"], told["ended_at"])
    assert "@example.com" not in json.dumps(told)


def test_the_same_goes_to_the_event_bus(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.queues["bus"] = world.sqs.create_queue(QueueName="bus")["QueueUrl"]
    events = boto3.client("events")
    pattern = re.search(r"rule for it matches `(.*?)`", (ROOT / "docs/notifications.md").read_text())
    assert pattern
    events.put_rule(Name="archived", EventPattern=pattern[1])
    events.put_targets(Rule="archived", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:bus"}])
    monkeypatch.setenv("MEETING_EVENT_BUS", "default")
    world.accept(event("ROOM_DESTROYED", 200))
    world.settle()
    (letter,) = world.receive("bus")
    SCHEMA.validate(json.loads(letter["Body"])["detail"])


def test_a_bus_that_refuses_the_event_is_asked_again(world: World) -> None:
    bus = EventBus(boto3.client("events"), "default")
    with pytest.raises(AwsUnavailableError, match="could not put an event"):
        bus.publish("Meeting archived", "no JSON")


def test_waits_for_every_file_that_may_still_come(
    world: World, files: FileServer, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.accept(event("ROOM_DESTROYED", 200))
    while world.deliver_to_enricher():
        pass
    assert heard() == []
    world.settle()
    assert [file["status"] for file in heard()[-1]["files"]] == ["archived"]


def test_says_nothing_while_the_meeting_goes_on(world: World, heard: Callable[[], list[dict[str, Any]]]) -> None:
    world.accept(joined(ADA, "Ada"))
    world.settle()
    assert heard() == []


def test_a_file_that_will_never_come_is_a_warning(world: World, heard: Callable[[], list[dict[str, Any]]]) -> None:
    refused = load_event("RECORDING_UPLOADED")
    refused["data"]["preAuthenticatedLink"] = "http://169.254.169.254/secret-link"
    world.accept(refused)
    world.settle()
    (told,) = heard()
    assert [(one["warning"], one["kind"]) for one in told["warnings"]] == [("file_lost", "recording")]
    assert [file["status"] for file in told["files"]] == ["refused"]
    assert "secret-link" not in json.dumps(told)


def test_says_again_only_what_is_new_with_a_higher_version(
    world: World, files: FileServer, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    world.accept(event("ROOM_DESTROYED", 200))
    world.settle()
    (first,) = heard()
    world.accept(event("FEEDBACK", 210))
    world.settle()
    assert heard() == []
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.settle()
    second = heard()[-1]
    assert (second["session_id"], second["version"] > first["version"]) == (first["session_id"], True)


def test_an_enricher_that_dies_before_it_has_told_leaves_that_to_the_next(
    world: World, heard: Callable[[], list[dict[str, Any]]]
) -> None:
    world.accept(event("ROOM_DESTROYED", 200))
    archive, meetings = Archive(lambda: world.s3, ARCHIVE), Meetings(world.dynamodb, TABLE)
    gone = Topic(boto3.client("sns"), "arn:aws:sns:us-east-1:123456789012:gone")
    (letter,) = world.receive("meeting")
    enricher = Enricher(archive, meetings, EVERYTHING, gone)
    enricher.note(unfold(letter["Body"], enricher_app.claims()))
    with pytest.raises(AwsUnavailableError):
        enricher.update_record(SESSION)
    enricher_app.enricher().update_record(SESSION)
    enricher_app.enricher().update_record(SESSION)
    assert [told["session_id"] for told in heard()] == [SESSION]


def test_a_list_too_long_for_a_message_is_left_to_the_record() -> None:
    file = {"kind": "screenshot", "id": "i" * 200, "status": "archived", "name": "n" * 200, "size": 1}
    document = json.loads((ROOT / "docs/notifications.md").read_text().split("```json\n")[1].split("```")[0])
    document |= {"files": [file] * 1000, "people": []}
    told = notification(document, "bucket")
    assert told is not None
    assert len(told.text) < LARGEST_BYTES
    SCHEMA.validate(content := json.loads(told.text))
    assert (content["files_in_all"], content["files"]) == (1000, [])
    assert content["warnings"] == [{"warning": "too_many_files"}]
