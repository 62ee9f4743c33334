"""Links stand in the queues and in the claim bucket, as long as they are needed, and nowhere else."""

import json
import time
from typing import Any

import pytest

from functions.transcript_enricher import app as enricher_app
from jaas_archive.events import read_event
from jaas_archive.kinds import announced_files
from local.jaas.faults import Fail
from local.jaas.files import FileServer, Link
from tests.functions.conftest import World, load_event, mp4


@pytest.fixture
def link(files: FileServer) -> Link:
    return files.publish(mp4(200), name="app/weeklysync.mp4")


def uploaded(link: Link) -> dict[str, Any]:
    event = load_event("RECORDING_UPLOADED") | {"timestamp": int(time.time() * 1000)}
    event["data"] = event["data"] | {"preAuthenticatedLink": link.url, "linkExpiration": None}
    return event


def enrich(world: World) -> None:
    while world.deliver_to_enricher():
        pass


def test_the_table_never_holds_a_link(world: World, link: Link) -> None:
    link.faults.then(Fail(503))
    world.accept(uploaded(link))
    for status in ("pending", "archived"):
        world.settle()
        assert world.items("FILE#")[0]["status"] == status
        assert "/p/" not in json.dumps(world.items())
        world.show_all("download")


def test_an_announcement_is_kept_until_its_file_is_archived(world: World, link: Link) -> None:
    event = uploaded(link)
    world.accept(event)
    enrich(world)
    (kept,) = world.announcements()
    assert json.loads(kept)["event"] == event
    world.settle()
    assert world.announcements() == [""]


def test_an_event_that_comes_again_brings_no_link_back(world: World, link: Link) -> None:
    for _ in range(2):
        world.accept(uploaded(link))
        world.settle()
        assert world.announcements() == [""]


def test_an_announcement_that_is_written_after_the_end_is_not_noted(world: World, link: Link) -> None:
    """The enricher may have looked at the file before its copy ended, and write after that; it then forgets again."""
    event = uploaded(link)
    world.accept(event)
    world.settle()
    file = next(iter(announced_files(read_event(event, received_at_ms=0))), None)
    assert file
    assert not enricher_app.enricher().meetings.files.note_announcement(event["sessionId"], file, "announcements/key")
    assert "announcement" not in world.items("FILE#")[0]


def test_an_older_link_does_not_replace_one_that_lives_longer(world: World, files: FileServer, link: Link) -> None:
    older = uploaded(files.publish(mp4(200), name="app/weeklysync.mp4"))
    older["timestamp"] -= 3_600_000
    for event in (uploaded(link), older | {"idempotencyKey": "older"}):
        world.accept(event)
        enrich(world)
    (kept,) = world.announcements()
    assert link.url in kept
