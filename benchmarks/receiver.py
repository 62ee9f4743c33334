"""The receiver's cold start against `boto3.client("sqs")` alone, and its CPU for a warm event.

Writes results/receiver.json and receiver.md. ROUNDS says how many cold starts of each, 20 if it is not set.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import botocore

from benchmarks import machine
from benchmarks.instant_aws import SECRET, running_aws

# us-east-1: https://aws.amazon.com/lambda/pricing/
USD_PER_CACHED_GB_SECOND = 0.0000015046
USD_PER_RESTORED_GB = 0.0001397998
MONTH_SECONDS = 30 * 24 * 3600
MEMORY_GB = 1
"""What the template gives the receiver."""

OURS, CLIENT_ALONE = "receiver, first event answered", 'import boto3; boto3.client("sqs")'
WARM_EVENTS = {"PARTICIPANT_JOINED": "one queue", "RECORDING_UPLOADED": "both queues"}
_EVENTS = 300
_SCRIPT = str(machine.ROOT / "benchmarks/tools/receiver_events.py")
_COMMANDS: Mapping[str, Sequence[str]] = {
    CLIENT_ALONE: ("-c", CLIENT_ALONE),
    OURS: (_SCRIPT, SECRET, "0", "PARTICIPANT_JOINED"),
}
_COLD_BAR, _WARM_BAR_MS = 1.35, 2.0
_SHOWN_PACKAGES = 12


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A whole process, medians and the rounds one by one."""

    name: str
    wall_seconds: float
    cpu_seconds: float
    walls: list[float]
    cpus: list[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """All results; `phases` and `warm_ms` are CPU, `imports_ms` is time by package."""

    cold_starts: list[ColdStart]
    phases: Mapping[str, float]
    warm_ms: Mapping[str, float]
    imports_ms: Mapping[str, float]


def main() -> None:
    rounds = int(os.environ.get("ROUNDS", "20"))
    machine.install_packages()
    tls = machine.certificates()
    authorities = tls.authority.with_name("authorities.pem")
    # As many as on AWS, because to read them is a good part of a first request.
    authorities.write_text((Path(botocore.__file__).parent / "cacert.pem").read_text() + tls.authority.read_text())
    with running_aws(tls) as endpoint:
        environment = environment_of(endpoint, authorities)
        measured = _measure(environment, rounds)
    text = "\n".join(_report(measured))
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "receiver.json").write_text(json.dumps(asdict(measured), indent=1) + "\n")
    (machine.RESULTS / "receiver.md").write_text(text)
    print(text)


def environment_of(endpoint: str, authorities: Path) -> dict[str, str]:
    """What the receiver reads, and where it finds an AWS."""
    return settings_of(endpoint) | {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{machine.ROOT}:{machine.ROOT / 'layers/jaas_archive'}",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CA_BUNDLE": str(authorities),
    }


def settings_of(endpoint: str) -> dict[str, str]:
    """What the receiver reads, as the template sets it."""
    queue = f"{endpoint}/123456789012/"
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "receiver",
        "POWERTOOLS_METRICS_NAMESPACE": "JaasArchive/benchmarks",
        "DOWNLOAD_QUEUE_URL": f"{queue}download",
        "MEETING_QUEUE_URL": f"{queue}meeting",
        "WEBHOOK_SECRET_ARN": "webhook",
        "SIGNATURE_TOLERANCE_SECONDS": "86400",
        "ALLOWED_APP_IDS": "",
        "ALLOWED_LINK_ORIGINS": "https://*.oraclecloud.com",
        "FILE_KINDS": "all",
        "ALLOWED_SOURCE_IPS": "",
        "CLAIM_BUCKET_NAME": "claims",
    }


def _measure(environment: Mapping[str, str], rounds: int) -> Measured:
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in _COMMANDS}
    said: list[dict[str, Any]] = []
    for number in range(rounds + 1):
        for name, command in _COMMANDS.items():
            wall_seconds, cpu_seconds, errors = _run(command, environment)
            if not number:  # what Python compiles at first is nobody's cost
                continue
            runs[name].append((wall_seconds, cpu_seconds))
            print(f"{name:34} {number}/{rounds} {wall_seconds:6.3f} s {cpu_seconds:6.3f} s CPU", flush=True)
            if name == OURS:
                said.append(json.loads(errors))
    return Measured(
        cold_starts=[_cold_start(name, pairs) for name, pairs in runs.items()],
        phases={phase: median(one[phase] for one in said) for phase in ("imports", "clients", "first_event")},
        warm_ms={
            name: median(json.loads(_run((_SCRIPT, SECRET, str(_EVENTS), name), environment)[2])["warm_events"]) * 1000
            for name in WARM_EVENTS
        },
        imports_ms=_imports(_run(("-X", "importtime", *_COMMANDS[OURS]), environment)[2]),
    )


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Wall and CPU of a process of Python's from start to end, in seconds, and its stderr."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if process.stderr is None:
        raise RuntimeError("the process has no stderr")
    with process.stderr as stream:
        errors = stream.read()
    _, status, used = os.wait4(process.pid, 0)
    wall_seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} failed with {process.returncode}: {errors[-2000:]}")
    return wall_seconds, used.ru_utime + used.ru_stime, errors


def _cold_start(name: str, runs: Sequence[tuple[float, float]]) -> ColdStart:
    walls, cpus = ([round(seconds, 4) for seconds in column] for column in zip(*runs, strict=True))
    return ColdStart(name, round(median(walls), 4), round(median(cpus), 4), walls, cpus)


def _imports(lines: str) -> dict[str, float]:
    """What each package's own modules took, in ms: `import time: self [us] | cumulative | name`."""
    packages: Counter[str] = Counter()
    for line in lines.splitlines():
        if line.startswith("import time:") and not line.endswith("imported package"):
            own, _, name = line.removeprefix("import time:").split("|")
            package = name.strip().partition(".")[0]
            packages["Python's own" if package in sys.stdlib_module_names else package] += int(own)
    return {package: own / 1000 for package, own in packages.most_common()}


def _report(measured: Measured) -> Iterator[str]:
    client, ours = measured.cold_starts
    rounds = len(ours.walls)
    yield "# The receiver: cold start and warm events\n"
    yield (
        f"{machine.description()}.\nMedians of {rounds} interleaved rounds, whole processes from start to end, without "
        "the start of Lambda's own runtime.\nSQS and Secrets Manager stand on loopback, speak TLS and answer at once.\n"
    )
    yield "## Cold start\n"
    yield "| | wall ms | CPU ms | wall, to the client alone | CPU, to the client alone |"
    yield "|---|---|---|---|---|"
    for one in measured.cold_starts:
        wall, cpu = one.wall_seconds, one.cpu_seconds
        ratios = f"{wall / client.wall_seconds:.2f} | {cpu / client.cpu_seconds:.2f}"
        yield f"| {one.name} | {wall * 1000:.0f} | {cpu * 1000:.0f} | {ratios} |"
    imports, clients, first = (measured.phases[name] * 1000 for name in ("imports", "clients", "first_event"))
    yield (
        f"\nOf its CPU, {imports:.0f} ms are imports (with Python's start), {clients:.0f} ms the clients of SQS and "
        f"Secrets Manager, {first:.0f} ms the first event, most of it for TLS to both.\n"
    )
    yield "## Imports by package, each without what it imports in turn\n"
    yield "| package | ms |"
    yield "|---|---|"
    for package, spent_ms in list(measured.imports_ms.items())[:_SHOWN_PACKAGES]:
        yield f"| {package} | {spent_ms:.1f} |"
    yield f"\n## A warm event, medians of {_EVENTS}\n"
    yield "| event | goes to | CPU ms |"
    yield "|---|---|---|"
    for name, goes_to in WARM_EVENTS.items():
        yield f"| {name} | {goes_to} | {measured.warm_ms[name]:.2f} |"
    yield from _bars(measured)
    yield from _snap_start(imports + clients, first)


def _bars(measured: Measured) -> Iterator[str]:
    client, ours = measured.cold_starts
    bars = [("cold start, wall ÷ the client alone", _COLD_BAR, ours.wall_seconds / client.wall_seconds)]
    bars += [(f"CPU ms of {name}", _WARM_BAR_MS, spent_ms) for name, spent_ms in measured.warm_ms.items()]
    yield "\n## Bars\n"
    yield "| measure | bar | ours | |"
    yield "|---|---|---|---|"
    for text, limit, value in bars:
        yield f"| {text} | ≤ {limit:g} | {value:.2f} | {'met' if value <= limit else '**missed**'} |"


def _snap_start(before_ms: float, after_ms: float) -> Iterator[str]:
    cached_usd = USD_PER_CACHED_GB_SECOND * MEMORY_GB * MONTH_SECONDS
    restored_usd = USD_PER_RESTORED_GB * MEMORY_GB * 1000
    yield "\n## What SnapStart would change\n"
    yield (
        f"With the clients made before the snapshot, {before_ms:.0f} ms of the CPU above would be spent once for each "
        f"version instead of at each cold start; the {after_ms:.0f} ms of the first event stay, because connections do "
        "not outlive a snapshot.\nIn their place comes the restore, whose time AWS does not promise.\n"
        f"A snapshot of {MEMORY_GB} GB would cost {cached_usd:.2f} USD a month for each published version that is not "
        f"deleted, and {restored_usd:.2f} USD for 1,000 restores (us-east-1).\n"
        "SnapStart is there for Python 3.12 and later, for published versions and their aliases only, without "
        "provisioned concurrency, EFS, or more than 512 MB of ephemeral storage; hooks run before the snapshot and "
        "after the restore ([AWS](https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html)).\n"
        "The template leaves it off: JaaS waits for the answer and repeats what is not answered, so a start of under a "
        "second loses nothing, while a snapshot is paid for when no meeting takes place.\n"
    )


if __name__ == "__main__":
    main()
