"""What people see when they open `meeting.html`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from jaas_archive.conversation import Line
from jaas_archive.events import milliseconds
from jaas_archive.names import iso_time
from jaas_archive.page import byte_size, clock, duration, hue, initials, render_page
from local.jaas.small_files import make_screenshot
from local.recording import make_small_recording
from tests.page.conftest import Visit, record_of
from tests.sample_meeting import ADA, MINUTE_MS, START_MS, Sample, event, participant

DESKTOP = {"viewport": {"width": 1360, "height": 900}, "timezone_id": "Europe/Lisbon", "locale": "en-GB"}
DARK = DESKTOP | {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
NO_SCRIPT = DESKTOP | {"java_script_enabled": False}


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_recording(tmp_path_factory.mktemp("recording") / "small.mp4").path


def sample_document() -> dict[str, Any]:
    return record_of(Sample()).document


def test_the_page_shows_what_meeting_json_says(visit: Visit) -> None:
    document = sample_document()
    visit.open(document)
    assert visit.page.title() == "weekly-sync · Wednesday, 26 June 2024"
    assert visit.page.inner_text("h1") == document["room"]
    assert visit.rows == [message["content"] for message in document["messages"]]
    names = visit.page.eval_on_selector_all("#lines li bdi:first-of-type", "all => all.map(one => one.textContent)")
    for name, message in zip(names, document["messages"], strict=True):
        assert name == (message.get("name") or f"Unknown ({message['jid'][:8]})")
    people = visit.page.eval_on_selector_all(".people .name", "all => all.map(one => one.textContent)")
    assert people == [entry["name"] for entry in document["people"]]
    bars = visit.page.locator(".people tbody .bar:not(.talk)").count()
    assert bars == sum(len(entry["stays"]) + len(entry["lobby"]) for entry in document["people"])
    polls = visit.page.eval_on_selector_all(".poll .answer", "all => all.map(one => one.textContent)")
    assert [re.sub(r"(\d+) votes?", r" \1", text.strip()) for text in polls] == [
        f"{answer['name']} {answer['votes']}" for poll in document["polls"] for answer in poll["answers"]
    ]
    shown = visit.page.eval_on_selector_all(".files li", "all => all.map(one => one.innerText)")
    for text, file in zip(shown, document["files"], strict=True):
        assert file.get("name", "recording (not archived)") in text
        assert file.get("checksum_crc32c", "") in text
        assert ("Archived and verified" if file["status"] == "archived" else "Lost") in text
    assert visit.page.locator(".figures dd").all_inner_texts() == ["34 min", "7", "15", "11", "96 %", "4 of 5"]
    assert visit.page.get_attribute("meta[name=meeting-version]", "content") == str(document["version"])


def test_search_finds_words_and_names_whatever_their_accents_and_case(visit: Visit) -> None:
    visit.open(sample_document())
    visit.page.fill("#query", "TOMAS migr")
    visit.until("document.getElementById('found').textContent.startsWith('0 of')")
    assert visit.page.is_visible("#nothing")
    visit.page.fill("#query", "tomas")
    visit.until("document.getElementById('found').textContent === '7 of 26 lines'")
    assert len(visit.rows) == 7
    visit.page.fill("#query", "恢复")
    visit.until("document.getElementById('found').textContent.startsWith('1 of')")
    visit.page.press("#query", "Escape")
    assert len(visit.rows) == 26


def test_filters_combine(visit: Visit) -> None:
    document = sample_document()
    visit.open(document)
    visit.page.check("input[value=speech]", force=True)
    visit.page.select_option("#voice", label="Ada Nwosu (9)")
    wanted = [m["content"] for m in document["messages"] if m.get("name") == "Ada Nwosu" and m["source"] == "speech"]
    assert visit.rows == wanted
    visit.page.fill("#query", "year")
    visit.until("document.getElementById('found').textContent === '1 of 26 lines'")


def test_a_slash_leads_to_the_search_and_tab_to_the_lines(visit: Visit) -> None:
    visit.open(sample_document())
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the conversation"
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "conversation"
    visit.page.keyboard.press("/")
    assert visit.page.evaluate("document.activeElement.id") == "query"


def test_a_line_leads_to_its_moment_of_the_recording(visit: Visit, recording: Path) -> None:
    sample = Sample()
    document = record_of(sample).document
    for file in document["files"]:
        if "name" in file and file["kind"] == "recording":
            (visit.folder / file["name"]).write_bytes(recording.read_bytes())
    # The first line of the first recording lies half a minute in; the sample recording is shorter.
    for file in document["files"]:
        if file["kind"] == "recording" and "name" in file:
            shift = 27_000 if file["name"].startswith("recording_20240626T1005") else 239_000
            file["starts_at"] = _later(file["starts_at"], shift)
    visit.open(document)
    visit.until("document.getElementById('video').readyState >= 1")
    visit.page.click("text=part 10:03")
    visit.until("document.getElementById('video').currentTime >= 3")
    line = visit.page.locator("#lines li.now .text").inner_text()
    assert line == "Hello, this is Priya from Northwind, I join as a guest"
    visit.page.click("text=part 20:01")
    visit.until("document.getElementById('video').currentTime >= 1")
    assert visit.page.evaluate("document.getElementById('video').currentSrc").endswith("_r2.mp4")
    assert visit.page.evaluate("document.getElementById('recording').selectedIndex") == 1
    assert visit.errors == []


def _later(iso: str, shift_ms: int) -> str:
    return iso_time((milliseconds(iso) or 0) + shift_ms)


def test_a_line_without_a_time_shows_none(visit: Visit) -> None:
    sample = Sample()
    during = Line(START_MS + 6 * MINUTE_MS, "chat", ADA, "when?", time_known=False)
    visit.open(record_of(replace(sample, lines=[*sample.lines, (during,)])).document)
    line = visit.page.locator("#lines li", has_text="when?")
    assert (line.locator("time, button").count(), line.locator("div + span").inner_text()) == (0, "\N{EN DASH}")


def test_without_the_recording_the_page_says_what_to_do(visit: Visit) -> None:
    visit.open(sample_document())
    visit.until("document.getElementById('player-note').textContent.includes('Download')")


@pytest.mark.parametrize("visit", [DESKTOP], indirect=True)
def test_no_request_leaves(visit: Visit) -> None:
    document = sample_document()
    visit.open(document)
    for button in visit.page.locator("#lines button").all()[:2]:
        button.click()
    visit.page.fill("#query", "ada")
    visit.page.wait_for_timeout(300)
    assert all(url.startswith("file:///") for url in visit.requests)
    names = {url.rpartition("/")[2] for url in visit.requests}
    assert names <= {"meeting.html", *(file["name"] for file in document["files"] if "name" in file)}


def with_extras(visit: Visit) -> dict[str, Any]:
    """A meeting with pictures of a shared screen and a document, which lie beside its page."""
    document = sample_document()
    (visit.folder / "screenshots").mkdir()
    archived = {"status": "archived", "size": 1213, "checksum_crc32c": "AAAAAA=="}
    for number in range(1, 7):
        name = f"screenshots/2024062{number}.png"
        (visit.folder / name).write_bytes(make_screenshot(number, slides=6))
        picture = archived | {"kind": "screenshot", "id": str(number), "name": name, "content_type": "image/png"}
        document["files"].append(picture | {"starts_at": iso_time(START_MS + number * 30_000)})
    told = {"title": "Q3 <b>map</b>.pdf", "by": "Ada", "deleted_by": "Ben", "deleted_at": iso_time(START_MS)}
    paper = {"kind": "document", "id": "d", "name": "documents/Q3.pdf", "content_type": "application/pdf"}
    document["files"].append(archived | paper | told)
    return document


@pytest.mark.parametrize("visit", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_the_shared_screen_is_a_gallery_and_documents_keep_their_names(visit: Visit) -> None:
    visit.open(with_extras(visit))
    visit.until("[...document.querySelectorAll('#shots img')].every(i => i.naturalWidth === 320)")
    assert visit.page.locator("#shots span").all_inner_texts() == ["0:30", "1:00", "1:30", "2:00", "2:30", "3:00"]
    assert visit.page.is_hidden("#shots-note")
    paper = visit.page.locator(".files li").last
    assert "Q3 <b>map</b>.pdf" in paper.inner_text()
    assert "1 KB" in paper.inner_text()
    assert "added by Ada" in paper.inner_text()
    assert "Deleted in the meeting by Ben, kept here" in paper.inner_text()
    assert visit.page.locator(".files li").count() == 6
    assert Axe().run(visit.page).response["violations"] == []


def test_without_the_pictures_the_page_says_where_they_are(visit: Visit) -> None:
    document = with_extras(visit)
    for picture in (visit.folder / "screenshots").iterdir():
        picture.unlink()
    visit.open(document)
    visit.until("!document.getElementById('shots-note').hidden")


ATTACKS = [
    "<script>window.attacked = 1</script>",
    "</script><script>window.attacked = 1</script>",
    "</style><script>window.attacked = 1</script>",
    '"><img src=x onerror="window.attacked = 1">',
    "'><svg onload=window.attacked=1>",
    "<iframe srcdoc='<script>parent.attacked = 1</script>'></iframe>",
    "javascript:window.attacked=1",
    '" onmouseover="window.attacked = 1" autofocus onfocus="window.attacked = 1',
    "{{ 7 * 7 }}{% raw %}${window.attacked = 1}`${window.attacked = 1}`",
    "<!--><script>window.attacked = 1</script-->",
    "<base href='https://attacker.example/'><link rel=stylesheet href=https://attacker.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://attacker.example'>",
    "&lt;script&gt;window.attacked = 1&lt;/script&gt;",
    "\u202eevil\u2066 \u0000 \x1b[31m \ufeff \U000e0041",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=window.attacked=1&gt;'>",
    "<a href='data:text/html,<script>window.attacked=1</script>'>click</a>",
]


def test_nothing_that_people_write_or_call_themselves_runs(visit: Visit) -> None:
    sample = Sample()
    document = record_of(sample).document
    document["room"] = ATTACKS[1]
    document["session_id"] = ATTACKS[0]
    pattern = dict(document["messages"][4])
    for number, attack in enumerate(ATTACKS):
        document["messages"].append(pattern | {"content": attack, "name": attack, "jid": attack, "source": "chat"})
        entry = document["people"][number % len(document["people"])]
        entry |= {"name": attack, "email": attack, "also_named": [attack]}
        entry["reactions"] = {attack: 1}
        entry["stays"] = [stay | {"room": attack, "left_because": attack} for stay in entry["stays"]]
        document["polls"][0]["answers"].append({"name": attack, "votes": 1, "voters": [attack]})
        document["reactions"].append({"at": pattern["at"], "reaction": attack, "name": attack})
        document["files"].append(document["files"][2] | {"name": attack, "checksum_crc32c": attack, "kind": attack})
    document["polls"][0] |= {"question": ATTACKS[3], "asked_by": ATTACKS[4]}
    document["files"][0]["name"] = ATTACKS[3]
    visit.open(document)
    visit.page.hover("h1")
    visit.page.fill("#query", "attacked")
    for link in visit.page.locator(".files a").all():
        assert (link.get_attribute("href") or "").startswith("./")
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate("window.attacked") is None
    assert visit.page.locator("#lines img, #lines script, #lines iframe, #lines a, main base, main meta").count() == 0
    shown = visit.page.eval_on_selector_all("#lines li .text", "all => all.map(one => one.textContent)")
    assert shown[-len(ATTACKS) :] == [attack.replace("\x00", "") for attack in ATTACKS]
    assert not [url for url in visit.requests if not url.startswith("file:///")]
    assert not [error for error in visit.errors if "ERR_FILE_NOT_FOUND" not in error]


def test_the_policy_alone_stops_what_slips_through(visit: Visit) -> None:
    html = render_page(sample_document())
    injected = "<script>window.attacked = 1</script><img src=x onerror='window.attacked = 1'><p style='color: red'>"
    path = visit.folder / "meeting.html"
    path.write_text(html.replace("<main>", f"{injected}<img src=https://attacker.example/x.png><main>"))
    visit.page.goto(path.as_uri())
    visit.page.wait_for_timeout(200)
    assert visit.page.evaluate("window.attacked") is None
    assert len([error for error in visit.errors if "Content Security Policy" in error]) >= 4


@pytest.mark.parametrize("visit", [DESKTOP, DARK, PHONE], indirect=True, ids=["light", "dark", "phone"])
def test_people_with_disabilities_can_use_it(visit: Visit) -> None:
    visit.open(sample_document())
    # The policy of the page lets no script in, so the checker goes in by the debugger.
    found = Axe().run(visit.page).response["violations"]
    assert [(one["id"], one["impact"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_a_phone_needs_no_sideways_scrolling(visit: Visit) -> None:
    long = Line(START_MS, "chat", ADA, "x" * 100_000)
    sample = Sample()
    visit.open(record_of(replace(sample, lines=[*sample.lines, (long,)])).document)
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("visit", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_names_as_long_as_a_book_do_not_bury_the_meeting(visit: Visit) -> None:
    book = "Wołodymyr-" * 10_000
    document = sample_document()
    document["room"] = book
    document["people"][0] |= {"name": book, "email": book, "also_named": [book]}
    document["messages"][0]["name"] = document["reactions"][0]["reaction"] = document["files"][4]["reason"] = book
    document["polls"][0] |= {"question": book, "asked_by": book}
    document["polls"][0]["answers"][0] |= {"name": book, "voters": [book]}
    visit.open(document)
    assert visit.page.evaluate("document.documentElement.scrollHeight") < 9_000
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_a_phone_shows_the_line_of_time_above_the_people(visit: Visit) -> None:
    visit.open(sample_document())
    assert visit.page.is_visible(".people thead .axis text")


@pytest.mark.parametrize("visit", [NO_SCRIPT], indirect=True)
def test_everything_can_be_read_without_scripts(visit: Visit) -> None:
    visit.open(sample_document())
    assert "Good morning everyone" in visit.page.inner_text("#lines")
    assert visit.page.inner_text(".when") == "Wednesday, 26 June 2024, 10:00\N{EN DASH}10:34 UTC"


@pytest.mark.parametrize("visit", [DESKTOP], indirect=True)
def test_times_are_those_of_the_reader(visit: Visit) -> None:
    visit.open(sample_document())
    assert "11:00\N{EN DASH}11:34" in visit.page.inner_text(".when")


def test_an_empty_meeting_has_a_page(visit: Visit) -> None:
    visit.open(record_of(Sample(documents=[event("ROOM_CREATED", 0)], files=[], lines=[])).document)
    assert "JaaS told of nobody who joined." in visit.page.inner_text("main")
    assert visit.errors == []


def test_fifty_thousand_messages_open(visit: Visit) -> None:
    joined = event("PARTICIPANT_JOINED", 1, participant(ADA))
    lines = tuple(Line(START_MS + number * 700, "chat", ADA, f"message {number} of many") for number in range(50_000))
    visit.open(record_of(Sample(documents=[joined], files=[], lines=[lines])).document)
    assert visit.page.locator("#lines li").count() == 50_000
    visit.page.fill("#query", "message 49999")
    visit.until("document.getElementById('found').textContent === '1 of 50000 lines'")
    assert visit.rows == ["message 49999 of many"]


def test_the_same_record_gives_the_same_page() -> None:
    document = sample_document()
    assert render_page(document) == render_page(document)
    assert not re.search(r"""(?:src|href)=["']?https?:""", render_page(document))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (247, "4:07"), (3847, "1:04:07"), (-30, "\N{MINUS SIGN}0:30"), (-0.2, "0:00")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_durations_sizes_initials_and_colours() -> None:
    assert [duration(seconds) for seconds in (42, 2280, 3840)] == ["42 s", "38 min", "1 h 4 min"]
    assert [byte_size(size) for size in (7, 34_000, 1_234_000_000)] == ["7 bytes", "34 KB", "1.2 GB"]
    assert [initials(name) for name in ("Ada Nwosu", "mei", "王芳", "<script>", "+351 21", "")] == [
        "AN", "M", "王", "•", "2", "•",
    ]  # fmt: skip
    assert 0 <= hue("Ada") < 12
