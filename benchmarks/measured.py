"""What was measured of a tool in a case, and where it is kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.machine import RESULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Medians of `runs` runs; the CPU and the memory of a pipeline are those of all its processes, added up.

    `…_above_import_…` is what came after the imports; only tools in Python say that.
    `walls` and `cpus` are the runs one by one.
    """

    case: str
    tool: str
    wall_seconds: float
    cpu_seconds_per_gib: float
    peak_rss_mib: float
    runs: int
    cpu_seconds: float
    rss_above_import_mib: float | None
    cpu_above_import_seconds: float | None
    size_bytes: int
    parts: int
    walls: list[float]
    cpus: list[float]


def write_results(name: str, results: Sequence[Result], text: str) -> None:
    """Keep the results as JSON, and what to read of them as Markdown."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text)


def read_results(name: str) -> list[Result]:
    """What was kept last, nothing if nothing was measured yet."""
    path = RESULTS / f"{name}.json"
    return [Result(**result) for result in json.loads(path.read_text())] if path.exists() else []
