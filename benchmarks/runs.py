"""One run of one tool: its whole process from start to end, and whether what arrived is the file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.files import SourceFile
from benchmarks.machine import ROOT, SCRATCH, compiled
from benchmarks.servers import Servers

BUCKET = "archive"
_LONGEST_SECONDS = 900

type Command = Sequence[str]


@dataclass(frozen=True, slots=True)
class Tool:
    """A way to copy a link to a key: the commands of a pipeline, most often one."""

    name: str
    pipeline: Callable[[str, str], Sequence[Command]]
    """From link and key."""


@dataclass(frozen=True, slots=True)
class Imported:
    """See benchmarks/tools/imported.py."""

    rss_mib: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """What it took: of a pipeline the CPU and the peak memory of all its processes, added up.

    `imported` is what the process had used when its imports were done; only tools in Python say that.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_rss_mib: float
    imported: Imported | None
    parts: int


def run(tool: Tool, file: SourceFile, servers: Servers, key: str, *, limited: bool, slow_sink: bool) -> Run:
    """Copy the file once.

    Raises:
        RuntimeError: the tool failed, or what arrived is not the file.
    """
    sink = servers.slow_sink if slow_sink else servers.sink
    with TemporaryDirectory(dir=SCRATCH) as folder:
        home = Path(folder)
        environment = _environment(sink.endpoint, servers, home)
        pipeline = tool.pipeline(servers.link(file, limited=limited), key)
        start = time.monotonic()
        codes = _run_pipeline(pipeline, environment, home)
        wall_seconds = time.monotonic() - start
        if any(codes):
            errors = "".join((home / f"{number}.err").read_text() for number in range(len(pipeline)))
            raise RuntimeError(f"{tool.name} failed with {codes}: {errors[-2000:]} {list(sink.reports.queue)}")
        arrived = sink.arrived()
        if (arrived.key, arrived.size, arrived.crc32) != (f"{BUCKET}/{key}", file.size, file.crc32):
            raise RuntimeError(f"{tool.name} did not copy {file}, but {arrived}")
        if arrived.open_uploads:
            raise RuntimeError(f"{tool.name} left {arrived.open_uploads} uploads open")
        reports = [json.loads((home / f"{number}.json").read_text()) for number in range(len(pipeline))]
        said = (home / "stdout").read_text()
    return Run(
        wall_seconds=wall_seconds,
        cpu_seconds=sum(report["cpu_seconds"] for report in reports),
        peak_rss_mib=sum(report["peak_rss_mib"] for report in reports),
        imported=Imported(**json.loads(said)) if said else None,
        parts=arrived.parts,
    )


def _run_pipeline(pipeline: Sequence[Command], environment: Mapping[str, str], home: Path) -> list[int]:
    measure = str(compiled("measure"))
    processes: list[subprocess.Popen[bytes]] = []
    with (home / "stdout").open("wb") as stdout:
        for number, command in enumerate(pipeline):
            is_last = number == len(pipeline) - 1
            with (home / f"{number}.err").open("wb") as stderr:
                process = subprocess.Popen(
                    [measure, home / f"{number}.json", *command],
                    stdin=processes[-1].stdout if processes else subprocess.DEVNULL,
                    stdout=stdout if is_last else subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    cwd=home,
                )
            if processes and (pipe := processes[-1].stdout):
                pipe.close()  # so that the writer hears of a reader that is gone
            processes.append(process)
    try:
        return [process.wait(_LONGEST_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()


def _environment(endpoint: str, servers: Servers, home: Path) -> dict[str, str]:
    """All that a tool is told, in the variables that each of them reads anyway."""
    authority = str(servers.authority)
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/jaas_archive'}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # the sink takes any
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_CA_BUNDLE": authority,
        "CURL_CA_BUNDLE": authority,
        "REQUESTS_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_HTTP_URL": servers.source,
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENV_AUTH": "true",
        "RCLONE_S3_ENDPOINT": endpoint,
        "RCLONE_S3_REGION": "us-east-1",
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }
