"""The results as Markdown: what each tool took, how many times what we took, and the bars that we set ourselves."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import machine
from benchmarks.measured import Result
from benchmarks.peers import FLOOR, OURS

_MIB = 1 << 20
_SINGLE_STREAM = ("requests-upload_fileobj", "threadpool-upload_part", "smart_open", "rclone-copyurl", "curl-aws-s3-cp")
_HEAD = """# Copying a recording: ours and the peers'

{machine}.
Medians of {rounds} interleaved rounds, whole processes, TLS at both ends over loopback, every copy's CRC32 checked at the sink.
`limited`: the source gives a connection 30 MB/s; `slow-sink`: the sink takes 30 MB/s from one.
CPU and memory of a pipeline are those of its processes added up; × is a tool's figure divided by ours.
"""


@dataclass(frozen=True, slots=True)
class _Bar:
    """`measured(case)` must be `compared` to the limit."""

    text: str
    case: str
    measured: Callable[["_Case"], float]
    compared: Callable[[float, float], bool]
    limit: float


class _Case:
    """The results of one case by tool."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {result.tool: result for result in results}

    def __getitem__(self, tool: str) -> Result:
        return self._results[tool]

    def cpu_ratio(self, tool: str) -> float:
        return self[OURS].cpu_seconds / self[tool].cpu_seconds

    def speed_ratio(self, *tools: str) -> float:
        """How many times faster than the fastest of the tools."""
        return min(self[tool].wall_seconds for tool in tools) / self[OURS].wall_seconds

    def above_import(self) -> float:
        return self[OURS].rss_above_import_mib or float("nan")


_PEERS = (*_SINGLE_STREAM, "rclone-copyto")
_BARS = (
    _Bar("CPU ÷ requests-upload_fileobj", "", lambda case: case.cpu_ratio("requests-upload_fileobj"), operator.le, 0.60),
    _Bar("CPU ÷ rclone-copyurl", "", lambda case: case.cpu_ratio("rclone-copyurl"), operator.le, 0.80),
    _Bar("CPU ÷ c-relay (aim)", "", lambda case: case.cpu_ratio(FLOOR), operator.le, 1.25),
    _Bar("times faster than the fastest peer", "", lambda case: case.speed_ratio(*_PEERS), operator.gt, 1.0),
    _Bar("peak MiB above the import", "", _Case.above_import, operator.le, 64),
    _Bar("times faster than a single stream", "-limited", lambda case: case.speed_ratio(*_SINGLE_STREAM), operator.ge, 3.5),
    _Bar("times faster than rclone-copyto", "-limited", lambda case: case.speed_ratio("rclone-copyto"), operator.gt, 1.0),
    _Bar("peak MiB above the import", "-slow-sink", _Case.above_import, operator.le, 64),
    _Bar("CPU ÷ requests-upload_fileobj", "8MiB", lambda case: case.cpu_ratio("requests-upload_fileobj"), operator.le, 0.5),
)


def markdown(results: Sequence[Result], rounds: int) -> str:
    """The report; a bar whose tools were not measured is left out."""
    lines = [_HEAD.format(machine=machine.description(), rounds=rounds)]
    for case in dict.fromkeys(result.case for result in results):
        lines += [f"## {case}", "", *_table([result for result in results if result.case == case]), ""]
    bars = list(_bars(results))
    if bars:
        lines += ["## Bars", "", "| case | measure | bar | ours | |", "|---|---|---|---|---|", *bars, ""]
    return "\n".join(lines)


def _table(results: Sequence[Result]) -> Iterator[str]:
    small = results[0].size_bytes < 64 * _MIB
    ours = next((result for result in results if result.tool == OURS), None)
    yield f"| tool | wall | × | CPU {'in all' if small else 'per GiB'} | × | peak RSS MiB | above import |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        wall, cpu = (
            (f"{result.wall_seconds * 1000:.0f} ms", f"{result.cpu_seconds * 1000:.0f} ms")
            if small
            else (f"{result.wall_seconds:.2f} s", f"{result.cpu_seconds_per_gib:.2f} s")
        )
        wall_ratio = f"{result.wall_seconds / ours.wall_seconds:.2f}" if ours else ""
        cpu_ratio = f"{result.cpu_seconds / ours.cpu_seconds:.2f}" if ours else ""
        above = "" if result.rss_above_import_mib is None else f"{result.rss_above_import_mib:.1f}"
        yield f"| {result.tool} | {wall} | {wall_ratio} | {cpu} | {cpu_ratio} | {result.peak_rss_mib:.0f} | {above} |"


def _bars(results: Sequence[Result]) -> Iterator[str]:
    large = max(results, key=lambda result: result.size_bytes).case.split("-")[0]
    for bar in _BARS:
        name = bar.case if bar.case[:1].isdigit() else f"{large}{bar.case}"
        try:
            measured = bar.measured(_Case([result for result in results if result.case == name]))
        except KeyError:
            continue
        sign = {operator.le: "≤", operator.ge: "≥", operator.gt: ">"}[bar.compared]
        verdict = "met" if bar.compared(measured, bar.limit) else "**missed**"
        yield f"| {name} | {bar.text} | {sign} {bar.limit:g} | {measured:.2f} | {verdict} |"
