"""A Chromium for looking at pages: the one of this machine, else Debian's package, else Playwright's own download."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_PATHS = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
# No sandbox: as root, and in most containers, Chromium starts only without it. The pages are our own.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_INSTALL_SECONDS = 900


class NoBrowserError(Exception):
    """No browser can be had; the text says what was tried."""


def browser_path() -> str:
    """Where a Chromium lies that starts; gets one if there is none.

    Raises:
        NoBrowserError: there is none, and none could be installed.
    """
    tried: list[str] = []
    ways: tuple[Callable[[list[str]], str | None], ...] = (_of_this_machine, _of_debian, _of_playwright)
    for way in ways:
        if path := way(tried):
            return path
    raise NoBrowserError("The tests of the page need a Chromium, and none can be had: " + "; ".join(tried))


def _of_this_machine(tried: list[str]) -> str | None:
    candidates = [*filter(None, map(shutil.which, NAMES)), *(path for path in MAC_PATHS if Path(path).exists())]
    for path in candidates:
        if _runs([path, "--version"], tried, seconds=60):
            return path
    tried.append(f"none of {', '.join(NAMES)} is on PATH")
    return None


def _of_debian(tried: list[str]) -> str | None:
    apt_get = shutil.which("apt-get")
    if not apt_get or os.geteuid() != 0:
        tried.append("apt-get needs root")
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        if not _runs([apt_get, "--quiet", *command], tried, seconds=_INSTALL_SECONDS, environment=environment):
            return None
    return _of_this_machine(tried)


def _of_playwright(tried: list[str]) -> str | None:
    if not _runs([sys.executable, "-m", "playwright", "install", "chromium"], tried, seconds=_INSTALL_SECONDS):
        return None
    return next((path for path in _downloaded() if _runs([path, "--version"], tried, seconds=60)), None)


def _downloaded() -> Iterator[str]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where it comes to that

    with sync_playwright() as playwright:
        yield playwright.chromium.executable_path


def _runs(
    command: Sequence[str], tried: list[str], *, seconds: float, environment: dict[str, str] | None = None
) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=seconds, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        tried.append(f"{command[0]}: {type(error).__name__}")
        return False
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        tried.append(f"{' '.join(command[-2:])}: {lines[-1] if lines else done.returncode}")
    return done.returncode == 0
