"""What all tests share: the sample events, and a machine without an AWS account."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# A busy machine is no reason for a test to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

EVENTS = Path(__file__).parents[1] / "events"
TOGETHER = ("tests/e2e/", "tests/page/")
"""What shares what is dear to make: a deployed stack, a browser."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Such a folder stays in one process, and starts first because it is the largest piece of work."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How tests run side by side, where they do."""
    return _Scheduling(config, log)


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
