"""What the auditor finds, in words for the person who gets the message."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from jaas_archive.names import iso_time

_SHOWN_PER_KIND = 20
_PART_BYTES = 400
"""Of a line: people name rooms and files as long as they like, and SNS takes 256 KiB in all."""
_SUBJECT_CHARACTERS = 100
"""SNS takes no longer subject."""


class FindingKind(StrEnum):
    """Kinds of findings, the most urgent first; the names are metrics as well."""

    LOST = "lost"
    AT_RISK = "at_risk"
    OBJECT_MISSING = "object_missing"
    OBJECT_CHANGED = "object_changed"
    FILE_UNKNOWN = "file_unknown"
    RECORDING_MISSING = "recording_missing"
    PENDING_TOO_LONG = "pending_too_long"
    SILENCE = "silence"

    @property
    def metric(self) -> str:
        """The CloudWatch metric that counts new findings of this kind."""
        return f"Found{''.join(word.capitalize() for word in self.split('_'))}"


@dataclass(frozen=True, slots=True)
class _Words:
    one: str
    many: str
    next_step: str


_WORDS = {
    FindingKind.LOST: _Words(
        "1 file was not archived and will not be tried again",
        "{} files were not archived and will not be tried again",
        "The reason stands beside the file. Mend it, then run: jaas-archive redrive. Where the link is dead, only 8x8 "
        "support can help, and only soon.",
    ),
    FindingKind.AT_RISK: _Words(
        "1 file will be lost in less than 6 hours",
        "{} files will be lost in less than 6 hours",
        "They are being tried ahead of all others. Look at the reason; if there is none, the downloader does not "
        "keep up: raise DownloaderConcurrency. Then watch: jaas-archive status.",
    ),
    FindingKind.OBJECT_MISSING: _Words(
        "1 archived file is no longer in the bucket",
        "{} archived files are no longer in the bucket",
        "Somebody or a lifecycle rule deleted it; jaas-archive show names it. In the S3 console, show versions and "
        "remove the delete marker.",
    ),
    FindingKind.OBJECT_CHANGED: _Words(
        "1 archived file has another size than when it was archived",
        "{} archived files have another size than when they were archived",
        "Somebody replaced it; jaas-archive show names it. In the S3 console, show versions and restore the first one.",
    ),
    FindingKind.FILE_UNKNOWN: _Words(
        "1 event names a file that the archive knows nothing of",
        "{} events name files that the archive knows nothing of",
        "The file's entry in the table is gone. Look for the event in the dead-letter queues: jaas-archive status.",
    ),
    FindingKind.RECORDING_MISSING: _Words(
        "1 recording was started, and JaaS has not sent it an hour after the meeting",
        "{} recordings were started, and JaaS has not sent them an hour after the meeting",
        "If nobody shared sound or picture there is nothing to send. Otherwise ask 8x8 support with the session id, "
        "today: JaaS deletes recordings after 24 hours.",
    ),
    FindingKind.PENDING_TOO_LONG: _Words(
        "1 file has been waiting unusually long",
        "{} files have been waiting unusually long",
        "There is still time and it is being tried again. Look at the reason: jaas-archive status.",
    ),
    FindingKind.SILENCE: _Words(
        "JaaS has sent nothing for an unusually long time",
        "JaaS has sent nothing for an unusually long time",
        "If there were meetings, look at the webhook in the JaaS console and run: jaas-archive doctor.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `subject` tells it apart from others of its kind in the session."""

    kind: FindingKind
    session_id: str
    subject: str
    room: str = ""
    reason: str = ""
    deadline_ms: int | None = None

    @property
    def sort_key(self) -> str:
        """Where it is noted in the session."""
        return f"FINDING#{self.kind}#{self.subject}"

    @property
    def next_step(self) -> str:
        """What a person should do."""
        return _WORDS[self.kind].next_step

    @property
    def line(self) -> str:
        """One line of a message."""
        parts = [
            f"room {self.room}" if self.room else "",
            f"session {self.session_id}",
            self.subject,
            f"link dies {iso_time(self.deadline_ms)}" if self.deadline_ms else "",
            self.reason,
        ]
        line = ", ".join(map(_cut, filter(None, parts))) if self.kind is not FindingKind.SILENCE else self.reason
        # Whoever names a room must not write paragraphs of this message.
        return " ".join(line.split())


def message_about(findings: Sequence[Finding], *, stack: str) -> tuple[str, str]:
    """Subject and text of the one message about new findings."""
    kinds = [kind for kind in FindingKind if any(finding.kind is kind for finding in findings)]
    paragraphs = []
    for kind in kinds:
        lines = [finding.line for finding in findings if finding.kind is kind]
        more = len(lines) - _SHOWN_PER_KIND
        paragraphs.append(
            "\n".join(
                [
                    f"{_headline(kind, len(lines))}.",
                    *(f"- {line}" for line in lines[:_SHOWN_PER_KIND]),
                    *([f"- and {more} more: jaas-archive status"] if more > 0 else []),
                    f"What to do: {_WORDS[kind].next_step}",
                ]
            )
        )
    headlines = "; ".join(_headline(kind, sum(finding.kind is kind for finding in findings)) for kind in kinds)
    subject = f"{stack}: {headlines}"
    if len(subject) > _SUBJECT_CHARACTERS:
        subject = subject[: _SUBJECT_CHARACTERS - 3] + "..."
    return subject, "\n\n".join(paragraphs) + f"\n\nYou hear of each of these once. Stack: {stack}"


def _cut(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= _PART_BYTES else encoded[:_PART_BYTES].decode(errors="ignore") + "..."


def _headline(kind: FindingKind, count: int) -> str:
    words = _WORDS[kind]
    return words.one if count == 1 else words.many.format(count)
