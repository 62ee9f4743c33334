"""What was measured of a tool in a case: medians, as results/copy.json has them."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Medians of `runs` runs; the CPU and the memory of a pipeline are those of all its processes, added up.

    `rss_above_import_mib` is the peak less what the process held when it had imported everything; only ours says that.
    """

    case: str
    tool: str
    wall_seconds: float
    cpu_seconds_per_gib: float
    peak_rss_mib: float
    runs: int
    cpu_seconds: float
    rss_above_import_mib: float | None
    size_bytes: int
    walls: list[float]
    cpus: list[float]


def read_results(path: Path) -> list[Result]:
    return [Result(**result) for result in json.loads(path.read_text())]
