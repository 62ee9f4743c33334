"""`make load`: events at a fixed rate and a full queue of files on the embedded cloud; an error if any is lost.

The queues are not read while they are filled, so that taking and draining are measured one after the other.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from rich.text import Text

from local.cloud import ROOT, CloudError, Stack, build, deploy, running_cloud
from local.jaas.client import Backoff, WebhookClient
from local.jaas.files import FileServer, Link
from local.jaas.meeting import as_json
from local.load.events import SECRET, chat_events, feedback_events
from local.load.flow import SENDERS, LoadError, Offered, offer, wait_until_empty
from local.load.workers import Memory, Meter
from local.story import DEAD_LETTER_QUEUES, Archive, put_secret
from local.terminal import Step, Terminal

_DOWNLOADS = ("DownloadQueueUrl", "UrgentDownloadQueueUrl")
_QUEUES = (*_DOWNLOADS, "MeetingQueueUrl")
_FIRST = 4 * SENDERS
"""Events that start the receiver's workers and are not measured."""
_PATIENCE = Backoff(tries=6)
_TIMEOUT_SECONDS = 30
"""Six times that is what an event waits for a cloud that does not answer."""


@dataclass(frozen=True, slots=True)
class Load:
    """Puts load on a stack and tells what came of it."""

    terminal: Terminal
    stack: Stack
    server: FileServer

    def take_events(self, count: int, rate: float) -> None:
        """Events into the receiver, and every one of them in the journal."""
        bodies = feedback_events(_FIRST + count)
        self._pause(paused=True)
        self._offer(bodies[:_FIRST], rate)
        self._fill(bodies[_FIRST:], rate, f"{count} events into the receiver, {rate:g} a second")
        with self._measured("their journal is written", ("TranscriptEnricher",), len(bodies)) as step:
            self._pause(paused=False)
            step.update(f"{len(bodies) / self._drain(step, _QUEUES):.0f} a second")
        self._expect_events(len(bodies))

    def archive_files(self, count: int, rate: float, *, events_before: int) -> None:
        """A full queue of files, drained."""
        links = [self.server.publish(as_json({"id": n, "x": "y" * 2000}), name=f"load/{n}.json") for n in range(count)]
        self._pause(paused=True)
        self._fill(chat_events(links), rate, f"{count} files into the queue")
        with self._measured("the queue of files drains", ("Downloader", "TranscriptEnricher"), count) as step:
            self._pause(paused=False)
            copied = self._drain(step, _DOWNLOADS)
            recorded = self._drain(step, _QUEUES)
            step.update(f"{count / copied:.1f} files a second, and {recorded:.0f} s later all records are made")
        self._expect_files(links)
        self._expect_events(events_before + count)

    def _fill(self, bodies: list[bytes], rate: float, title: str) -> None:
        with self._measured(title, ("Receiver",), len(bodies)) as step:
            step.update(str(self._offer(bodies, rate)))

    @contextmanager
    def _measured(self, title: str, functions: tuple[str, ...], count: int) -> Iterator[Step]:
        """A step, and below it what it took of memory and, for each of `count`, of the processors."""
        memory, meter = Memory(self.stack.cloud, functions), Meter(self.stack.cloud, functions)
        with self.terminal.step(title) as step, memory.watched():
            yield step
        self._say(f"processors: {meter.costs(count)}")
        if memory.samples:
            self._say(str(memory))
        if memory.grown:
            raise LoadError(f"memory grew: {', '.join(memory.grown)}")

    def _offer(self, bodies: list[bytes], rate: float) -> Offered:
        url, headers = self.stack.webhook()
        client = WebhookClient(url, SECRET, headers, _PATIENCE, timeout_seconds=_TIMEOUT_SECONDS, workers=SENDERS)
        with client:
            return offer(lambda body: client.deliver(body).accepted, bodies, rate=rate)

    def _drain(self, step: Step, queues: tuple[str, ...]) -> float:
        return wait_until_empty(partial(self._archive.waiting, queues), on_progress=step.update)

    def _pause(self, *, paused: bool) -> None:
        """Let the queues fill, or drain."""
        client = self.stack.cloud.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not paused)

    def _expect_events(self, count: int) -> None:
        found = len(self._statuses("EVENT#"))
        dead = self._archive.waiting(DEAD_LETTER_QUEUES)
        self._say(f"{found} of {count} events in the journal, {dead} dead letters")
        if found != count or dead:
            raise LoadError("events are missing")

    def _expect_files(self, links: list[Link]) -> None:
        archived = self._statuses("FILE#").count("archived")
        fetched = sum(link.fetched for link in links)
        self._say(f"{archived} of {len(links)} files archived, {fetched} fetched")
        if archived != len(links):
            raise LoadError("files are missing")

    def _statuses(self, prefix: str) -> list[str]:
        """The statuses of what the table holds under sort keys that begin so; blank for what has none."""
        pages = (
            self.stack.cloud.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.stack.outputs["MeetingsTableName"],
                FilterExpression="begins_with(sk, :prefix)",
                ExpressionAttributeValues={":prefix": {"S": prefix}},
            )
        )
        return [item.get("status", {"S": ""})["S"] for page in pages for item in page["Items"]]

    @property
    def _archive(self) -> Archive:
        return Archive(self.stack)

    def _say(self, text: str) -> None:
        self.terminal.console.print(f"           {text}")


def main() -> int:
    """Measure, and print as it goes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.load", description=__doc__)
    parser.add_argument("--events", type=int, default=15_000)
    parser.add_argument("--rate", type=float, default=500, help="events a second")
    parser.add_argument("--files", type=int, default=2_000)
    arguments = parser.parse_args()
    terminal = Terminal()
    try:
        _measure_receiver(terminal)
        _put_load(terminal, arguments.events, arguments.files, arguments.rate)
    except (CloudError, LoadError) as error:
        terminal.console.print(Text(f"\nThe load failed: {error}", style="bold red"))
        return 1
    return 0


def _measure_receiver(terminal: Terminal) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/jaas_archive")])}
    with terminal.step("the receiver alone, AWS answering at once") as step:
        command = [sys.executable, "-m", "local.load.alone"]
        alone = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if alone.returncode:
            raise LoadError(alone.stderr)
        step.update(alone.stderr)


def _put_load(terminal: Terminal, events: int, files: int, rate: float) -> None:
    with ExitStack() as exits:
        server = exits.enter_context(FileServer())
        build()
        stack = deploy(exits.enter_context(running_cloud()), parameters={"AllowedLinkOrigins": server.origin})
        put_secret(stack, SECRET)
        load = Load(terminal, stack, server)
        load.take_events(events, rate)
        load.archive_files(files, rate, events_before=_FIRST + events)


if __name__ == "__main__":
    sys.exit(main())
