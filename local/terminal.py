"""What the demo prints: steps with their times, live on a terminal and line by line in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.status import Status

_LOG_WIDTH = 120


@dataclass(slots=True)
class Step:
    """A step under way; `detail` is what its line ends with."""

    title: str
    status: Status
    detail: str = ""

    def update(self, detail: str) -> None:
        """Say how far it is."""
        self.detail = detail
        self.status.update(f"{escape(self.title)} [dim]{escape(detail)}[/]")


@dataclass(slots=True)
class Terminal:
    """Prints to a console that is as wide as a terminal, also where there is none."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    started_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if not self.console.is_terminal:
            self.console.width = _LOG_WIDTH

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step: a spinner while it runs, a line with its time when it is done."""
        started_at = time.monotonic()
        status = self.console.status(escape(title))
        step = Step(title, status)
        try:
            with status:
                yield step
        except BaseException:
            self.console.print(f"[red]✗[/] {escape(title)} [dim]{escape(step.detail)}[/]")
            raise
        seconds = f"{time.monotonic() - started_at:5.1f} s"
        self.console.print(f"[green]✓[/] [dim]{seconds}[/]  {escape(title)} [dim]{escape(step.detail)}[/]")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started_at
