"""`make load`: how fast the embedded cloud takes events and archives files, and how fast our own code could be."""

import argparse
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
from botocore.awsrequest import AWSResponse

from benchmarks.receiver import settings_of
from local.cloud import ROOT, Cloud, Stack, build, deploy, running_cloud
from local.jaas.client import Backoff, WebhookClient
from local.jaas.files import FileServer, Link
from local.jaas.meeting import as_json
from local.jaas.signing import SIGNATURE_HEADER, signature_header
from local.story import DEAD_LETTER_QUEUES, Archive, put_secret
from local.terminal import Terminal

_SECRET = "whsec_0123456789abcdef0123456789abcdef"  # noqa: S105 - a sample
_SESSIONS = 100
_QUEUES = ("DownloadQueueUrl", "UrgentDownloadQueueUrl", "MeetingQueueUrl")
_SENDERS = 16
_KIB_OF_MIB = 1024
_ALONE = 20_000
"""Events that the receiver takes by itself."""


def event(number: int, link: str = "") -> bytes:
    """An event of one of a hundred sessions, with a file if there is a link."""
    return as_json(
        {
            "idempotencyKey": f"load-{'file' if link else 'event'}-{number}",
            "eventType": "CHAT_UPLOADED" if link else "FEEDBACK",
            "sessionId": f"{number % _SESSIONS:08x}-load",
            "timestamp": int(time.time() * 1000),
            "fqn": "vpaas-magic-cookie-load/load",
            "data": {"preAuthenticatedLink": link} if link else {"rating": 5, "comments": "x" * 500},
        }
    )


# --- the receiver alone -----------------------------------------------------------------------------------------------


def take_alone(count: int) -> tuple[float, int]:
    """Events a second of one processor, and KiB that the process grew by; AWS answers at once, inside of botocore."""
    os.environ |= settings_of("https://sqs.us-east-1.amazonaws.com")
    boto3.setup_default_session()
    if boto3.DEFAULT_SESSION:
        boto3.DEFAULT_SESSION.events.register("before-send", cast("Any", _answer))
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        from functions.receiver import app  # noqa: PLC0415 - its logger takes the stdout of this moment

        requests = [_request(event(number)) for number in range(count)]
        for request in requests[: count // 10]:
            app.handler(request, _CONTEXT)
        before, cpu = _resident(), time.process_time()
        for request in requests:
            if app.handler(request, _CONTEXT)["statusCode"] != HTTPStatus.ACCEPTED:
                raise SystemExit("the receiver did not take an event")
        seconds = max(time.process_time() - cpu, 0.001)
    return count / seconds, _resident() - before


_CONTEXT: Any = SimpleNamespace(
    function_name="receiver", memory_limit_in_mb=1024, invoked_function_arn="arn:aws:lambda:x", aws_request_id="load"
)


def _request(body: bytes) -> dict[str, Any]:
    signature = signature_header(_SECRET, body, int(time.time()))
    return {"headers": {SIGNATURE_HEADER.lower(): signature}, "body": body.decode(), "isBase64Encoded": False}


def _answer(request: Any, **_: object) -> Any:
    content = as_json({"MessageId": "m", "MD5OfMessageBody": "m", "SecretString": _SECRET, "Name": "n"})
    raw = SimpleNamespace(stream=lambda *_a, **_k: iter([content]))
    headers: Any = {"Content-Type": "application/x-amz-json-1.0"}
    return AWSResponse(request.url, HTTPStatus.OK, headers, raw)


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- on the embedded cloud --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Memory:
    """The most MiB that a worker of each function had, at first and later."""

    cloud: Cloud
    functions: tuple[str, ...]
    samples: dict[str, list[float]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every second while inside."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1):
            for function in self.functions:
                if workers := self.cloud.workers(f"{function}Function"):
                    self.samples.setdefault(function, []).append(max(workers.values()) / _KIB_OF_MIB)

    def __str__(self) -> str:
        return ", ".join(
            f"{function} {max(some[: len(some) // 3 or 1]):.0f} MiB in the first third, {max(some):.0f} MiB in all"
            for function, some in self.samples.items()
        )


def send(stack: Stack, bodies: list[bytes], *, rate: int) -> float:
    """Deliver all of them, begun `rate` a second if the cloud keeps up; returns how many a second were taken."""
    url, headers = stack.webhook()
    started = time.monotonic()
    with (
        WebhookClient(url, _SECRET, headers, Backoff(tries=50), timeout_seconds=60, workers=_SENDERS) as client,
        ThreadPoolExecutor(_SENDERS) as pool,
    ):

        def deliver(number: int) -> bool:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            return client.deliver(bodies[number]).accepted

        if not all(pool.map(deliver, range(len(bodies)))):
            raise SystemExit("an event was not taken")
    return len(bodies) / (time.monotonic() - started)


def statuses(stack: Stack, prefix: str) -> list[str]:
    """The statuses of what the table holds under sort keys that begin so; blank for what has none."""
    pages = (
        stack.cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["MeetingsTableName"],
            FilterExpression="begins_with(sk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
        )
    )
    return [item.get("status", {"S": ""})["S"] for page in pages for item in page["Items"]]


def wait_until_empty(stack: Stack) -> float:
    """Wait for the queues; returns how many seconds it took."""
    started = time.monotonic()
    while Archive(stack).waiting(_QUEUES):
        time.sleep(1)
    return time.monotonic() - started


def pause_downloads(stack: Stack, *, paused: bool) -> None:
    """Let the queue of files fill, or drain."""
    client = stack.cloud.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        if "-DownloadQueue-" in mapping["EventSourceArn"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not paused)


def take_events(terminal: Terminal, stack: Stack, count: int, rate: int) -> None:
    """Events into the receiver, and every one of them in the journal."""
    memory = Memory(stack.cloud, ("Receiver", "TranscriptEnricher"))
    with memory.watched():
        with terminal.step(f"{count} events into the receiver, {rate} a second") as step:
            step.update(f"{send(stack, [event(number) for number in range(count)], rate=rate):.0f} a second were taken")
        with terminal.step("their journal") as step:
            wait_until_empty(stack)
            step.update(f"{len(statuses(stack, 'EVENT#'))} of {count} events")
    terminal.console.print(f"  {memory}")


def archive_files(terminal: Terminal, stack: Stack, server: FileServer, count: int) -> None:
    """A full queue of files, drained."""
    links: list[Link] = [
        server.publish(as_json({"id": n, "x": "y" * 2000}), name=f"load/{n}.json") for n in range(count)
    ]
    pause_downloads(stack, paused=True)
    with terminal.step(f"{count} files into the queue") as step:
        rate = send(stack, [event(number, link.url) for number, link in enumerate(links)], rate=1000)
        step.update(f"{rate:.0f} a second, {Archive(stack).waiting(_QUEUES[:1])} waiting")
    memory = Memory(stack.cloud, ("Downloader", "TranscriptEnricher"))
    with memory.watched(), terminal.step("the queue drains") as step:
        pause_downloads(stack, paused=False)
        started = time.monotonic()
        while Archive(stack).waiting(_QUEUES[:1]):
            time.sleep(1)
        seconds = time.monotonic() - started
        wait_until_empty(stack)
        step.update(f"{count / seconds:.0f} files a second")
    archived = statuses(stack, "FILE#").count("archived")
    fetched = sum(link.fetched for link in links)
    dead = Archive(stack).waiting(DEAD_LETTER_QUEUES)
    terminal.console.print(f"  {archived} of {count} archived, {fetched} fetched, {dead} dead letters; {memory}")
    if archived != count or dead:
        raise SystemExit("files are missing")


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(prog="python -m local.load", description=__doc__)
    parser.add_argument("--events", type=int, default=15_000)
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        rate, grown = take_alone(_ALONE)
        sys.stderr.write(f"{rate:.0f} events a second of one processor, {grown} KiB grown over {_ALONE} events")
        return
    terminal = Terminal()
    with terminal.step("the receiver alone, AWS answering at once") as step:
        command = [sys.executable, "-m", "local.load", "--alone"]
        path = os.pathsep.join([str(ROOT), str(ROOT / "layers/jaas_archive")])
        alone = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        if alone.returncode:
            raise SystemExit(alone.stderr)
        step.update(alone.stderr)
    with ExitStack() as exits:
        server = exits.enter_context(FileServer())
        build()
        cloud = exits.enter_context(running_cloud())
        stack = deploy(cloud, parameters={"AllowedLinkOrigins": server.origin})
        put_secret(stack, _SECRET)
        take_events(terminal, stack, arguments.events, arguments.rate)
        archive_files(terminal, stack, server, arguments.files)


if __name__ == "__main__":
    main()
