"""Every kind of file that JaaS makes, from its event to its place in the bucket and in the record."""

import gzip
import json
import time
from typing import Any

import pytest

from jaas_archive.events import milliseconds
from jaas_archive.link_lists import MAX_PAGES
from local.jaas.faults import Corrupt, Fail, Header, HtmlPage, WrongLength
from local.jaas.files import FileServer, Link
from local.jaas.screen_sharing import Picture, publish_list, publish_pages
from local.jaas.small_files import make_pdf, make_screenshot
from tests.functions.conftest import ARCHIVE, World, load_event, mp4

PDF = make_pdf("Road map")
HOUR_MS = 3_600_000


def now_ms() -> int:
    return int(time.time() * 1000)


def told(name: str, **data: Any) -> dict[str, Any]:
    """A sample event as if it came now."""
    event = load_event(name)
    event["timestamp"] = now_ms()
    event["data"] = {key: value for key, value in event["data"].items() if key != "linkExpiration"} | data
    return event


def document(files: FileServer, content: bytes, file_id: str = "b7c1e5d2", **data: Any) -> dict[str, Any]:
    link = files.publish(content, name=f"app/{file_id}.dat")
    data = {"fileId": file_id, "fileSize": len(content), "preAuthenticatedLink": link.url} | data
    return told("DOCUMENT_ADDED", **data) | {"idempotencyKey": file_id}


def names(world: World) -> list[str]:
    """Where the files lie in their session's folder."""
    return [key.split("/", 2)[2] for key in world.copied_keys()]


def content_type(world: World, name: str) -> str:
    (key,) = [key for key in world.archived_keys() if key.endswith(f"/{name}")]
    return world.s3.head_object(Bucket=ARCHIVE, Key=key)["ContentType"]


def test_a_segment_lies_beside_the_others(world: World, files: FileServer) -> None:
    for number, start in enumerate((1782896771000, 1782897371000)):
        link = files.publish(mp4(200, seed=number, seconds=90), name=f"app/tgwrnkqpzdbmxjvu/{number}.mp4").url
        world.accept(
            told("VIDEO_SEGMENT_UPLOADED", preAuthenticatedLink=link, startTimestamp=start) | {"idempotencyKey": link}
        )
    world.settle()
    assert names(world) == [
        "segments/segment_20260701T090611Z_tgwrnkqp.mp4",
        "segments/segment_20260701T091611Z_tgwrnkqp.mp4",
    ]
    assert {file["plays_seconds"] for file in world.meeting()["files"]} == {90}


def test_rtc_statistics_live_two_days_and_are_named_for_the_participant(world: World, files: FileServer) -> None:
    content = gzip.compress(b"[]\n")
    event = told("RTCSTATS_UPLOADED", statsUrl=files.publish(content, name="f0c61ace.gz").url)
    world.accept(event)
    world.settle()
    (name,) = names(world)
    assert name.startswith("rtcstats/Mei-Ling-Chou-")
    assert content_type(world, name) == "application/gzip"
    assert world.items("FILE#")[0]["deadline"] == str(event["timestamp"] + 48 * HOUR_MS)
    assert world.meeting()["files"][0]["title"] == "Mei-Ling Chou"


def test_a_deleted_document_is_kept_and_told_of(world: World, files: FileServer) -> None:
    deleted = told("DOCUMENT_DELETED", fileId="b7c1e5d2", initiatorId="user-1")
    joined = load_event("PARTICIPANT_JOINED")
    joined["data"] |= {"id": "user-1", "name": "Ada Nwosu"}
    # Whatever comes first.
    for event in (deleted, document(files, PDF, initiatorId="user-1"), joined):
        world.accept(event)
        world.settle()
    (file,) = world.meeting()["files"]
    assert (file["title"], file["by"], file["deleted_by"]) == (
        "Q3 road map \u2013 draft (2).pdf",
        "Ada Nwosu",
        "Ada Nwosu",
    )
    assert file["deleted_at"].startswith(time.strftime("%Y-%m-%dT%H:", time.gmtime()))
    assert world.object(file["name"]) == PDF


def test_a_name_from_outside_stays_in_its_folder(world: World, files: FileServer) -> None:
    world.accept(document(files, PDF, fileName="../../meeting.pdf"))
    world.settle()
    assert names(world) == ["documents/meeting.pdf"]
    assert world.meeting()["files"][0]["title"] == "../../meeting.pdf"


def test_two_documents_of_one_name_are_two_files(world: World, files: FileServer) -> None:
    for number in (1, 2):
        world.accept(document(files, make_pdf(f"number {number}"), f"id-{number}", fileName="plan.pdf"))
    world.settle()
    assert sorted(names(world)) in (
        ["documents/plan.pdf", "documents/plan_id-1.pdf"],
        ["documents/plan.pdf", "documents/plan_id-2.pdf"],
    )
    bodies = [world.s3.get_object(Bucket=ARCHIVE, Key=key)["Body"].read() for key in world.copied_keys()]
    assert sorted(bodies) == [make_pdf("number 1"), make_pdf("number 2")]


def test_a_document_that_is_a_page_is_shown_as_text(world: World, files: FileServer) -> None:
    content = b"<!DOCTYPE html><script>alert(1)</script>"
    world.accept(document(files, content, fileName="page.html"))
    world.settle()
    assert content_type(world, "documents/page.html") == "text/plain; charset=utf-8"
    assert world.object("documents/page.html") == content


@pytest.mark.parametrize(("size", "chunked"), [(4_000, ""), (4_000, "chunked"), (17 << 20, "chunked")])
def test_a_document_of_another_size_than_announced_is_kept_aside(
    world: World, files: FileServer, size: int, chunked: str
) -> None:
    content = PDF + bytes(size - len(PDF))
    event = document(files, content, fileName="plan.pdf", fileSize=size + 1)
    link = files.find(event["data"]["preAuthenticatedLink"])
    assert link
    if chunked:
        link.faults.always(Header("Content-Length"))
    world.accept(event)
    world.settle()
    assert (names(world), world.items("FILE#")[0]["status"]) == ([], "pending")
    world.show_all("download")
    world.settle()
    assert names(world) == ["aside/documents/plan.pdf"]
    (item,) = world.items("FILE#")
    assert (item["status"], item["reason"]) == (
        "refused",
        f"the event announced {size + 1} bytes, the source has {size}",
    )


def test_an_error_page_is_no_document(world: World, files: FileServer) -> None:
    event = document(files, PDF, fileName="plan.pdf")
    link = files.find(event["data"]["preAuthenticatedLink"])
    assert link
    link.faults.then(HtmlPage())
    world.accept(event)
    world.settle()
    assert names(world) == []
    world.show_all("download")
    world.settle()
    assert names(world) == ["documents/plan.pdf"]


def test_what_an_event_says_in_the_wrong_type_does_no_harm(world: World, files: FileServer) -> None:
    link = files.publish(PDF, name="app/1.pdf").url
    odd = {"fileName": 7, "fileId": 12, "fileSize": "many", "initiatorId": {"id": 1}, "fileCreatedAt": "yesterday"}
    world.accept(told("DOCUMENT_ADDED", preAuthenticatedLink=link, **odd))
    world.settle()
    assert names(world) == ["documents/7.pdf"]
    assert json.loads(world.object("meeting.json"))["files"][0]["status"] == "archived"


def pictures(count: int) -> list[Picture]:
    start = now_ms() - 600_000
    return [
        Picture(f"app/screen-{number}.png", start + number * 30_000, make_screenshot(number, slides=count))
        for number in range(1, count + 1)
    ]


def history(list_link: str, **data: Any) -> dict[str, Any]:
    data = {"preAuthenticatedLinkV2": list_link} | data
    event = told("SCREEN_SHARING_HISTORY", linkExpiration=now_ms() + 20 * HOUR_MS, **data)
    if "preAuthenticatedLink" not in data:
        del event["data"]["preAuthenticatedLink"]
    return event


def archived(world: World, kind: str) -> list[dict[str, Any]]:
    return [file for file in world.meeting()["files"] if file["kind"] == kind and file["status"] == "archived"]


def test_every_screenshot_of_a_paged_list_is_kept(world: World, files: FileServer) -> None:
    wanted = pictures(5)
    first = publish_list(files, wanted, name="history", per_page=2)
    world.accept(history(first.url))
    world.settle()
    kept = archived(world, "screenshot")
    assert [world.object(file["name"]) for file in kept] == [picture.content for picture in wanted]
    assert [milliseconds(file["starts_at"]) for file in kept] == [picture.taken_at_ms for picture in wanted]
    assert {file["content_type"] for file in kept} == {"image/png"}
    (listed,) = archived(world, "screenshots")
    assert world.object(listed["name"]) == first.stored.source
    assert len([name for name in names(world) if "/list_" in name]) == 3


def test_a_list_whose_pictures_fail_is_asked_anew_until_all_are_there(world: World, files: FileServer) -> None:
    wanted = pictures(3)
    link = publish_list(files, wanted, name="history", lifetime_seconds=0)
    world.accept(history(link.url))
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], item["reason"]) == (
        "pending",
        "3 of 3 screenshots did not come: the source answered 401",
    )
    link.renew = publish_list(files, wanted, name="history").renew
    world.show_all("download")
    world.settle()
    assert len(archived(world, "screenshot")) == 3
    # Told again, it is not fetched again.
    asked = len(link.requests)
    world.accept(history(link.url) | {"data": json.loads(json.dumps(history(link.url)["data"]))})
    world.settle()
    assert len(link.requests) <= asked + 1


def test_the_other_form_of_the_list_helps_out(world: World, files: FileServer) -> None:
    plain = publish_list(files, pictures(2), name="v1")
    gone = publish_list(files, pictures(2), name="v2")
    gone.expire()
    world.accept(history(gone.url, preAuthenticatedLink=plain.url))
    world.settle()
    assert len(archived(world, "screenshot")) == 2


def test_a_list_is_kept_whole_though_the_first_try_had_only_a_page_of_its_other_form(
    world: World, files: FileServer
) -> None:
    wanted = pictures(3)
    first, second = publish_pages(files, wanted, name="v2", per_page=2, lifetime_seconds=60)
    second.faults.always(Fail(404))
    plain = publish_list(files, wanted, name="v1")
    plain.faults.then(Fail(503))
    world.accept(history(first.url, preAuthenticatedLink=plain.url))
    world.settle()
    assert [name for name in names(world) if "/list_" in name and "incomplete" not in name] == []
    (item,) = [item for item in world.items("FILE#") if item["kind"] == "screenshots"]
    assert item["status"] == "pending"
    world.show_all("download")
    world.settle()
    (listed,) = archived(world, "screenshots")
    raw = world.object(listed["name"]).decode()
    assert [picture.name in raw for picture in wanted] == [True] * 3


def test_what_is_no_picture_does_not_keep_the_list_open(world: World, files: FileServer) -> None:
    (picture,) = pictures(1)
    link = files.publish(b"", name="history.json")
    good = files.publish(picture.content, name="screen.png").url
    page = files.publish(b"<!DOCTYPE html><title>The room</title>", name="room", content_type="text/html").url
    link.renew = lambda: json.dumps([good, page, "https://elsewhere.example/avatar.png", "just text", 7, None]).encode()
    world.accept(history(link.url))
    for _ in range(8):
        world.settle()
        world.show_all("download")
    world.settle()
    assert [file["status"] for file in world.meeting()["files"]] == ["archived", "archived"]


def test_an_outage_of_half_an_hour_that_answers_with_pages_costs_no_picture(world: World, files: FileServer) -> None:
    """Six tries take half an hour."""
    (picture,) = pictures(1)
    good = files.publish(picture.content, name="screen.png")
    good.faults.then(HtmlPage(), times=6)
    world.accept(history(listing(files, [good.url]).url))
    for _ in range(7):
        world.settle()
        world.show_all("download")
    world.settle()
    assert len(archived(world, "screenshot")) == 1


@pytest.mark.parametrize("content", [b"BM" + bytes([255, 0]) * 200, b"II*\x00" + bytes(200)])
def test_a_picture_that_no_browser_shows_is_kept_among_the_files(
    world: World, files: FileServer, content: bytes
) -> None:
    strange = files.publish(content, name="screen").url
    world.accept(history(listing(files, [screen(files, 1), strange]).url))
    world.settle()
    kept = archived(world, "screenshot")
    assert sorted(world.object(file["name"]) for file in kept) == sorted([make_screenshot(1, slides=9), content])
    page = world.object("meeting.html").decode()
    for file in kept:
        assert (f'src="./{file["name"]}"' in page) == file["name"].endswith(".png")
        assert f'href="./{file["name"]}"' in page


def test_a_list_on_an_origin_that_is_not_allowed_is_refused_and_told(world: World, files: FileServer) -> None:
    link = files.publish(b'["https://elsewhere.example/1.png"]', name="history.json")
    world.accept(history(link.url))
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], "AllowedLinkOrigins" in item["reason"]) == ("refused", True)
    assert len(world.messages_in("download-dead")) == 1


def test_an_undocumented_event_leaves_its_files_in_a_folder_of_their_own(world: World, files: FileServer) -> None:
    contents = [mp4(300), make_pdf("minutes")]
    first, second = (files.publish(content, name=f"app/{n}/call.mp4").url for n, content in enumerate(contents))
    certified = told("trap_unknown_event_type_with_file", preAuthenticatedLink=first, minutes={"url": second})
    world.accept(certified)
    assert len(world.messages_in("download")) == 2
    world.show_all("download")
    for message in world.receive("download"):
        assert (first in message["Body"]) != (second in message["Body"])
    world.sqs.purge_queue(QueueUrl=world.queues["download"])
    world.accept(certified)
    world.settle()
    kept = archived(world, "other")
    assert sorted(world.object(file["name"]) for file in kept) == sorted(contents)
    assert {file["content_type"] for file in kept} == {"video/mp4", "application/pdf"}
    assert all(file["name"].startswith("other/CERTIFIED_REC_UPLOADED_20260701T090211Z_") for file in kept)
    assert {file["title"] for file in kept} == {"CERTIFIED_REC_UPLOADED"}


def test_a_lost_message_of_an_undocumented_event_is_made_again(world: World, files: FileServer) -> None:
    link = files.publish(mp4(300), name="app/call.mp4").url
    world.accept(told("trap_unknown_event_type_with_file", preAuthenticatedLink=None, deep=[{"url": link}]))
    world.sqs.purge_queue(QueueUrl=world.queues["download"])
    world.settle()
    assert world.audit(hours_later=2).requeued == 1
    world.settle()
    assert [file["status"] for file in world.meeting()["files"]] == ["archived"]


def test_what_the_admin_left_out_is_journaled_and_nothing_else(
    world: World, files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILE_KINDS", "chat,other")
    link = files.publish(mp4(300), name="app/call.mp4")
    recorded = load_event("RECORDING_STARTED") | {"timestamp": now_ms() - 7_200_000}
    ended = load_event("ROOM_DESTROYED") | {"timestamp": now_ms() - 3_700_000}
    for event in (recorded, ended, told("RECORDING_UPLOADED", preAuthenticatedLink=link.url)):
        world.accept(event)
    world.settle()
    audit = world.audit(hours_later=3)
    assert (audit.sessions, audit.findings, audit.open_files) == (1, [], 0)
    assert (link.requests, world.items("FILE#"), names(world)) == ([], [], [])
    assert len(world.items("EVENT#")) == 3
    assert world.meeting()["files"] == []


def screen(files: FileServer, number: int) -> str:
    return files.publish(make_screenshot(number, slides=9), name=f"screen-{number}.png").url


def listing(files: FileServer, links: list[str], *, name: str = "history.json", **more: Any) -> Link:
    return files.publish(json.dumps({"items": [{"url": link} for link in links]} | more).encode(), name=name)


def test_a_list_that_breaks_off_gives_the_pictures_that_it_has_told_of(world: World, files: FileServer) -> None:
    later = listing(files, [screen(files, 3)], name="2.json")
    later.faults.then(Fail(401))
    first = listing(files, [screen(files, 1), screen(files, 2)], name="1.json", next=later.url)
    world.accept(history(first.url))
    world.settle()
    assert len(archived(world, "screenshot")) == 2
    (item,) = world.items("FILE#screenshots#")
    assert (item["status"], item["reason"]) == ("pending", "a page of the list did not come: the source answered 401")
    world.show_all("download")
    world.settle()
    assert len(archived(world, "screenshot")) == 3
    assert len(archived(world, "screenshots")) == 1


@pytest.mark.parametrize("target", ["https://elsewhere.example/2.json", "http://["])
def test_a_next_page_elsewhere_is_not_asked_and_told_of(world: World, files: FileServer, target: str) -> None:
    first = listing(files, [screen(files, 1)], next=target)
    world.accept(history(first.url))
    world.settle()
    assert len(archived(world, "screenshot")) == 1
    (item,) = world.items("FILE#screenshots#")
    reasons = {"https": "AllowedLinkOrigins has no origin", "http:": "the link is not a plain URL"}
    assert (item["status"], item["reason"][:20]) == ("refused", reasons[target[:5]][:20])


@pytest.mark.parametrize("trouble", ["dead", "page", "failing"])
def test_the_other_form_helps_out_whatever_ails_the_first(world: World, files: FileServer, trouble: str) -> None:
    one, other = listing(files, [], name="v2.json"), listing(files, [screen(files, 1)], name="v1.json")
    fault: Any = {"dead": Fail(401), "page": HtmlPage(), "failing": Fail(500)}[trouble]
    one.faults.always(fault)
    world.accept(history(one.url, preAuthenticatedLink=other.url))
    world.settle()
    assert len(archived(world, "screenshot")) == 1


def test_an_empty_list_is_kept_though_its_other_form_is_dead(world: World, files: FileServer) -> None:
    gone = listing(files, [], name="v1.json")
    gone.expire()
    world.accept(history(listing(files, [], name="v2.json").url, preAuthenticatedLink=gone.url))
    world.settle()
    assert [file["status"] for file in world.meeting()["files"]] == ["archived"]


def test_an_empty_form_does_not_stand_for_one_that_broke_off(world: World, files: FileServer) -> None:
    gone = listing(files, [], name="2.json")
    gone.expire()
    first = listing(files, [screen(files, 1)], name="1.json", next=gone.url)
    world.accept(history(first.url, preAuthenticatedLink=listing(files, [], name="v1.json").url))
    world.settle()
    assert len(archived(world, "screenshot")) == 1
    assert archived(world, "screenshots") == []


def test_a_last_page_that_leads_to_itself_is_the_last_though_it_signs_its_links_anew(
    world: World, files: FileServer
) -> None:
    link = files.publish(b"", name="history.json")
    content = make_screenshot(1, slides=9)
    link.renew = lambda: json.dumps(
        {"items": [{"url": files.publish(content, name="screen.png").url}], "next": link.url}
    ).encode()
    world.accept(history(link.url))
    world.settle()
    assert len(archived(world, "screenshots")) == len(archived(world, "screenshot")) == 1


def test_pages_that_lead_to_each_other_are_asked_once(world: World, files: FileServer) -> None:
    one, other = listing(files, [], name="1.json"), listing(files, [], name="2.json")
    pictures = [screen(files, 1), screen(files, 2)]
    one.renew = lambda: json.dumps({"items": pictures[:1], "next": other.url}).encode()
    other.renew = lambda: json.dumps({"items": pictures[1:], "next": one.url}).encode()
    world.accept(history(one.url))
    world.settle()
    assert len(archived(world, "screenshot")) == 2
    assert (len(one.requests), len(other.requests)) == (1, 1)


def test_a_list_without_an_end_ends(world: World, files: FileServer) -> None:
    link = files.publish(b"", name="history.json")
    asked = iter(range(10_000))
    link.renew = lambda: json.dumps(
        {"url": f"https://elsewhere.example/{(number := next(asked))}.png", "nextToken": number}
    ).encode()
    world.accept(history(link.url))
    world.settle()
    assert next(asked) == MAX_PAGES
    assert [item["status"] for item in world.items("FILE#")] == ["refused"]


def test_a_document_that_begins_like_a_page_is_kept_if_it_has_the_size_announced(
    world: World, files: FileServer
) -> None:
    sheet = b'<html xmlns:x="urn:schemas-microsoft-com:office:excel"><table>'
    world.accept(document(files, sheet, fileName="Export.xls"))
    world.settle()
    assert world.object("documents/Export.xls") == sheet
    assert content_type(world, "documents/Export.xls") == "text/plain; charset=utf-8"


def test_a_drawing_is_shown_as_text(world: World, files: FileServer) -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for number, name in enumerate(("drawing.svg", "drawing", "drawing.png", "page.xhtml")):
        world.accept(document(files, drawing, f"id-{number}", fileName=name))
    world.settle()
    assert {file["content_type"] for file in archived(world, "document")} == {"text/plain; charset=utf-8"}
    assert len(archived(world, "document")) == 4


def test_a_document_told_of_twice_is_one_file(world: World, files: FileServer) -> None:
    added = document(files, PDF, fileName="plan.pdf")
    for key in ("one", "other"):
        world.accept(added | {"idempotencyKey": key})
        world.settle()
    assert names(world) == ["documents/plan.pdf"]
    assert len(world.items("FILE#")) == 1


def test_statistics_without_a_link_are_in_the_journal_alone(world: World) -> None:
    event = told("RTCSTATS_UPLOADED")
    del event["data"]["statsUrl"]
    world.accept(event)
    world.settle()
    assert (world.items("FILE#"), len(world.items("EVENT#"))) == ([], 1)


def test_the_longest_names_fit_any_disk(world: World, files: FileServer) -> None:
    for number in (1, 2):
        world.accept(document(files, make_pdf(f"{number}"), "i" * 150 + str(number), fileName="é" * 300 + ".document"))
    world.settle()
    assert len(names(world)) == 2
    assert all(len(name.rpartition("/")[2].encode()) <= 255 for name in names(world))


def test_names_that_differ_in_case_are_two_files(world: World, files: FileServer) -> None:
    for number, name in enumerate(("Plan.pdf", "plan.pdf")):
        world.accept(document(files, make_pdf(name), f"id-{number}", fileName=name))
    world.settle()
    assert sorted(names(world)) == ["documents/Plan.pdf", "documents/plan.pdf"]


def test_a_list_that_came_out_wrong_is_asked_for_anew(world: World, files: FileServer) -> None:
    (picture,) = pictures(1)
    link = publish_list(files, [picture], name="history")
    assert link.renew
    taken_at = link.renew().index(b'"timestamp"') + 14
    link.faults.then(Corrupt(taken_at))
    world.accept(history(link.url))
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], item["reason"]) == ("pending", "the file does not have the MD5 that the source announced")
    world.show_all("download")
    world.settle()
    (listed,) = archived(world, "screenshots")
    assert world.object(listed["name"]) == link.stored.source
    assert [milliseconds(file["starts_at"]) for file in archived(world, "screenshot")] == [picture.taken_at_ms]


def test_a_list_that_ended_early_is_asked_for_anew(world: World, files: FileServer) -> None:
    link = publish_list(files, pictures(2), name="history")
    link.faults.then(WrongLength(-100))
    world.accept(history(link.url))
    world.settle()
    world.show_all("download")
    world.settle()
    (listed,) = archived(world, "screenshots")
    assert world.object(listed["name"]) == link.stored.source


def test_a_page_instead_of_a_picture_passes_however_often_the_list_failed_before(
    world: World, files: FileServer
) -> None:
    link = listing(files, [screen(files, 1), screen(files, 2)])
    assert isinstance(link.stored.source, bytes)
    second = files.find(json.loads(link.stored.source)["items"][1]["url"])
    assert second
    link.faults.then(Fail(503), times=4)
    second.faults.then(HtmlPage())
    world.accept(history(link.url))
    for _ in range(6):
        world.settle()
        world.show_all("download")
    assert len(archived(world, "screenshot")) == 2


def test_pictures_that_differ_only_in_what_their_links_ask_for_are_all_kept_once(
    world: World, files: FileServer
) -> None:
    picture = screen(files, 1)
    link = files.publish(b"", name="history.json")
    tokens = iter(range(100))
    link.renew = lambda: json.dumps([f"{picture}?token={next(tokens)}&number={number}" for number in (1, 2)]).encode()
    shown = files.find(picture)
    assert shown
    shown.faults.then().then(Fail(503))
    world.accept(history(link.url))
    world.settle()
    assert len(archived(world, "screenshot")) == 1
    world.show_all("download")
    world.settle()
    assert len(archived(world, "screenshot")) == 2
    assert len([name for name in names(world) if name.endswith(".png")]) == 2


def test_what_an_event_says_of_its_list_is_not_said_of_the_pictures(world: World, files: FileServer) -> None:
    world.accept(history(listing(files, [screen(files, 1)]).url, fileSize=77, durationSec=7))
    world.settle()
    assert len(archived(world, "screenshot")) == 1
    assert world.items("FILE#screenshot#")[0].keys().isdisjoint({"duration_seconds"})


def test_a_list_that_comes_again_without_its_expiry_brings_what_is_new(world: World, files: FileServer) -> None:
    link, links = files.publish(b"", name="history.json"), [screen(files, 1)]
    link.renew = lambda: json.dumps(links).encode()
    for number in (1, 1, 2, 2):
        links[1:] = [screen(files, 2)][: number - 1]
        event = history(link.url) | {"idempotencyKey": f"list {number}", "timestamp": now_ms() + number}
        del event["data"]["linkExpiration"]
        world.accept(event)
        world.settle()
    assert len(archived(world, "screenshot")) == 2
    assert len(archived(world, "screenshots")) == 2


def test_the_size_in_an_undocumented_event_is_that_of_its_only_file(world: World, files: FileServer) -> None:
    contents = [mp4(300), mp4(500)]
    first, second = (files.publish(content, name=f"app/{n}.mp4").url for n, content in enumerate(contents))
    world.accept(told("trap_unknown_event_type_with_file", preAuthenticatedLink=first, more=second, fileSize=300))
    alone = told("trap_unknown_event_type_with_file", preAuthenticatedLink=screen(files, 1), fileSize=300)
    world.accept(alone | {"idempotencyKey": "alone"})
    for _ in range(2):
        world.settle()
        world.show_all("download")
    world.settle()
    assert sorted(world.object(file["name"]) for file in archived(world, "other")) == sorted(contents)
    assert [file["status"] for file in world.meeting()["files"]].count("refused") == 1


def test_what_only_looks_like_a_link_does_not_stand_before_the_file(world: World, files: FileServer) -> None:
    link = files.publish(mp4(300), name="app/call.mp4").url
    world.accept(told("trap_unknown_event_type_with_file", about='https://"', preAuthenticatedLink=link))
    world.settle()
    assert [file["status"] for file in world.meeting()["files"]] == ["archived"]


@pytest.mark.parametrize("answer", [b"", b"try again", b'{"code": "InternalError", "message": "try again"}'])
def test_an_error_is_no_list_without_pictures(world: World, files: FileServer, answer: bytes) -> None:
    link = files.publish(b"", name="history.json")
    answers = iter([answer, json.dumps({"next": files.publish(answer, name="2.json").url, "items": []}).encode()])
    link.renew = lambda: next(answers, json.dumps([screen(files, 1)]).encode())
    world.accept(history(link.url))
    for reason in ("the source sent something that is no list", "a page of the list did not come: the source sent"):
        world.settle()
        (item,) = world.items("FILE#")
        assert (item["status"], item["reason"][: len(reason)]) == ("pending", reason)
        world.show_all("download")
    world.settle()
    assert len(archived(world, "screenshot")) == 1


def test_a_page_without_pictures_may_lead_on_to_one_that_has_some(world: World, files: FileServer) -> None:
    page = listing(files, [screen(files, 2)], name="last.json")
    for number in range(9):
        page = listing(files, [], name=f"{number}.json", next=page.url)
    world.accept(history(listing(files, [screen(files, 1)], next=page.url).url))
    world.settle()
    assert len(archived(world, "screenshot")) == 2


def test_pages_without_pictures_that_lead_on_for_ever_are_the_end(world: World, files: FileServer) -> None:
    link = files.publish(b"", name="history.json")
    asked = iter(range(10_000))
    link.renew = lambda: json.dumps(
        {"items": [] if (number := next(asked)) else [screen(files, 1)], "nextToken": number}
    ).encode()
    world.accept(history(link.url))
    world.settle()
    assert next(asked) < 20
    assert {file["status"] for file in world.meeting()["files"]} == {"archived"}


def test_nothing_is_no_chat(world: World, files: FileServer) -> None:
    link = files.publish(b"", name="app/chat.json")
    world.accept(told("CHAT_UPLOADED", preAuthenticatedLink=link.url))
    world.settle()
    assert world.items("FILE#")[0]["reason"] == "the source sent nothing instead of the file"
    link.stored.replace(b"{}")
    world.show_all("download")
    world.settle()
    assert world.object("chat.json") == b"{}"


def test_a_document_may_be_empty(world: World, files: FileServer) -> None:
    world.accept(document(files, b"", fileName="empty.txt"))
    world.settle()
    assert world.object("documents/empty.txt") == b""
