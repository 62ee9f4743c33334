"""`make chaos`: random meetings while everything fails, the comparison, and a short report."""

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack

from rich.table import Table
from rich.text import Text

from local.chaos.comparison import Sort
from local.chaos.plan import Disturbance, make_plan
from local.chaos.run import ChaosError, Outcome, make_film, running_chaos
from local.cloud import CloudError
from local.terminal import Terminal

_DISTURBANCES = (Disturbance.KILL, Disturbance.REDEPLOY, Disturbance.RESTART, Disturbance.KILL)
_SHOWN = 40


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="the same seed is the same plan")
    parser.add_argument("--meetings", type=int, default=200)
    arguments = parser.parse_args()
    terminal = Terminal()
    try:
        outcome = _run(terminal, arguments.seed, arguments.meetings)
    except (ChaosError, CloudError) as error:
        terminal.console.print(Text(f"\nChaos failed: {error}\nSEED={arguments.seed}", style="bold red"))
        return 1
    _report(terminal, outcome)
    if outcome.differences:
        terminal.console.print(f"\n[bold red]The archive is not what JaaS sent. SEED={arguments.seed}[/]")
    return 1 if outcome.differences else 0


def _run(terminal: Terminal, seed: int, count: int) -> Outcome:
    with terminal.step(f"the plan of seed {seed}") as step:
        plan = make_plan(seed, count, film=make_film(), now_ms=int(time.time() * 1000), disturbances=_DISTURBANCES)
        events, files, lines = (
            sum(len(some) for some in every)
            for every in zip(*((one.events, one.files, one.lines) for one in plan.meetings), strict=True)
        )
        step.update(f"{count} meetings: {events} events, {files} files, {lines} lines of chat and speech")
    with terminal.step("an embedded cloud, and the stack on it"), ExitStack() as exits:
        chaos = exits.enter_context(running_chaos(seed))
        closing = exits.pop_all()
    with closing, terminal.step("chaos") as step:
        return chaos.play(plan, drained=True, on_progress=step.update)


def _report(terminal: Terminal, outcome: Outcome) -> None:
    table = Table("what went wrong", "times")
    for sort, count in sorted(outcome.faults.items()):
        table.add_row(sort, str(count))
    terminal.console.print(table)
    for difference in outcome.differences[:_SHOWN]:
        terminal.console.print(Text(f"{difference.sort}: {difference.session_id} {difference.what}", style="red"))
    counts = Counter(difference.sort for difference in outcome.differences)
    figures = ", ".join(f"{sort} {counts[sort]}" for sort in Sort)
    terminal.console.print(
        f"\n{outcome.deliveries} deliveries, {outcome.faults.total()} faults in {terminal.seconds:.0f} s: {figures}"
    )


if __name__ == "__main__":
    sys.exit(main())
