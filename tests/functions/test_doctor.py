"""The doctor's test event: through the webhook into the archive, and nothing of it left."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jaas_archive_cli.doctor import Check, Doctor
from jaas_archive_cli.stack import Stack
from tests.functions.conftest import ARCHIVE, TABLE, Run, World

WRONG_USAGE = 2


@dataclass
class Webhook:
    """The webhook, as HTTP; `answer` is what it says instead of the receiver, which gets the event all the same."""

    world: World
    url: str = ""
    answer: int = 0
    taken: list[bytes] = field(default_factory=list)


@pytest.fixture
def webhook(world: World, run: Run) -> Iterator[Webhook]:
    hook = Webhook(world)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = world.post(body, headers=headers).status
            hook.taken.append(body)
            self.send_response(hook.answer or status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/webhook"
    yield hook
    server.shutdown()
    server.server_close()


def doctor(webhook: Webhook, sleep: Callable[[float], None], **parameters: str) -> Doctor:
    found = Stack.find("jaas-archive", profile=None, region=None)
    stack = replace(found, outputs={**found.outputs, "WebhookUrl": webhook.url}, parameters=parameters)
    return Doctor(stack, days=1, test_event=True, wait_seconds=5, sleep=sleep)


def sent(webhook: Webhook, sleep: Callable[[float], None], **parameters: str) -> Check:
    return list(doctor(webhook, sleep, **parameters).examine())[-1]


def left(world: World) -> list[str]:
    """What is still there, in table and bucket."""
    versions = world.s3.list_object_versions(Bucket=ARCHIVE)
    keys = [version["Key"] for version in (*versions.get("Versions", []), *versions.get("DeleteMarkers", []))]
    return keys + [item["pk"] for item in world.items() if "auditor" not in item["pk"]]


def test_a_test_event_arrives_and_leaves_nothing(world: World, webhook: Webhook) -> None:
    check = sent(webhook, lambda _: world.settle())
    assert check.ok, check
    assert "removed again" in check.found
    assert left(world) == []


def test_nothing_is_removed_before_the_enricher_is_done(world: World, webhook: Webhook) -> None:
    """It would find its session gone, take that for news, and make everything anew."""
    sessions: list[bool] = []
    key: dict[str, Any] = {}

    def wait(_: float) -> None:
        world.settle()
        sessions.append(bool(world.items("SESSION")))
        (item,) = world.items("SESSION") or [{}]
        key.update({name: {"S": item[name]} for name in ("pk", "sk") if item})
        # After its first look, the page of the meeting is there, and the lease not given back yet.
        change = "REMOVE projected_version" if len(sessions) == 1 else "SET projected_version = version"
        world.dynamodb.update_item(TableName=TABLE, Key=key, UpdateExpression=change)

    assert sent(webhook, wait).ok
    assert sessions == [True, True]
    assert left(world) == []


@pytest.mark.parametrize("answer", [500, 504])
def test_an_event_that_was_taken_in_spite_of_the_answer_is_removed(world: World, webhook: Webhook, answer: int) -> None:
    webhook.answer = answer
    check = sent(webhook, lambda _: None)
    assert (check.ok, check.found) == (False, f"the webhook answered {answer}")
    world.settle()
    assert left(world), "it came after the doctor had gone"
    webhook.answer = 0
    assert sent(_later(webhook), lambda _: world.settle()).ok
    assert left(world) == []


def test_an_event_that_came_too_late_is_removed_by_the_next_doctor(world: World, webhook: Webhook) -> None:
    times = count(time.time(), 3)
    examined = replace(doctor(webhook, lambda _: None), clock=lambda: float(next(times)))
    check = list(examined.examine())[-1]
    assert not check.ok
    assert "the next doctor removes it" in check.next_step
    world.settle()
    assert left(world)
    assert sent(_later(webhook), lambda _: world.settle()).ok
    assert left(world) == []


def test_an_event_of_another_doctor_at_work_is_left_alone(world: World, webhook: Webhook) -> None:
    webhook.answer = 504
    sent(webhook, lambda _: None)
    world.settle()
    webhook.answer = 0
    sent(webhook, lambda _: world.settle())
    assert len({name for name in left(world) if name.startswith("SESSION#doctor-")}) == 1


def test_what_may_not_be_deleted_is_named_and_keeps_nothing_else_from_going(world: World, webhook: Webhook) -> None:
    """Object Lock keeps versions."""

    def locked(params: dict[str, Any], **_: Any) -> None:
        if "VersionId" in params:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "locked"}}, "DeleteObject")

    examined = doctor(webhook, lambda _: world.settle())
    examined.stack.s3.meta.events.register("provide-client-params.s3.DeleteObject", locked)
    check = list(examined.examine())[-1]
    assert check.ok, check
    assert "3 files stay in jaas-archive-doctor/" in check.found
    assert [name for name in left(world) if name.startswith(("SESSION#", "FOLDER#"))] == []


def test_an_address_that_is_not_allowed_is_said_to_be_so(webhook: Webhook) -> None:
    webhook.answer = 403
    check = sent(webhook, lambda _: None, AllowedSourceIps="52.26.201.32")
    assert "AllowedSourceIps" in check.next_step


def test_what_is_in_order_has_no_next_step(world: World, webhook: Webhook) -> None:
    checks = list(doctor(webhook, lambda _: world.settle()).examine())
    assert [check for check in checks if check.ok and check.next_step] == []
    assert all(check.next_step for check in checks if not check.ok)


@pytest.mark.parametrize("option", ["--wait", "--days"])
def test_days_and_seconds_are_at_least_one(run: Run, option: str) -> None:
    assert run("doctor", option, "0").exit_code == WRONG_USAGE


def _later(webhook: Webhook) -> Webhook:
    """The sessions that are there began an hour ago."""
    world = webhook.world
    for item in world.items("SESSION"):
        world.dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": item["pk"]}, "sk": {"S": "SESSION"}},
            UpdateExpression="SET started_at = started_at - :hour",
            ExpressionAttributeValues={":hour": {"N": "3600000"}},
        )
    return webhook
