"""The stack as SAM builds and deploys it, once for all end-to-end tests."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.cloud import ROOT, Cloud, Stack, build, deploy, free_port, running_cloud

_SHOWN_LINES = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these tests talk to this machine, and to no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the functions said beside a test that failed."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        for function in sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py")):
            with suppress(BotoCoreError, ClientError):
                lines = stack.logs(function)[-_SHOWN_LINES:]
                report.sections.append((f"end of the {function}'s log", "\n".join(lines)))
        report.sections.append(("MiniStack's log", str(stack.cloud.log_path)))
    return report


@pytest.fixture(scope="session")
def file_server_port() -> int:
    """Where the simulator serves files; the stack must know before it is deployed."""
    return free_port()


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with running_cloud() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def stack(cloud: Cloud, file_server_port: int) -> Stack:
    build()
    origin = f"http://127.0.0.1:{file_server_port}"
    return deploy(cloud, parameters={"AllowedLinkOrigins": origin, "MeetingNotifications": "sns"})
