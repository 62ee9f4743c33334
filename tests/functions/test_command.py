import gzip
import json
import re
import shlex
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner

from jaas_archive.findings import Finding, FindingKind
from jaas_archive_cli.browse import list_sessions, show_session, with_files
from jaas_archive_cli.main import app
from jaas_archive_cli.redrive import DeadLetters, Redrive
from jaas_archive_cli.stack import Stack
from local.jaas.faults import Fail
from local.jaas.files import FileServer
from local.jaas.small_files import make_pdf, make_screenshot
from tests.functions.conftest import ARCHIVE, CLAIMS, ROOT, SECRET, TABLE, Run, World, load_event, mp4

HOUR_MS = 3_600_000
SESSION = "4be1f0a7-63c2-4d1e-9b57-20c8de715f3a"
NEEDS_ATTENTION, WRONG_USAGE, UNREACHABLE = 1, 2, 3


def announce(world: World, files: FileServer, *, hours_left: float = 24, reachable: bool = True) -> None:
    link = files.publish(mp4(300), name="app/tgwrnkqpzdbmxjvu/weeklysync.mp4")
    if not reachable:
        link.faults.then(*[Fail(503)] * 100)
    event = load_event("RECORDING_UPLOADED")
    event |= {"sessionId": SESSION, "fqn": "app/weeklysync", "timestamp": now_ms()}
    event["data"] |= {"preAuthenticatedLink": link.url, "linkExpiration": now_ms() + int(hours_left * HOUR_MS)}
    world.accept(event)
    world.settle()


def test_rebuild_makes_a_lost_table_anew(world: World, run: Run, files: FileServer) -> None:
    announce(world, files)
    before = {item["sk"]: item.get("status") for item in world.items()}
    for item in world.items():
        world.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}})
    result = run("rebuild", "--prefix", "weeklysync/")
    assert (result.exit_code, "1 events, 1 files" in result.output) == (0, True)
    assert {item["sk"]: item.get("status") for item in world.items()} == before
    (journal,) = [key for key in world.archived_keys() if key.endswith("journal.jsonl.gz")]
    world.s3.put_object(Bucket=ARCHIVE, Key=journal, Body=b"broken")
    assert run("rebuild").exit_code == NEEDS_ATTENTION


def bury(world: World, *, hours_left: float, reason: str = "the link is dead") -> None:
    """A dead letter."""
    event = load_event("RECORDING_UPLOADED")
    event |= {"sessionId": SESSION, "timestamp": now_ms() - 20 * HOUR_MS}
    event["data"] |= {
        "preAuthenticatedLink": "https://objectstorage.eu.oraclecloud.com/o/secret.mp4",
        "linkExpiration": now_ms() + int(hours_left * HOUR_MS),
    }
    world.sqs.send_message(
        QueueUrl=world.queues["download-dead"],
        MessageBody=json.dumps({"type": "event", "received_at": now_ms(), "event": event}),
        MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
    )


def now_ms() -> int:
    return int(time.time() * 1000)


def in_queue(world: World, name: str) -> int:
    answer = world.sqs.get_queue_attributes(QueueUrl=world.queues[name], AttributeNames=["All"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_of_an_archive_in_order(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    result = run("status")
    assert result.exit_code == 0
    assert "0 pending, 0 at risk, 0 failed" in result.stdout


def test_status_says_what_waits_and_why(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False, hours_left=5)
    result = run("status")
    assert result.exit_code == NEEDS_ATTENTION
    assert "0 pending, 1 at risk, 0 failed" in result.stdout
    assert "4 h 59 min" in result.stdout
    assert SESSION in result.stdout
    assert "503" in result.stdout


def test_status_for_programs(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False)
    status = json.loads(run("status", "--json").stdout)
    assert (status["pending"], status["queues"]["files"]) == (1, 1)
    assert (status["files"][0]["state"], status["files"][0]["session_id"]) == ("pending", SESSION)


def test_status_can_show_only_what_is_at_risk(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False)
    assert json.loads(run("status", "--at-risk", "--json").stdout)["files"] == []


def test_nothing_prints_a_link(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False)
    bury(world, hours_left=5)
    for command in (["status"], ["status", "--json"], ["show", SESSION], ["redrive"], ["replay", "--session", SESSION]):
        assert "://" not in run(*command).output


def test_a_stack_that_is_not_there_has_an_exit_code_of_its_own(run: Run) -> None:
    result = run("status", "--stack-name", "nowhere")
    assert result.exit_code == UNREACHABLE
    assert "cannot find stack nowhere" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_ENDPOINT_URL", "127.0.0.1"), ("AWS_DEFAULT_REGION", "nowhere at all"), ("AWS_PROFILE", "nobody")],
)
def test_settings_of_aws_that_are_wrong_are_told_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = run("status")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (UNREACHABLE, "", 1)


def test_the_stack_can_be_named_by_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAAS_ARCHIVE_STACK", "elsewhere")
    assert "cannot find stack elsewhere" in run("status").stderr


def test_the_stack_can_be_named_before_the_command_as_with_aws(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAAS_ARCHIVE_STACK", "elsewhere")
    assert "cannot find stack before" in run("--stack-name", "before", "status").stderr
    assert "cannot find stack behind" in run("--stack-name", "before", "status", "--stack-name", "behind").stderr
    assert run("--stack-name", "jaas-archive", "--region", "us-east-1", "status").exit_code == 0


def written_commands() -> list[str]:
    """Every call of the command that a page, an alarm or a finding tells people to make."""
    pages = [ROOT / "README.md", ROOT / "template.yaml", *sorted((ROOT / "docs").glob("*.md"))]
    texts = [" ".join(re.findall(r"`[^`]+`", page.read_text().replace("```", ""))) for page in pages]
    shell = [line for page in pages for line in page.read_text().splitlines() if line.startswith("jaas-archive")]
    calls = re.findall(r"`\s*(jaas-archive\s+[a-z-][^`]*)`", "\n".join(texts))
    calls += [line.partition("#")[0] for line in shell]
    calls += re.findall(r"jaas-archive [a-z]+", " ".join(Finding(kind, "", "").next_step for kind in FindingKind))
    return sorted({" ".join(call.split()) for call in calls})


@pytest.mark.parametrize("call", written_commands())
def test_commands_that_people_are_told_to_type_exist(call: str) -> None:
    result = CliRunner().invoke(app, [*shlex.split(call)[1:], "--help"])
    assert result.exit_code == 0, result.output


# --- redrive ----------------------------------------------------------------------------------------------------------


def test_redrive_first_only_shows(world: World, run: Run) -> None:
    bury(world, hours_left=20)
    result = run("redrive")
    assert result.exit_code == 0
    assert "1 would be moved, 0 stay" in result.stdout
    assert "DownloadQueue" in result.stdout
    assert "the link is dead" in result.stdout
    assert (in_queue(world, "download-dead"), in_queue(world, "download")) == (1, 0)


def test_redrive_moves_what_has_time_left(world: World, run: Run) -> None:
    bury(world, hours_left=20)
    bury(world, hours_left=-1)
    result = run("redrive", "--yes", "--json")
    assert result.exit_code == NEEDS_ATTENTION, "one stays"
    assert sorted(letter["moved"] for letter in json.loads(result.stdout)) == [False, True]
    assert (in_queue(world, "download-dead"), in_queue(world, "download")) == (1, 1)


def test_redrive_sends_what_has_little_time_to_the_urgent_queue(world: World, run: Run) -> None:
    bury(world, hours_left=3)
    run("redrive", "--yes")
    assert (in_queue(world, "urgent-download"), in_queue(world, "download")) == (1, 0)


def test_redrive_by_force_moves_everything(world: World, run: Run) -> None:
    bury(world, hours_left=-1)
    assert run("redrive", "--yes", "--force").exit_code == 0
    assert in_queue(world, "download-dead") == 0


def test_redrive_of_one_session_leaves_the_others(world: World, run: Run) -> None:
    bury(world, hours_left=20)
    result = run("redrive", "--yes", "--session", "another")
    assert "0 moved, 1 stay" in result.stdout
    assert in_queue(world, "download-dead") == 1


def test_redrive_of_many_misses_none(world: World, run: Run) -> None:
    for _ in range(35):
        bury(world, hours_left=20)
    assert "35 moved" in run("redrive", "--yes").stdout
    assert in_queue(world, "download") == 35


def test_redrive_takes_events_back_to_the_meeting_queue(world: World, run: Run) -> None:
    body = json.dumps({"type": "event", "received_at": now_ms(), "event": load_event("ROOM_CREATED")})
    world.sqs.send_message(QueueUrl=world.queues["meeting-dead"], MessageBody=body)
    world.sqs.send_message(QueueUrl=world.queues["meeting-dead"], MessageBody="not ours")
    assert "0 would be moved" in run("redrive", "--queue", "download").stdout
    result = run("redrive", "--queue", "meeting", "--yes")
    assert "1 moved, 1 stay" in result.stdout
    assert "a message that this archive did not send" in result.stdout
    assert in_queue(world, "meeting") == 1


def test_a_refused_file_is_archived_once_its_link_is_allowed(
    world: World, files: FileServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.downloader import app as downloader_app

    monkeypatch.setenv("ALLOWED_LINK_ORIGINS", "https://elsewhere.example.com")
    announce(world, files)
    assert "refused" in run("show", SESSION).stdout
    monkeypatch.setenv("ALLOWED_LINK_ORIGINS", files.origin)
    for made in vars(downloader_app).values():
        if hasattr(made, "cache_clear"):
            made.cache_clear()
    run("redrive", "--yes")
    world.settle()
    assert world.object(".mp4") == mp4(300)


def broken_stack(operation: str, *, after: int) -> Stack:
    """The stack, with a connection that breaks at every such request after the first ones."""
    stack = Stack.find("jaas-archive", profile=None, region=None)
    calls = count()

    def break_(**_: Any) -> None:
        if next(calls) >= after:
            raise EndpointConnectionError(endpoint_url="https://sqs")

    stack.sqs.meta.events.register(f"before-call.sqs.{operation}", break_)
    return stack


@pytest.mark.parametrize(("operation", "after", "moved"), [("SendMessage", 2, 2), ("ReceiveMessage", 1, 0)])
def test_a_redrive_that_breaks_off_hides_nothing_from_the_next(
    world: World, run: Run, operation: str, after: int, moved: int
) -> None:
    for _ in range(15):
        bury(world, hours_left=20)
    broken = Redrive(broken_stack(operation, after=after), now_ms=now_ms(), move=True, force=False)
    with pytest.raises(EndpointConnectionError):
        list(broken.run(DeadLetters.DOWNLOAD))
    assert in_queue(world, "download-dead") == 15 - moved
    assert f"{15 - moved} moved, 0 stay" in run("redrive", "--yes").stdout
    assert in_queue(world, "download") == 15


# --- replay -----------------------------------------------------------------------------------------------------------


def test_replay_first_only_counts(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    assert "1 events and 0 files would be sent" in run("replay", "--session", SESSION).stdout
    assert in_queue(world, "meeting") == 0


def test_replay_makes_the_record_anew(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    meeting = world.meeting()
    (key,) = [key for key in world.archived_keys() if key.endswith("meeting.json")]
    world.s3.delete_object(Bucket=ARCHIVE, Key=key)
    run("replay", "--session", SESSION, "--yes")
    world.settle()
    again = world.meeting()
    assert again.pop("version") > meeting.pop("version")
    assert again == meeting
    assert len(world.items("FILE#")) == 1, "an event without its link announces nothing"


def test_replay_fetches_open_files_again(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False)
    world.sqs.purge_queue(QueueUrl=world.queues["download"])
    assert "1 files sent" in run("replay", "--session", SESSION, "--yes").stdout
    assert in_queue(world, "download") == 1


def test_replay_of_a_time_range(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert "1 events" in run("replay", "--from", today, "--to", today).stdout
    assert "0 events" in run("replay", "--from", "2020-01-01", "--to", "2020-01-02").stdout


def test_replay_wants_to_know_which_events(run: Run) -> None:
    assert run("replay").exit_code == WRONG_USAGE
    assert run("replay", "--from", "yesterday", "--to", "today").exit_code == WRONG_USAGE


def test_replay_of_a_session_that_is_not_there_says_so(run: Run) -> None:
    result = run("replay", "--session", "nothing", "--yes")
    assert (result.exit_code, result.stderr) == (NEEDS_ATTENTION, "there is no session nothing\n")


def test_replay_of_a_time_range_leaves_files_of_other_times(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 60))
    assert "1 events and 1 files" in run("replay", "--from", today, "--to", today).stdout
    assert "0 events and 0 files" in run("replay", "--from", today, "--to", now).stdout
    assert "0 events and 0 files" in run("replay", "--session", SESSION, "--to", now).stdout


def test_a_file_without_its_message_does_not_keep_others_from_being_replayed(
    world: World, files: FileServer, run: Run
) -> None:
    announce(world, files, reachable=False)
    (kept,) = world.s3.list_objects_v2(Bucket=CLAIMS, Prefix="announcements/")["Contents"]
    world.s3.put_object(Bucket=CLAIMS, Key=kept["Key"], Body=b"")
    result = run("replay", "--session", SESSION, "--yes")
    assert (result.exit_code, "1 events and 0 files sent" in result.stdout) == (NEEDS_ATTENTION, True)
    assert "1 open files have no message left" in result.stdout
    assert run("show", SESSION, "--links").exit_code == 0


def test_times_are_of_utc_wherever_they_are_written(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    started = json.loads(run("ls", "--json").stdout)[0]["started_at"]
    at = datetime.fromisoformat(started)
    east = (at + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=14))).isoformat()
    west = (at - timedelta(minutes=1)).astimezone(timezone(timedelta(hours=-12))).isoformat()
    assert "1 events" in run("replay", "--from", west, "--to", east).stdout
    assert "1 events" in run("replay", "--from", at.strftime("%Y%m%d"), "--to", at.strftime("%Y%m%d")).stdout
    assert [len(json.loads(run("ls", "--day", day, "--json").stdout)) for day in (west, east)] == [1, 1]


def test_a_range_that_ends_before_it_begins_is_wrong(run: Run) -> None:
    assert run("replay", "--from", "2026-07-02", "--to", "2026-07-01").exit_code == WRONG_USAGE


# --- doctor, show, ls -------------------------------------------------------------------------------------------------


def doctor(run: Run) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(run("doctor", "--no-test-event", "--json").stdout)}


def test_doctor_finds_what_is_in_order(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    checks = doctor(run)
    assert {name for name, check in checks.items() if check["ok"]} == {
        "stack",
        "secret",
        "clock",
        "alarms",
        "notifications",
    }
    assert "RECORDING_UPLOADED; never ROOM_CREATED" in checks["events"]["found"]


def test_doctor_misses_the_secret(world: World, run: Run) -> None:
    world.secrets.put_secret_value(SecretId=world.secret_arn, SecretString=" ")
    assert not doctor(run)["secret"]["ok"]
    world.secrets.put_secret_value(SecretId=world.secret_arn, SecretString="whsec_a, oops")
    assert "1 without whsec_" in doctor(run)["secret"]["found"]
    assert SECRET not in run("doctor", "--no-test-event").output


def test_doctor_says_which_alarm_is_raised(world: World, run: Run) -> None:
    boto3.client("cloudwatch").set_alarm_state(AlarmName="files-at-risk", StateValue="ALARM", StateReason="test")
    assert "raised: files-at-risk" in doctor(run)["alarms"]["found"]


def test_doctor_notices_a_webhook_that_does_not_answer(run: Run) -> None:
    result = run("doctor", "--wait", "1")
    assert result.exit_code == NEEDS_ATTENTION
    assert "FAIL  test event: " in result.stdout


def test_show_compares_with_the_bucket(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    assert run("show", SESSION).exit_code == 0
    (key,) = [key for key in world.archived_keys() if key.endswith(".mp4")]
    world.s3.put_object(Bucket=ARCHIVE, Key=key, Body=b"other")
    result = run("show", SESSION, "--json")
    assert result.exit_code == NEEDS_ATTENTION
    (file,) = json.loads(result.stdout)["files"]
    assert (file["status"], file["verdict"], file["key"]) == ("archived", "changed", key)


def test_show_knows_that_files_are_deleted_after_their_retention(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    stack = Stack.find("jaas-archive", profile=None, region=None)
    kept = replace(stack, parameters={"RetentionDays": "30"})
    (key,) = [key for key in world.archived_keys() if key.endswith(".mp4")]
    world.s3.delete_object(Bucket=ARCHIVE, Key=key)
    assert run("show", SESSION).exit_code == NEEDS_ATTENTION

    def verdict(days: int) -> tuple[str, str]:
        shown = show_session(kept, SESSION, with_links=False, now_ms=now_ms() + days * 24 * HOUR_MS)
        assert shown
        return shown.files[0].verdict, shown.files[0].next_step

    assert verdict(29)[0] == "missing"
    assert verdict(31) == ("past retention", "")


def test_show_says_why_a_file_was_refused_also_where_it_was_kept_aside(
    world: World, files: FileServer, run: Run
) -> None:
    announce(world, files, reachable=False)
    world.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"SESSION#{SESSION}"}, "sk": {"S": world.items("FILE#")[0]["sk"]}},
        UpdateExpression="SET #status = :refused, reason = :reason, #key = :key",
        ExpressionAttributeNames={"#status": "status", "#key": "key"},
        ExpressionAttributeValues={
            ":refused": {"S": "refused"},
            ":reason": {"S": "it is too short"},
            ":key": {"S": "weeklysync/aside/recording.mp4"},
        },
    )
    assert "it is too short; kept as weeklysync/aside/recording.mp4" in run("show", SESSION).stdout


def test_show_knows_every_kind_of_file(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    picture = files.publish(make_screenshot(1, slides=1), name="screen.png").url
    uploads = {
        "VIDEO_SEGMENT_UPLOADED": mp4(200),
        "DOCUMENT_ADDED": make_pdf("Road map"),
        "RTCSTATS_UPLOADED": gzip.compress(b"[]"),
        "SCREEN_SHARING_HISTORY": json.dumps([picture]).encode(),
        "trap_unknown_event_type_with_file": mp4(300),
    }
    for name, content in uploads.items():
        event = load_event(name) | {"sessionId": SESSION, "fqn": "app/weeklysync", "timestamp": now_ms()}
        field = "statsUrl" if name == "RTCSTATS_UPLOADED" else "preAuthenticatedLink"
        event["data"] |= {field: files.publish(content, name=f"{name}.dat").url, "linkExpiration": None}
        event["data"].pop("preAuthenticatedLinkV2", None)
        if name == "DOCUMENT_ADDED":
            event["data"] |= {"fileSize": len(content), "fileName": "road map\x1b[2J\x9b2J\u202efdp.pdf"}
        world.accept(event)
    world.accept(load_event("DOCUMENT_DELETED") | {"sessionId": SESSION, "timestamp": now_ms()})
    world.settle()
    result = run("show", SESSION)
    assert result.exit_code == 0, result.output
    assert "document 1, other 1, recording 1, rtcstats 1, screenshot 1, screenshots 1, segment 1" in result.stdout
    assert "archived, deleted in the meeting" in result.stdout
    assert "road map?[2J?2J?fdp.pdf" in result.stdout
    told = run("show", SESSION, "--json").stdout
    assert not {"\x1b", "\x9b", "\u202e"} & set(told)
    titles = {file["title"] for file in json.loads(told)["files"]}
    assert {"Mei-Ling Chou", "CERTIFIED_REC_UPLOADED", "road map\x1b[2J\x9b2J\u202efdp.pdf"} <= titles


def test_show_prints_links_only_when_asked(world: World, files: FileServer, run: Run) -> None:
    announce(world, files, reachable=False)
    assert files.origin in run("show", SESSION, "--links").stdout


def test_show_of_an_unknown_session(run: Run) -> None:
    assert run("show", "nothing").exit_code == NEEDS_ATTENTION


def test_ls_lists_rooms_and_days(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    (of_room,) = json.loads(run("ls", "--room", "weeklysync", "--json").stdout)
    (of_today,) = json.loads(run("ls", "--json").stdout)
    assert of_room == of_today
    assert of_room["session_id"] == SESSION
    assert json.loads(run("ls", "--room", "other", "--json").stdout) == []
    assert json.loads(run("ls", "--day", "2020-01-01", "--json").stdout) == []
    assert SESSION in run("ls").stdout


def test_ls_says_how_many_files_are_archived(world: World, files: FileServer, run: Run) -> None:
    announce(world, files)
    assert _row(run)[2] == "1"
    link = files.publish(b"{}", name="app/chat.json")
    link.faults.then(Fail(503))
    chat = load_event("CHAT_UPLOADED") | {"sessionId": SESSION, "fqn": "app/weeklysync", "timestamp": now_ms()}
    chat["data"] |= {"preAuthenticatedLink": link.url}
    world.accept(chat)
    world.settle()
    assert _row(run)[2] == _row(run, "--room", "weeklysync")[2] == "1 of 2"
    (of_room,) = json.loads(run("ls", "--room", "weeklysync", "--json").stdout)
    (of_today,) = json.loads(run("ls", "--json").stdout)
    assert of_room == of_today
    assert (of_room["files"], of_room["files_archived"]) == (2, 1)
    world.show_all("download")
    world.settle()
    assert _row(run)[2] == "2"


def test_ls_does_not_guess_what_no_record_tells_yet(world: World, files: FileServer, run: Run) -> None:
    link = files.publish(mp4(300), name="app/tgwrnkqpzdbmxjvu/weeklysync.mp4")
    link.faults.then(Fail(503))
    event = load_event("RECORDING_UPLOADED") | {"sessionId": SESSION, "fqn": "app/weeklysync", "timestamp": now_ms()}
    event["data"] |= {"preAuthenticatedLink": link.url}
    world.sqs.send_message(
        QueueUrl=world.queues["download"],
        MessageBody=json.dumps({"type": "event", "received_at": now_ms(), "event": event}),
    )
    world.settle()
    (row,) = json.loads(run("ls", "--room", "weeklysync", "--json").stdout)
    assert (row["files"], row["files_archived"]) == (None, None)
    assert _row(run, "--room", "weeklysync")[2] == "?"


def test_ls_of_a_busy_day_asks_for_a_hundred_sessions_at_a_time(world: World, run: Run) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    for number in range(120):
        names = {"session_id": f"s{number}", "room": "busy", "folder": f"busy/{number}", "started_at": "1"}
        listed = names | {"pk": f"SESSION#s{number}", "sk": f"DAY#{day}", "gsi1pk": f"DAY#{day}", "gsi1sk": f"{number}"}
        world.dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in listed.items()})
        counts: Any = {"files": {"N": "3"}, "files_archived": {"N": str(number % 4)}}
        key = {"pk": {"S": f"SESSION#s{number}"}, "sk": {"S": "SESSION"}}
        world.dynamodb.put_item(TableName=TABLE, Item=key | counts)
    rows = json.loads(run("ls", "--json").stdout)
    assert {(row["files"], row["files_archived"]) for row in rows} == {(3, 0), (3, 1), (3, 2), (3, 3)}
    stack = Stack.find("jaas-archive", profile=None, region=None)
    requests: list[str] = []
    stack.client("dynamodb").meta.events.register(
        "before-call.dynamodb", lambda model, **_: requests.append(model.name)
    )
    assert len(list(with_files(stack, list_sessions(stack, f"DAY#{day}")))) == 120
    assert requests == ["Query", "BatchGetItem", "BatchGetItem"]


def test_ls_of_nothing_says_so(run: Run) -> None:
    assert (run("ls").stdout, run("ls", "--room", "nowhere").stdout) == ("no sessions\n", "no sessions\n")


def _row(run: Run, *options: str) -> list[str]:
    """The cells of the last row."""
    return re.split(r"\s{2,}", run("ls", *options).stdout.splitlines()[-1].strip())


@pytest.mark.parametrize("command", ["status", "redrive", "replay", "doctor", "show", "ls", "export", "erase"])
def test_help_has_examples(run: Run, command: str) -> None:
    assert f"jaas-archive {command}" in run(command, "--help").stdout
