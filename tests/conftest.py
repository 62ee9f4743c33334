"""What all tests share: the sample events, and a machine without an AWS account."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings

# A busy machine is no reason for a test to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

EVENTS = Path(__file__).parents[1] / "events"
TOGETHER = ("e2e", "page")
"""Folders whose tests share what is dear to make: a deployed stack, a browser."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run side by side, such a folder stays in one process, and starts first because it takes longest."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(folder))
    items.sort(key=lambda item: [mark.args for mark in item.iter_markers("xdist_group")] != [("e2e",)])


@pytest.fixture(scope="session", autouse=True)
def no_aws_account() -> Iterator[None]:
    """Whatever a test forgets to fake, it does not reach the developer's account."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "testing")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def load_event() -> Callable[[str], dict[str, Any]]:
    """Read a new copy of events/<name>.json."""

    def load(name: str) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads((EVENTS / f"{name}.json").read_bytes()))

    return load
