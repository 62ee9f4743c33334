"""What limits the archive at which scale on AWS: the calculation behind docs/scale.md.

`python -m local.scale` prints the tables; `--write` puts them into the page.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/scale.md"
BEGIN, END = "<!-- tables: python -m local.scale --write -->", "<!-- end of tables -->"
SCALES = (1_000, 10_000, 100_000, 1_000_000)
_DAY_SECONDS = 86_400
_ENOUGH = 0.7
"""Nobody plans for more than this share of a quota."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A figure that the calculation starts from, and where it comes from."""

    text: str
    value: float
    unit: str
    source: str


EVENTS = Assumption("Events of a meeting", 40, "events", "10 people who join and leave, recording, chat, transcript")
FILES = Assumption("Files of a meeting", 3, "files", "recording, chat, transcript")
RECORDING_BYTES = Assumption("Recording", 500e6, "bytes", "an hour")
PEAK = Assumption("Busiest minute against the average", 10, "times", "meetings begin and end at the full hour")
RECEIVE_SECONDS = Assumption("One event in the receiver", 0.05, "s", "two sends to SQS, warm")
COPY_BYTES_PER_SECOND = Assumption("One copy", 60e6, "bytes/s", "a store gives 50 to 75 MB/s to one function")
SMALL_FILE_SECONDS = Assumption(
    "A small file, or the rest of a large one", 1, "s", "requests to table, queue and bucket"
)
NOTE_SECONDS = Assumption("One event in the journal", 0.03, "s", "an update and a transaction")
RENDER_SECONDS = Assumption("One record made anew", 0.15, "s", "a query, a few writes, two requests to S3")
RENDERS = Assumption("Records made anew for each event", 0.5, "times", "batches gather the bursts of a meeting")
EVENT_WRITES = Assumption("Write units for each event", 10, "units", "session, journal in a transaction, both indexes")
PART_BYTES = Assumption("Part of an upload", 16 * 2**20, "bytes", "the copy engine")
OUTAGE_HOURS = Assumption("Outage of JaaS's store to sit out", 20, "h", "what the deadline allows")
AUDITOR_FILES = Assumption(
    "Files that the auditor can hold and look at in a round", 200_000, "files", "1 KB each; 100 in a request of 50 ms"
)
ASSUMPTIONS = (
    EVENTS, FILES, RECORDING_BYTES, PEAK, RECEIVE_SECONDS, COPY_BYTES_PER_SECOND, SMALL_FILE_SECONDS, NOTE_SECONDS,
    RENDER_SECONDS, RENDERS, EVENT_WRITES, PART_BYTES, OUTAGE_HOURS, AUDITOR_FILES,
)  # fmt: skip


def events_per_second(meetings: int) -> float:
    """On average over the day."""
    return meetings * EVENTS.value / _DAY_SECONDS


def receivers(meetings: int) -> float:
    """Receivers at once in the busiest minute."""
    return events_per_second(meetings) * PEAK.value * RECEIVE_SECONDS.value


def downloaders(meetings: int) -> float:
    """Downloaders at once on average: files can wait for hours, so their peak does not matter."""
    busy = RECORDING_BYTES.value / COPY_BYTES_PER_SECOND.value + FILES.value * SMALL_FILE_SECONDS.value
    return meetings * busy / _DAY_SECONDS


def enrichers(meetings: int) -> float:
    """Enrichers at once on average; events can wait too."""
    return events_per_second(meetings) * (NOTE_SECONDS.value + RENDERS.value * RENDER_SECONDS.value)


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that AWS or the template limits; `use` is what so many meetings a day take of it."""

    name: str
    quota: float
    unit: str
    use: Callable[[int], float]
    answer: str

    @property
    def reached_at(self) -> int:
        """Meetings a day at which the quota is spent: every use grows in proportion."""
        return int(self.quota / self.use(1_000_000) * 1_000_000)


LIMITS = (
    Limit(
        "API Gateway, requests",
        10_000,
        "a second in the account",
        lambda meetings: events_per_second(meetings) * PEAK.value,
        "`WebhookRequestsPerSecond` (1,000; at most 5,000) keeps a flood off; JaaS repeats what gets 429",
    ),
    Limit(
        "`WebhookRequestsPerSecond` as it comes",
        1_000,
        "a second",
        lambda meetings: events_per_second(meetings) * PEAK.value,
        "raise the parameter",
    ),
    Limit(
        "Lambda, executions at once",
        1_000,
        "in the account",
        lambda meetings: receivers(meetings) + downloaders(meetings) + enrichers(meetings),
        "queues smooth all but the receiver, and their maximum concurrency leaves room for it; ask AWS for more",
    ),
    Limit(
        "`DownloaderConcurrency` as it comes",
        20,
        "at once",
        downloaders,
        "raise the parameter; files near their deadline have as many places again",
    ),
    Limit(
        "`EnricherConcurrency` as it comes",
        10,
        "at once",
        enrichers,
        "raise the parameter; records fall behind, files do not",
    ),
    Limit(
        "SQS, messages in flight",
        120_000,
        "in a queue",
        lambda meetings: meetings * FILES.value * OUTAGE_HOURS.value / 24,
        "a postponed copy counts as in flight; above it SQS hands out no more until some end, nothing is lost, and "
        "files near their deadline have a queue of their own",
    ),
    Limit(
        "DynamoDB, writes of the table",
        40_000,
        "units a second",
        lambda meetings: events_per_second(meetings) * PEAK.value * EVENT_WRITES.value,
        "on demand; SQS holds what is throttled; ask AWS for more",
    ),
    Limit(
        "DynamoDB, one partition: sessions of a day",
        1_000,
        "units a second",
        lambda meetings: meetings / _DAY_SECONDS * PEAK.value,
        "each session is listed under a day once",
    ),
    Limit(
        "DynamoDB, one partition: sessions to audit",
        1_000,
        "units a second",
        lambda meetings: events_per_second(meetings) * RENDERS.value * PEAK.value * 2 / 8,
        "eight partitions; enrichers are fewer than the peak needs, which smooths it",
    ),
    Limit(
        "S3, PUTs",
        3_500,
        "a second and prefix",
        lambda meetings: meetings
        * (RECORDING_BYTES.value / PART_BYTES.value + FILES.value + EVENTS.value * RENDERS.value)
        / _DAY_SECONDS,
        "each room is a prefix and S3 splits by load; shown as if all were one",
    ),
    Limit(
        "Secrets Manager, reads",
        10_000,
        "a second",
        lambda meetings: receivers(meetings) / 50,
        "each receiver reads once in 50 seconds, not for each event",
    ),
    Limit(
        "Auditor, sessions in one round",
        (600 - 60) * 8 / 0.06,
        "in 10 minutes with 8 readers, 60 ms each",
        lambda meetings: meetings / _DAY_SECONDS * 900 * PEAK.value / 3,
        "each session is looked at once; a round that runs out of time leaves the rest to the next",
    ),
    Limit(
        "Auditor, files that wait, in one round",
        AUDITOR_FILES.value,
        "in the memory and time of one",
        lambda meetings: meetings * FILES.value * OUTAGE_HOURS.value / 24,
        "queued again by deadline before anything else is written; what a round does not reach is left to the next; "
        "above it give AuditorFunction more `MemorySize`",
    ),
)  # fmt: skip


def tables() -> str:
    """Both tables as Markdown."""
    return f"{_assumptions()}\n\n{_limits()}\n\n{_parameters()}"


def _assumptions() -> str:
    return _table(
        ("assumption", "value", "because"),
        [(each.text, f"{_figure(each.value)} {each.unit}", each.source) for each in ASSUMPTIONS],
    )


def _limits() -> str:
    return _table(
        ("limit", "quota", *(f"{_figure(scale)} meetings a day" for scale in SCALES), "reached at", "what is done"),
        [
            (
                limit.name,
                f"{_figure(limit.quota)} {limit.unit}",
                *(_use(limit, scale) for scale in SCALES),
                f"{_figure(_rounded(limit.reached_at))} a day",
                limit.answer,
            )
            for limit in LIMITS
        ],
    )


def _parameters() -> str:
    """What to set; twice the average, so that a backlog drains."""
    return _table(
        (
            "meetings a day",
            "`WebhookRequestsPerSecond`",
            "`DownloaderConcurrency`",
            "`EnricherConcurrency`",
            "Lambda quota",
        ),
        [
            (
                _figure(scale),
                _figure(min(5_000, max(1_000, math.ceil(events_per_second(scale) * PEAK.value / _ENOUGH / 100) * 100))),
                _figure(max(20, math.ceil(2 * downloaders(scale)))),
                _figure(max(10, math.ceil(2 * enrichers(scale)))),
                _figure(
                    max(1_000, _rounded((receivers(scale) + 4 * downloaders(scale) + 2 * enrichers(scale)) / _ENOUGH))
                ),
            )
            for scale in SCALES
        ],
    )


def _use(limit: Limit, meetings: int) -> str:
    use = limit.use(meetings)
    text = _figure(use)
    return f"**{text}**" if use > limit.quota * _ENOUGH else text


def _rounded(value: float) -> int:
    """Two figures are all that such a calculation knows."""
    magnitude: int = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return int(value / magnitude) * magnitude


def _figure(value: float) -> str:
    if value >= 10 or value == int(value):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.2g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(prog="python -m local.scale")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    if not parser.parse_args().write:
        print(tables())
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
