"""Plays a plan against a stack on an embedded cloud, and waits until nothing moves any more."""

import os
import random
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from local.chaos.comparison import Difference, differences
from local.chaos.faults import AwsFaults
from local.chaos.plan import Disturbance, Plan, Post
from local.chaos.publication import Answers, Publication
from local.chaos.snapshot import Snapshot, read
from local.cloud import Stack, build, deploy, free_port, running_cloud
from local.jaas.client import Backoff, WebhookClient
from local.jaas.files import FileServer
from local.jaas.meeting import seeded
from local.proxy import Proxy
from local.recording import make_recording
from local.story import Archive, put_secret

_QUEUES = ("DownloadQueueUrl", "UrgentDownloadQueueUrl", "MeetingQueueUrl")
_FUNCTIONS = ("Receiver", "Downloader", "TranscriptEnricher")
_SENDERS = 4
_PATIENCE = Backoff(longest_seconds=5, tries=100)
_COPY_SECONDS = 40
_POLL_SECONDS = 1.0
_SETTLE_SECONDS = 3600


class ChaosError(Exception):
    """The run did not come to its end; the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did and found: faults by sort, what lists said, the archive, and in what it differs from the model."""

    deliveries: int
    faults: Counter[str]
    answers: Answers
    archive: Snapshot
    differences: tuple[Difference, ...]


def make_film() -> bytes:
    """A recording of a few kilobytes."""
    with TemporaryDirectory(prefix="jaas-archive-") as folder:
        path = Path(folder, "film.mp4")
        make_recording(path, seconds=2, width=160, height=90, bits_per_second=200_000)
        return path.read_bytes()


@contextmanager
def running_chaos(seed: int) -> Iterator["Chaos"]:
    """A stack whose functions reach AWS only through a proxy that fails."""
    faults, port = AwsFaults(f"chaos {seed}"), free_port()
    with ExitStack() as exits:
        server = exits.enter_context(FileServer())
        proxy = exits.enter_context(Proxy(f"http://127.0.0.1:{port}", faults.take))
        cloud = exits.enter_context(running_cloud(port=port, functions_endpoint=proxy.url, keeps_state=True))
        build()
        stack = deploy(cloud, parameters=_parameters(server, first_retry_seconds=1))
        yield Chaos(stack, server, faults, seeded(f"chaos {seed} disturbances"))


def _parameters(server: FileServer, *, first_retry_seconds: int) -> dict[str, str]:
    return {
        "AllowedLinkOrigins": server.origin,
        "FirstRetrySeconds": str(first_retry_seconds),
        # Every worker is a process of this machine, which takes seconds to start.
        "DownloaderConcurrency": "4",
        "EnricherConcurrency": "6",
    }


@dataclass(slots=True)
class Chaos:
    """A stack and everything that fails around it."""

    stack: Stack
    files: FileServer
    faults: AwsFaults
    rng: random.Random
    disturbed: Counter[str] = field(default_factory=Counter)

    def play(self, plan: Plan, *, drained: bool, on_progress: Callable[[str], None] = lambda _: None) -> Outcome:
        """Do everything that is planned, wait until it has settled, and compare.

        `drained` waits until the queues are empty; else it is enough that nothing differs any more: a message that
        found another function at its meeting's record only comes back a minute later, and finds nothing to do.

        Raises:
            ChaosError: an event was not taken, or it does not settle.
        """
        published = Publication(self.files, f"chaos {plan.seed}")
        deliveries = self._deliver(plan, [published.publish(meeting) for meeting in plan.meetings], on_progress)
        archive = self._settle(plan, published.answers, on_progress, drained=drained)
        faults = self.faults.injected + self.disturbed + published.met()
        wrong = tuple(differences(plan.meetings, published.answers, archive))
        return Outcome(deliveries, faults, published.answers, archive, wrong)

    def _deliver(self, plan: Plan, urls: Sequence[Mapping[str, str]], on_progress: Callable[[str], None]) -> int:
        """Send all events, each again and again until it is taken; returns how many times something was sent."""
        secret = f"whsec_{secrets.token_hex(16)}"
        put_secret(self.stack, secret)
        url, headers = self.stack.webhook()
        room, stopped, tries = threading.Semaphore(2 * _SENDERS), threading.Event(), Counter[str]()
        lock = threading.Lock()

        def pause(seconds: float) -> None:
            if stopped.wait(seconds):
                raise ChaosError("stopped")

        def send(post: Post) -> None:
            try:
                delivery = client.deliver(plan.event(post).body(urls[post.meeting]))
                with lock:
                    tries["sent"] += delivery.tries
                    tries["refused"] += not delivery.accepted
            finally:
                room.release()

        with (
            WebhookClient(url, secret, headers, _PATIENCE, timeout_seconds=30, workers=_SENDERS, sleep=pause) as client,
            ThreadPoolExecutor(_SENDERS, "jaas") as pool,
        ):
            try:
                for number, step in enumerate(plan.steps, 1):
                    if isinstance(step, Disturbance):
                        on_progress(f"{number} of {len(plan.steps)} sent, {step}")
                        self._disturb(step)
                        continue
                    room.acquire()
                    pool.submit(send, step)
                    if not number % 100:
                        on_progress(f"{number} of {len(plan.steps)} sent, {self.faults.injected.total()} AWS faults")
            except BaseException:
                stopped.set()
                raise
        if tries["refused"]:
            raise ChaosError(f"the webhook did not take an event, {_PATIENCE.tries} times")
        return tries["sent"]

    def _disturb(self, disturbance: Disturbance) -> None:
        """Disturb the machines in the middle of a copy."""
        if self._wait_for_a_copy():
            self.disturbed["machines: with a large copy half done"] += 1
        cloud = self.stack.cloud
        match disturbance:
            case Disturbance.KILL:
                for function in _FUNCTIONS:
                    workers = list(cloud.workers(f"{function}Function"))
                    victims = workers if function == "Downloader" else self.rng.sample(workers, min(1, len(workers)))
                    for pid in victims:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                            self.disturbed[f"machines: {function}'s worker killed"] += 1
            case Disturbance.REDEPLOY:
                deploy(cloud, parameters=_parameters(self.files, first_retry_seconds=2))
                self.disturbed[f"machines: {disturbance}"] += 1
            case Disturbance.RESTART:
                cloud.restart()
                self.disturbed[f"machines: {disturbance}"] += 1

    def _wait_for_a_copy(self) -> bool:
        """Wait until some parts of a large file are in the archive and not yet all; False if that does not happen."""
        s3: Any = self.stack.cloud.client("s3")
        bucket = self.stack.outputs["ArchiveBucketName"]
        give_up_at = time.monotonic() + _COPY_SECONDS
        while time.monotonic() < give_up_at:
            for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
                with suppress(s3.exceptions.NoSuchUpload):
                    if s3.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts"):
                        return True
            time.sleep(0.1)
        return False

    def _settle(self, plan: Plan, answers: Answers, on_progress: Callable[[str], None], *, drained: bool) -> Snapshot:
        queues = Archive(self.stack)
        give_up_at = time.monotonic() + _SETTLE_SECONDS
        while waiting := queues.waiting(_QUEUES):
            on_progress(f"{waiting} messages in the queues, {self.faults.injected.total()} AWS faults")
            if not drained and not differences(plan.meetings, answers, archive := read(self.stack)):
                return archive
            if time.monotonic() > give_up_at:
                raise ChaosError(f"{waiting} messages are still in the queues")
            time.sleep(_POLL_SECONDS)
        return read(self.stack)
