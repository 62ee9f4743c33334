"""Our copy against the peers': the same files, interleaved rounds, medians; writes results/copy.json and copy.md.

The environment narrows it down: CASES and TOOLS (names with commas or spaces between), ROUNDS, SIZE (such as `64MiB`,
in place of 1 GiB; the cases are named after it). What is known of the other cases stays.
"""

import os
import sys
from collections.abc import Sequence

from benchmarks import files, machine, report
from benchmarks.measured import Result, read_results, write_results
from benchmarks.peers import TOOLS
from benchmarks.rounds import Case, measure, warm_up
from benchmarks.servers import running_servers


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
    known = cases(files.parse_size(os.environ.get("SIZE", "1GiB")))
    case_names = _names("CASES", [case.name for case in known])
    tool_names = _names("TOOLS", [tool.name for tool in TOOLS])
    tools = [tool for tool in TOOLS if tool.name in tool_names]
    rounds = int(os.environ.get("ROUNDS", "5"))
    machine.install_packages()
    results: list[Result] = []
    with running_servers(machine.certificates()) as servers:
        warm_up(tools, servers)
        for case in known:
            if case.name in case_names:
                results += measure(case, tools, servers, rounds)
    results += [result for result in read_results("copy") if result.case not in case_names]
    order = [case.name for case in known]
    results.sort(key=lambda result: order.index(result.case) if result.case in order else len(order))
    text = report.markdown(results, machine=machine.description())
    write_results("copy", results, text)
    print(text)


def _names(variable: str, known: Sequence[str]) -> Sequence[str]:
    names = os.environ.get(variable, "").replace(",", " ").split() or known
    if unknown := set(names) - set(known):
        sys.exit(f"{variable} knows {', '.join(known)}, not {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
