"""Our copy against the peers': the same files, interleaved rounds, medians; writes results/copy.json and copy.md.

The environment narrows it down: CASES and TOOLS (names with commas or spaces between), ROUNDS, SIZE (such as `64MiB`,
in place of 1 GiB; the cases are named after it).
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import median

from benchmarks import files, machine, report
from benchmarks.peers import TOOLS
from benchmarks.measured import Result
from benchmarks.runs import Run, Tool, run
from benchmarks.servers import Servers, running_servers

_DEFAULT_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Case:
    """A file of that size, with or without a limit for each connection to the source or the sink."""

    name: str
    size: int
    limited: bool = False
    slow_sink: bool = False


def cases(size: int) -> tuple[Case, ...]:
    """All cases, with large files of that size."""
    name = files.size_text(size)
    return (
        Case(name, size),
        Case(f"{name}-limited", size, limited=True),
        Case(f"{name}-slow-sink", size, slow_sink=True),
        Case("8MiB", 8 << 20),
        Case("100KiB", 100 << 10),
    )


def main() -> None:
    wanted = cases(files.parse_size(os.environ.get("SIZE", "1GiB")))
    wanted = tuple(case for case in wanted if case.name in _names("CASES", [case.name for case in wanted]))
    tools = tuple(tool for tool in TOOLS if tool.name in _names("TOOLS", [tool.name for tool in TOOLS]))
    rounds = int(os.environ.get("ROUNDS", _DEFAULT_ROUNDS))
    machine.install_packages()
    results: list[Result] = []
    with running_servers(machine.certificates()) as servers:
        # Each once on a small file: what Python compiles and the system caches at first is nobody's cost.
        small = cases(1 << 30)[-1]
        for tool in tools:
            _run(tool, small, servers, "warm")
        for case in wanted:
            results += _measure(case, tools, servers, rounds)
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "copy.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    (machine.RESULTS / "copy.md").write_text(report.markdown(results, rounds))
    print((machine.RESULTS / "copy.md").read_text())


def _names(variable: str, default: Sequence[str]) -> Sequence[str]:
    names = os.environ.get(variable, "").replace(",", " ").split() or default
    if unknown := set(names) - set(default):
        sys.exit(f"{variable} knows {', '.join(default)}, not {', '.join(sorted(unknown))}")
    return names


def _measure(case: Case, tools: Sequence[Tool], servers: Servers, rounds: int) -> list[Result]:
    """Interleaved, so that a slow minute of the machine falls on all."""
    runs: Mapping[str, list[Run]] = {tool.name: [] for tool in tools}
    for number, tool in product(range(1, rounds + 1), tools):
        done = _run(tool, case, servers, str(number))
        runs[tool.name].append(done)
        print(
            f"{case.name:16} {number}/{rounds} {tool.name:24}"
            f"{done.wall_seconds:8.2f} s {done.cpu_seconds:7.2f} s CPU {done.peak_rss_mib:7.1f} MiB",
            flush=True,
        )
    return [_result(case, name, done) for name, done in runs.items()]


def _run(tool: Tool, case: Case, servers: Servers, number: str) -> Run:
    key = f"{case.name}/{tool.name}/{number}-{time.monotonic_ns()}.mp4"
    return run(tool, files.file_of(case.size), servers, key, limited=case.limited, slow_sink=case.slow_sink)


def _result(case: Case, tool: str, runs: Sequence[Run]) -> Result:
    cpu_seconds = median(run.cpu_seconds for run in runs)
    above = [run.peak_rss_mib - run.imported_rss_mib for run in runs if run.imported_rss_mib is not None]
    return Result(
        case=case.name,
        tool=tool,
        wall_seconds=round(median(run.wall_seconds for run in runs), 4),
        cpu_seconds_per_gib=round(cpu_seconds / case.size * (1 << 30), 3),
        peak_rss_mib=round(median(run.peak_rss_mib for run in runs), 1),
        runs=len(runs),
        cpu_seconds=round(cpu_seconds, 4),
        rss_above_import_mib=round(median(above), 1) if above else None,
        size_bytes=case.size,
        walls=[round(run.wall_seconds, 4) for run in runs],
        cpus=[round(run.cpu_seconds, 4) for run in runs],
    )


if __name__ == "__main__":
    main()
