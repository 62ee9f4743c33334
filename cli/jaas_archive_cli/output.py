"""What the command prints: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_HOUR, _MINUTE = 3600, 60


def print_json(value: Any) -> None:
    """A dataclass, or several, as JSON."""
    print(as_text(value))  # noqa: T201


def as_text(value: Any) -> str:
    """A dataclass, or several, as the text of a JSON document."""
    # Characters beyond ASCII stay: names of rooms are meant to be read.
    return json.dumps(_plain(value), ensure_ascii=False, indent=2)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that keeps every word: it grows with its contents when nobody watches."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console().print(table)


def say(text: str) -> None:
    """A line of text."""
    console().print(escape(text), highlight=False, soft_wrap=True)


def console() -> Console:
    """Where people read; as wide as needed when it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=400)


def time_left(seconds: int | None) -> str:
    """`5 h 12 min`, or how long ago."""
    if seconds is None:
        return ""
    hours, minutes = abs(seconds) // _HOUR, abs(seconds) % _HOUR // _MINUTE
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return text if seconds > 0 else f"dead for {text}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value
