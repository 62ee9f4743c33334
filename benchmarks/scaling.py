"""How time, CPU and memory of our copy grow with the size, beside the floor; writes results/scaling.{json,md,svg}.

The environment narrows it down: SIZES (such as `64MiB 1GiB`) and ROUNDS.
"""

import os
from collections.abc import Iterator, Sequence

from benchmarks import chart, files, machine
from benchmarks.measured import Result, write_results
from benchmarks.peers import FLOOR, OURS, TOOLS
from benchmarks.rounds import Case, measure, warm_up
from benchmarks.servers import running_servers

_SIZES = "64MiB 256MiB 1GiB 2GiB 4GiB 8GiB"
_KEPT_BYTES = 1 << 30


def main() -> None:
    sizes = [files.parse_size(size) for size in os.environ.get("SIZES", _SIZES).replace(",", " ").split()]
    rounds = int(os.environ.get("ROUNDS", "3"))
    machine.install_packages()
    tools = [tool for tool in TOOLS if tool.name in {OURS, FLOOR}]
    results: list[Result] = []
    with running_servers(machine.certificates()) as servers:
        warm_up(tools, servers)
        for size in sizes:
            results += measure(Case(files.size_text(size), size), tools, servers, rounds)
            if size > _KEPT_BYTES:
                files.file_of(size).path.unlink()
    text = "\n".join(_lines(results))
    write_results("scaling", results, text)
    (machine.RESULTS / "scaling.svg").write_text(_drawn(results))
    print(text)


def _lines(results: Sequence[Result]) -> Iterator[str]:
    yield "# How a copy grows with the size of the recording\n"
    yield f"{machine.description()}; medians of {results[0].runs}.\n"
    yield "![wall, CPU and peak memory over the size](scaling.svg)\n"
    yield (
        "Where a file is large enough, the start of Python and its imports no longer count: what is left is what the "
        f"copy takes, beside `{FLOOR}`, which does nothing else.\n"
    )
    yield f"| size | wall s | wall s/GiB | CPU s | CPU s/GiB | CPU to {FLOOR} | peak RSS MiB | above import |"
    yield "|---|---|---|---|---|---|---|---|"
    floors = {result.case: result for result in results if result.tool == FLOOR}
    for result in _ours(results):
        wall_seconds_per_gib = result.wall_seconds / result.size_bytes * (1 << 30)
        yield (
            f"| {result.case} | {result.wall_seconds:.2f} | {wall_seconds_per_gib:.2f} "
            f"| {result.cpu_seconds:.2f} | {result.cpu_seconds_per_gib:.2f} "
            f"| {result.cpu_seconds / floors[result.case].cpu_seconds:.2f} "
            f"| {result.peak_rss_mib:.1f} | {result.rss_above_import_mib} |"
        )
    yield ""


def _ours(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.tool == OURS]


def _drawn(results: Sequence[Result]) -> str:
    results = _ours(results)
    names = [result.case for result in results]
    sizes = [result.size_bytes for result in results]
    return chart.draw(
        [
            chart.Panel("wall, seconds", names, sizes, [result.wall_seconds for result in results]),
            chart.Panel("CPU, seconds", names, sizes, [result.cpu_seconds for result in results]),
            chart.Panel("peak RSS, MiB", names, sizes, [result.peak_rss_mib for result in results]),
        ]
    )


if __name__ == "__main__":
    main()
