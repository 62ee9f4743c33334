"""Rounds over the tools, A B C A B C …, and the medians of what they took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median

from benchmarks import files
from benchmarks.measured import Result
from benchmarks.runs import Run, Tool, run
from benchmarks.servers import Servers


@dataclass(frozen=True, slots=True)
class Case:
    """A file of that size, with or without a limit for each connection to the source or the sink."""

    name: str
    size: int
    limited: bool = False
    slow_sink: bool = False


def warm_up(tools: Sequence[Tool], servers: Servers) -> None:
    """Run each once on a small file: what Python compiles and the system caches at first is nobody's cost."""
    for tool in tools:
        _run(tool, Case("warm-up", 100 << 10), servers)


def measure(case: Case, tools: Sequence[Tool], servers: Servers, rounds: int) -> list[Result]:
    """Interleaved, so that a slow minute of the machine falls on all."""
    runs: dict[str, list[Run]] = {tool.name: [] for tool in tools}
    for number, tool in product(range(1, rounds + 1), tools):
        done = _run(tool, case, servers)
        runs[tool.name].append(done)
        print(
            f"{case.name:16} {number}/{rounds} {tool.name:24}"
            f"{done.wall_seconds:8.2f} s {done.cpu_seconds:7.2f} s CPU {done.peak_rss_mib:7.1f} MiB",
            flush=True,
        )
    return [_result(case, name, done) for name, done in runs.items()]


def _run(tool: Tool, case: Case, servers: Servers) -> Run:
    key = f"{case.name}/{tool.name}/{time.monotonic_ns()}.mp4"
    return run(tool, files.file_of(case.size), servers, key, limited=case.limited, slow_sink=case.slow_sink)


def _result(case: Case, tool: str, runs: Sequence[Run]) -> Result:
    cpu_seconds = median(run.cpu_seconds for run in runs)
    rss_above = [run.peak_rss_mib - run.imported.rss_mib for run in runs if run.imported]
    cpu_above = [run.cpu_seconds - run.imported.cpu_seconds for run in runs if run.imported]
    return Result(
        case=case.name,
        tool=tool,
        wall_seconds=round(median(run.wall_seconds for run in runs), 4),
        cpu_seconds_per_gib=round(cpu_seconds / case.size * (1 << 30), 3),
        peak_rss_mib=round(median(run.peak_rss_mib for run in runs), 1),
        runs=len(runs),
        cpu_seconds=round(cpu_seconds, 4),
        rss_above_import_mib=round(median(rss_above), 1) if rss_above else None,
        cpu_above_import_seconds=round(median(cpu_above), 4) if cpu_above else None,
        size_bytes=case.size,
        parts=runs[0].parts,
        walls=[round(run.wall_seconds, 4) for run in runs],
        cpus=[round(run.cpu_seconds, 4) for run in runs],
    )
