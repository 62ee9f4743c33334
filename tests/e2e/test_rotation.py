"""The webhook's secret is changed while events come in: none is refused, and no deploy is needed."""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from jaas_archive.receiving import SECRET_LOOK_AGAIN_SECONDS
from local.cloud import Stack
from local.jaas.client import WebhookClient
from local.story import put_secret

OLD, NEW = (f"whsec_{name * 16}" for name in ("01", "ab"))
_SENDERS = 3
_EACH = 4
_MINUTE = 60


class Jaas:
    """Sends events without a pause, signed with the secret that it has at the moment."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url, self.headers, self.secret = url, headers, OLD
        self.answers = [Counter[tuple[str, int]]() for _ in range(_SENDERS)]
        """Of each sender, by the secret that it used."""
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=[answers]) for answers in self.answers]
        for thread in self._threads:
            thread.start()

    def post(self, secret: str) -> int:
        """Send one event."""
        with WebhookClient(self.url, secret, self.headers, timeout_seconds=30) as client:
            return client.post(event()).status_code

    def wait_for(self, secret: str) -> None:
        """Wait until every sender has got some more answers to events with that secret."""
        wanted = [self._answered(answers, secret) + _EACH for answers in self.answers]
        until(
            lambda: all(
                self._answered(answers, secret) >= count for answers, count in zip(self.answers, wanted, strict=True)
            )
        )

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self, answers: Counter[tuple[str, int]]) -> None:
        while not self._ended.is_set():
            secret = self.secret
            answers[secret, self.post(secret)] += 1

    @staticmethod
    def _answered(answers: Counter[tuple[str, int]], secret: str) -> int:
        return answers[secret, HTTPStatus.ACCEPTED]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _MINUTE
    while not holds():
        assert time.monotonic() < deadline, "it took more than a minute"
        time.sleep(0.1)


def event() -> bytes:
    document = {
        "eventType": "ROOM_CREATED",
        "idempotencyKey": str(uuid.uuid4()),
        "sessionId": "rotation",
        "timestamp": int(time.time() * 1000),
        "fqn": "app/rotation",
        "data": {},
    }
    return json.dumps(document).encode()


@pytest.fixture
def jaas(stack: Stack) -> Iterator[Jaas]:
    put_secret(stack, OLD)
    url, headers = stack.webhook()
    # A receiver that is warm may remember another secret until it has to look again.
    with WebhookClient(url, OLD, headers, timeout_seconds=30) as client:
        until(lambda: client.post(event()).status_code == HTTPStatus.ACCEPTED)
    jaas = Jaas(url, headers)
    yield jaas
    jaas.end()


def test_a_secret_is_changed_under_load(stack: Stack, jaas: Jaas) -> None:
    jaas.wait_for(OLD)
    put_secret(stack, f"{OLD} {NEW}")
    # A receiver that has looked a moment ago, since somebody's signature did not match, does not look at once again;
    # the admin, too, has yet to get to the JaaS console.
    seen_at = time.monotonic() + SECRET_LOOK_AGAIN_SECONDS
    jaas.wait_for(OLD)
    until(lambda: time.monotonic() > seen_at)
    jaas.secret = NEW
    jaas.wait_for(NEW)
    put_secret(stack, NEW)
    jaas.wait_for(NEW)
    # What does not match makes a receiver look at the secret again.
    until(lambda: jaas.post("whsec_forged") == HTTPStatus.UNAUTHORIZED == jaas.post(OLD))
    jaas.end()
    assert {status for answers in jaas.answers for _, status in answers} == {HTTPStatus.ACCEPTED}
