"""The results as Markdown: what each tool took, how many times what we took, and the bars that we set ourselves."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measured import Result
from benchmarks.peers import FLOOR, OURS
from benchmarks.servers import LIMITED_BYTES_PER_SECOND
from jaas_archive.copying import WORKERS

_MIB = 1 << 20
_LARGE_BYTES = 64 * _MIB
_COPYURL = ("rclone-copyurl", "rclone-latest-copyurl")
_COPYTO = ("rclone-copyto", "rclone-latest-copyto")
_SINGLE_STREAM = ("requests-upload_fileobj", "threadpool-upload_part", "smart_open", *_COPYURL, "curl-aws-s3-cp")
_PEERS = (*_SINGLE_STREAM, *_COPYTO)
_HEAD = """# Copying a recording: ours and the peers'

{machine}.
Medians of at least {rounds} interleaved rounds a case, whole processes, TLS at both ends over loopback.
Every copy's length and CRC32 were checked at the sink.
`limited`: the source gives a connection 30 MB/s; `slow-sink`: the sink takes 30 MB/s from one.
rclone is Debian's, and the latest one from PyPI, which copies an HTTP source in several streams (`copyto`).
*After import* is what came when a tool in Python had imported all it needs: CPU in all, and memory at most.
CPU and memory of a pipeline are those of its processes added up; *to ours* is a tool's figure divided by ours.
"""


@dataclass(frozen=True, slots=True)
class _Bar:
    text: str
    case: str
    measured: Callable[["_Case"], float]
    sign: str
    limit: float


class _Case:
    """The results of one case by tool."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {result.tool: result for result in results}

    def __getitem__(self, tool: str) -> Result:
        return self._results[tool]

    def cpu_ratio(self, *tools: str) -> float:
        """Our CPU divided by that of the cheapest of the tools."""
        return self[OURS].cpu_seconds / min(self[tool].cpu_seconds for tool in tools)

    def speed_ratio(self, *tools: str) -> float:
        """How many times faster than the fastest of the tools."""
        return min(self[tool].wall_seconds for tool in tools) / self[OURS].wall_seconds

    def share_of_limit(self) -> float:
        """The bytes a second that we reached, of those that the source gives all our connections together."""
        ours = self[OURS]
        return ours.size_bytes / ours.wall_seconds / (WORKERS * LIMITED_BYTES_PER_SECOND)

    def above_import(self) -> float:
        return self[OURS].rss_above_import_mib or float("nan")


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {"≤": operator.le, "≥": operator.ge, ">": operator.gt}
_UPLOAD_FILEOBJ = "requests-upload_fileobj"
_BARS = (
    _Bar("CPU ÷ requests-upload_fileobj", "", lambda case: case.cpu_ratio(_UPLOAD_FILEOBJ), "≤", 0.60),
    _Bar("CPU ÷ rclone-copyurl", "", lambda case: case.cpu_ratio(*_COPYURL), "≤", 0.80),
    _Bar("CPU ÷ c-relay (aim)", "", lambda case: case.cpu_ratio(FLOOR), "≤", 1.25),
    _Bar("times faster than every peer", "", lambda case: case.speed_ratio(*_PEERS), ">", 1.0),
    _Bar("peak MiB above the import", "", _Case.above_import, "≤", 64),
    _Bar("times faster than one stream", "-limited", lambda case: case.speed_ratio(*_SINGLE_STREAM), "≥", 3.5),
    _Bar("times faster than rclone-copyto", "-limited", lambda case: case.speed_ratio(*_COPYTO), ">", 1.0),
    _Bar("share of what all workers could get (aim)", "-limited", _Case.share_of_limit, "≥", 0.90),
    _Bar("peak MiB above the import", "-slow-sink", _Case.above_import, "≤", 64),
    _Bar("CPU ÷ requests-upload_fileobj", "8MiB", lambda case: case.cpu_ratio(_UPLOAD_FILEOBJ), "≤", 0.5),
)


def markdown(results: Sequence[Result], *, machine: str) -> str:
    """The report; a bar whose tools were not measured is left out."""
    lines = [_HEAD.format(machine=machine, rounds=min(result.runs for result in results))]
    for case in dict.fromkeys(result.case for result in results):
        lines += [f"## {case}", "", *_table([result for result in results if result.case == case]), ""]
    bars = list(_bars(results))
    if bars:
        lines += ["## Bars", "", "| case | measure | bar | ours | |", "|---|---|---|---|---|", *bars, ""]
    return "\n".join(lines)


def _table(results: Sequence[Result]) -> Iterator[str]:
    small = results[0].size_bytes < _LARGE_BYTES
    ours = next((result for result in results if result.tool == OURS), None)
    heads = ("tool", "wall", "to ours", f"CPU {'in all' if small else 'per GiB'}", "to ours", "after import")
    yield _row(*heads, "peak RSS MiB", "after import")
    yield _row(*["---"] * 8)
    for result in results:
        yield _row(
            result.tool,
            _seconds(result.wall_seconds),
            f"{result.wall_seconds / ours.wall_seconds:.2f}" if ours else "",
            _seconds(result.cpu_seconds if small else result.cpu_seconds_per_gib),
            f"{result.cpu_seconds / ours.cpu_seconds:.2f}" if ours else "",
            "" if result.cpu_above_import_seconds is None else _seconds(result.cpu_above_import_seconds),
            f"{result.peak_rss_mib:.0f}",
            "" if result.rss_above_import_mib is None else f"{result.rss_above_import_mib:.0f}",
        )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _bars(results: Sequence[Result]) -> Iterator[str]:
    large = {result.case.split("-")[0] for result in results if result.size_bytes >= _LARGE_BYTES}
    for bar in _BARS:
        names = [bar.case] if bar.case[:1].isdigit() else [f"{name}{bar.case}" for name in large]
        for name in names:
            try:
                measured = bar.measured(_Case([result for result in results if result.case == name]))
            except KeyError:
                continue
            verdict = "met" if _COMPARISONS[bar.sign](measured, bar.limit) else "**missed**"
            yield f"| {name} | {bar.text} | {bar.sign} {bar.limit:g} | {measured:.2f} | {verdict} |"
