"""What the command prints: tables for people, JSON for programs."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_HOUR, _MINUTE = 3600, 60
_KILO = 1000
_MOVING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, or turns its text round. Names come from outside."""


def print_json(value: Any) -> None:
    """A dataclass, or several, as JSON."""
    print(as_text(value))  # noqa: T201


def as_text(value: Any) -> str:
    """A dataclass, or several, as the text of a JSON document."""
    # Characters beyond ASCII stay: names of rooms are meant to be read.
    text = json.dumps(_plain(value), ensure_ascii=False, indent=2)
    return _MOVING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that keeps every word: it grows with its contents when nobody watches."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_printable(str(cell))) for cell in row))
    console().print(table)


def say(text: str) -> None:
    """A line of text."""
    console().print(escape(_printable(text)), highlight=False, soft_wrap=True)


def size_text(count: int | None) -> str:
    """Bytes in the largest unit that leaves a whole one, `1.4 MB`; blank if not known."""
    if count is None:
        return ""
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= _KILO and units[1:]:
        size, units = size / _KILO, units[1:]
    return f"{count} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


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


def _printable(text: str) -> str:
    return _MOVING.sub("?", text)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value
