"""Pages in a real browser, opened from disk as people do."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from jaas_archive.page import render_page
from jaas_archive.record import MeetingRecord, make_record
from jaas_archive.traces import in_order
from local.browser import ARGUMENTS, browser_path
from tests.sample_meeting import Sample

_PATIENCE_SECONDS, _POLL_MS = 30, 30


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@dataclass(slots=True)
class Visit:
    """A page that is open, and all that it did."""

    page: Page
    folder: Path
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, document: dict[str, Any]) -> None:
        """Render a meeting into the folder and open it there."""
        path = self.folder / "meeting.html"
        path.write_text(render_page(document))
        self.page.goto(path.as_uri())

    def until(self, expression: str) -> None:
        """Wait for a condition; Playwright's own way evaluates a string, which the page's policy forbids."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not self.page.evaluate(expression):
            assert time.monotonic() < give_up_at, f"never came true: {expression}"
            self.page.wait_for_timeout(_POLL_MS)

    def refuse(self, dialog: Dialog) -> None:
        """No page of ours asks anything."""
        self.errors.append(dialog.message)
        dialog.dismiss()

    @property
    def rows(self) -> list[str]:
        """The visible lines of the conversation."""
        texts: list[str] = self.page.eval_on_selector_all(
            "#lines li", "rows => rows.filter(r => r.checkVisibility()).map(r => r.querySelector('.text').textContent)"
        )
        return texts


def record_of(sample: Sample) -> MeetingRecord:
    """The record of a meeting as the enricher makes it."""
    return make_record(sample.session, in_order(sample.events), sample.files, sample.lines)


@pytest.fixture
def visit(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A new browser profile; `indirect` parameters are those of the profile."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    visit = Visit(page, tmp_path)
    page.on("request", lambda sent: visit.requests.append(sent.url))
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("console", lambda said: visit.errors.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: visit.refuse(dialog))  # noqa: PLW0108 - it takes no bound method here
    yield visit
    context.close()
