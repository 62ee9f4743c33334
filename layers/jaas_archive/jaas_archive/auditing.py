"""The auditor's use case: compare what was announced with what is kept, and set in motion again what is stuck."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import batched

from aws_lambda_powertools import Logger

from jaas_archive.announcements import Announcements
from jaas_archive.archive import Archive, is_let_go
from jaas_archive.backlog import Backlog, DueSession, JournaledEvent, KnownFile, OpenFile
from jaas_archive.errors import ArchiveError, NeverError
from jaas_archive.files import FileStatus
from jaas_archive.findings import Finding, FindingKind, message_about
from jaas_archive.meetings import Meetings
from jaas_archive.messages import FileChangedMessage, encode
from jaas_archive.names import iso_time
from jaas_archive.publishing import Topic
from jaas_archive.queues import Queue, fit
from jaas_archive.table import ConditionError

_HOUR_MS = 3_600_000
RISK_MS = 6 * _HOUR_MS
"""A file with less time left is at risk: people are told, and it goes ahead of all others."""
SILENT_MS = 80 * 60_000
"""Longer than the longest pause between two tries and the visibility timeout together: the file's message is lost."""
_GRACE_MS = 24 * _HOUR_MS
"""The downloader tries a link that is not known to be dead for so long after its deadline."""
_ANNOUNCEMENT_MS = 6 * 24 * _HOUR_MS
"""Announcements are kept for five days."""
_FAILED_MS = 16 * 24 * _HOUR_MS
"""Failed files are looked at for so long after their deadline: a message may wait two weeks before it is given up."""
_HEAD_START_SECONDS = 2
"""Until the enricher hears of a file that was given up, it has been."""
_AFTER_MEETING_MS = _HOUR_MS
_LONGEST_MEETING_MS = 7 * _HOUR_MS
"""JaaS ends a recording after six hours: when so long after the last event no end was heard of, there was one."""
_EARLY_START_MS = 2 * 60_000
"""A recording may say that it started a little before the event which says so."""
_WORKERS = 8
_FINDINGS_AT_ONCE = 100

logger = Logger(child=True)


@dataclass(slots=True)
class Audit:
    """What one run saw and did."""

    open_files: int = 0
    at_risk: int = 0
    requeued: int = 0
    sessions: int = 0
    heard_ago_ms: int | None = None
    silent: bool = False
    findings: list[Finding] = field(default_factory=list)
    complete: bool = True

    @property
    def found(self) -> Counter[FindingKind]:
        """How many new findings there are of each kind."""
        return Counter(finding.kind for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Auditor:
    """Looks after everything that is not safe yet.

    `has_time` says whether to begin with another file, finding or session; the rest is left to the next run.
    """

    archive: Archive
    meetings: Meetings
    backlog: Backlog
    announcements: Announcements
    download_queue: Queue
    urgent_queue: Queue
    meeting_queue: Queue
    topic: Topic
    stack: str
    file_kinds: frozenset[str]
    pending_ms: int
    silence_ms: int
    retention_days: int
    clock: Callable[[], float] = time.time

    def run(self, *, has_time: Callable[[], bool]) -> Audit:
        """Look at everything once, and tell people what is new."""
        audit = Audit()
        now_ms = int(self.clock() * 1000)
        self._look_at_files(audit, now_ms, has_time)
        self._look_at_failures(audit, now_ms, has_time)
        # Before the sessions are looked at, since those leave the list by which is known when something was heard.
        self._listen(audit, now_ms)
        self._look_at_sessions(audit, now_ms, has_time)
        self._tell(audit, now_ms)
        return audit

    def _look_at_files(self, audit: Audit, now_ms: int, has_time: Callable[[], bool]) -> None:
        listed = sorted(self.backlog.open_files(), key=lambda file: file.deadline_ms)
        given_up = {file for file in listed if _is_beyond_help(file, now_ms) and has_time() and self._give_up(file)}
        files = [file for file in listed if file not in given_up]
        audit.open_files = len(files)
        audit.at_risk = sum(_at_risk(file, now_ms) for file in files)
        # Before anything is written down: in a long outage that is most of the work, and this is what saves files.
        self._move(audit, files, now_ms, has_time)
        late = [file for file in files if _at_risk(file, now_ms) or now_ms - file.announced_at_ms > self.pending_ms]
        findings = (
            _about(FindingKind.AT_RISK if _at_risk(file, now_ms) else FindingKind.PENDING_TOO_LONG, file)
            for file in late
        )
        self._note(audit, now_ms, findings, has_time)

    def _move(self, audit: Audit, files: Sequence[OpenFile], now_ms: int, has_time: Callable[[], bool]) -> None:
        """Queue again what is at risk, once and ahead of all others, and what nobody has moved for too long."""
        idle = [file for file in files if file.lease_until_ms <= now_ms and file.announcement]
        silent = {file for file in idle if _is_silent(file, now_ms)}
        urgent = [file for file in idle if _at_risk(file, now_ms) and (not file.urgent or file in silent)]
        calm = [file for file in idle if file in silent and not _at_risk(file, now_ms)]
        # Each file has a message: as long as at least so many wait, none need be lost, only waiting for their turn.
        if calm and self.download_queue.waiting() >= len(calm):
            calm = []
        moves = [(file, self.urgent_queue) for file in urgent] + [(file, self.download_queue) for file in calm]

        def move(file: OpenFile, queue: Queue) -> bool | None:
            return has_time() and self._queue_again(file, queue, now_ms)

        with ThreadPoolExecutor(_WORKERS) as pool:
            moved = list(pool.map(move, *zip(*moves, strict=True))) if moves else []
        audit.requeued = moved.count(True)
        audit.complete &= False not in moved

    def _queue_again(self, file: OpenFile, queue: Queue, now_ms: int) -> bool | None:
        """Make the file's message again; False if the next run has to try, None if that would not help."""
        urgent = queue is self.urgent_queue
        try:
            queue.send(fit(self.announcements.find(file.announcement), self.announcements.claims))
            self.backlog.note_queued(file, now_ms=now_ms, urgent=urgent)
        except ArchiveError as error:
            logger.warning("file not queued again", session_id=file.session_id, file=file.sort_key, reason=str(error))
            return None if isinstance(error, NeverError) else False
        logger.info("file queued again", session_id=file.session_id, file=file.sort_key, urgent=urgent)
        return True

    def _give_up(self, file: OpenFile) -> bool:
        """End a file that nobody will ever try again; False if the next run has to."""
        news = encode(FileChangedMessage(file.session_id, file.sort_key))
        reason = f"no message about it is left; the last try: {file.reason or 'none'}"
        try:
            # Told first: whoever dies in between leaves it to the next run.
            self.meeting_queue.send(news, delay_seconds=_HEAD_START_SECONDS)
            self.meetings.files.give_up(file.session_id, file.sort_key, FileStatus.EXPIRED, reason=reason)
        except ConditionError:
            return True  # archived at this moment
        except ArchiveError as error:
            logger.warning("file not given up", session_id=file.session_id, file=file.sort_key, reason=str(error))
            return False
        return True

    def _look_at_failures(self, audit: Audit, now_ms: int, has_time: Callable[[], bool]) -> None:
        files = self.backlog.failed_files(deadline_after_ms=now_ms - _FAILED_MS)
        self._note(audit, now_ms, (_about(FindingKind.LOST, file) for file in files), has_time)

    def _listen(self, audit: Audit, now_ms: int) -> None:
        state = self.backlog.state()
        heard_at_ms = max(state.get("heard_at", 0), self.backlog.last_heard_at_ms())
        if not heard_at_ms:
            return
        self.backlog.remember({"heard_at": heard_at_ms})
        audit.heard_ago_ms = max(0, now_ms - heard_at_ms)
        audit.silent = 0 < self.silence_ms < audit.heard_ago_ms
        if audit.silent:
            hours = audit.heard_ago_ms // _HOUR_MS
            # Named for the last news: the next silence is another finding.
            finding = Finding(FindingKind.SILENCE, "", str(heard_at_ms), reason=f"nothing was heard for {hours} hours")
            audit.findings += self._write_down([finding], now_ms)

    def _look_at_sessions(self, audit: Audit, now_ms: int, has_time: Callable[[], bool]) -> None:
        def look(session: DueSession) -> list[Finding] | None:
            if not has_time():
                return None
            try:
                return self._look_at_session(session, now_ms)
            except ArchiveError as error:
                logger.warning("session not audited", session_id=session.session_id, reason=str(error))
                return None

        with ThreadPoolExecutor(_WORKERS) as pool:
            for findings in pool.map(look, self.backlog.due_sessions(now_ms=now_ms)):
                if findings is None:
                    audit.complete = False
                    continue
                audit.sessions += 1
                audit.findings += findings

    def _look_at_session(self, session: DueSession, now_ms: int) -> list[Finding]:
        events, files = self.backlog.session_contents(session.session_id)
        ended_at_ms = _end_of(session, events)
        if now_ms < ended_at_ms + _AFTER_MEETING_MS:
            self.backlog.look_again(session, at_ms=ended_at_ms + _AFTER_MEETING_MS)
            return []
        missing = missing_recordings(events, files) if "recording" in self.file_kinds else ()
        findings = [
            replace(finding, session_id=session.session_id, room=session.room)
            for finding in (*unknown_files(events, files), *missing, *self._objects(files, now_ms))
        ]
        new = list(self._write_down(findings, now_ms))
        self.backlog.finish(session)
        return new

    def _objects(self, files: Iterable[KnownFile], now_ms: int) -> Iterator[Finding]:
        for file in files:
            if file.status is not FileStatus.ARCHIVED or is_let_go(
                file.archived_at_ms, now_ms, retention_days=self.retention_days
            ):
                continue
            stored = self.archive.find(file.key)
            # Not by its key, which may hold a person's name.
            if stored is None:
                yield Finding(FindingKind.OBJECT_MISSING, "", file.sort_key)
            elif stored.size != file.size:
                reason = f"{stored.size} bytes instead of {file.size}"
                yield Finding(FindingKind.OBJECT_CHANGED, "", file.sort_key, reason=reason)

    def _note(self, audit: Audit, now_ms: int, findings: Iterable[Finding], has_time: Callable[[], bool]) -> None:
        for some in batched(findings, _FINDINGS_AT_ONCE, strict=False):
            if not has_time():
                audit.complete = False
                return
            audit.findings += self._write_down(some, now_ms)

    def _write_down(self, findings: Iterable[Finding], now_ms: int) -> Iterator[Finding]:
        """Those that are new, completed."""
        for finding in self.backlog.not_noted(findings):
            if completed := self._write_one_down(finding, now_ms):
                yield completed

    def _write_one_down(self, finding: Finding, now_ms: int) -> Finding | None:
        if finding.session_id and not finding.room:
            session = self.meetings.sessions.get(finding.session_id)
            finding = replace(finding, room=session.room if session else "")
        if not self.backlog.note(finding, now_ms=now_ms):
            return None
        logger.warning(
            "finding",
            kind=finding.kind,
            session_id=finding.session_id,
            room=finding.room,
            subject=finding.subject,
            reason=finding.reason,
            next_step=finding.next_step,
        )
        return finding

    def _tell(self, audit: Audit, now_ms: int) -> None:
        """One message about what is new, and about what an earlier run did not get to say.

        Where nobody could be told, these are not the findings of this run but of the one that tells them.
        """
        try:
            # The index may not have the newest yet.
            untold = list(dict.fromkeys([*audit.findings, *self.backlog.untold()]))
            audit.findings = []
            if untold:
                self.topic.publish(*message_about(untold, stack=self.stack))
                audit.findings = untold
                with ThreadPoolExecutor(_WORKERS) as pool:
                    deque(pool.map(lambda finding: self.backlog.note_told(finding, now_ms=now_ms), untold), maxlen=0)
        except ArchiveError as error:
            logger.warning("people may not have been told", reason=str(error))
            audit.complete = False


def unknown_files(events: Iterable[JournaledEvent], files: Iterable[KnownFile]) -> Iterator[Finding]:
    """Files that events name and the table does not have."""
    known = {file.sort_key for file in files}
    for name in sorted({name for event in events for name in event.files} - known):
        yield Finding(FindingKind.FILE_UNKNOWN, "", name)


def missing_recordings(events: Iterable[JournaledEvent], files: Iterable[KnownFile]) -> Iterator[Finding]:
    """Recordings that were started and not uploaded: starts that no upload belongs to.

    Nothing but time tells which upload belongs to which start. Long recordings come in several uploads; each belongs to
    the last start before it.
    """
    starts = sorted({event.timestamp_ms for event in events if event.type == "RECORDING_STARTED"})
    uploads = [file for file in files if file.kind == "recording"]
    uploaded: set[int] = set()
    for upload in uploads:
        earlier = [
            start
            for start in starts
            if upload.starts_at_ms is not None and start <= upload.starts_at_ms + _EARLY_START_MS
        ]
        # One without a start of its own counts for the first that still lacks an upload.
        uploaded.add(earlier[-1] if earlier else next((start for start in starts if start not in uploaded), 0))
    for start in starts:
        if start not in uploaded:
            yield Finding(FindingKind.RECORDING_MISSING, "", f"recording started {iso_time(start)}")


def _end_of(session: DueSession, events: Iterable[JournaledEvent]) -> int:
    # Nothing was heard of before it happened, whatever the clock says that wrote it down.
    ends = [min(event.timestamp_ms, session.heard_at_ms) for event in events if event.type == "ROOM_DESTROYED"]
    return max(ends) if ends else min(session.last_seen_ms, session.heard_at_ms) + _LONGEST_MEETING_MS


def _is_silent(file: OpenFile, now_ms: int) -> bool:
    """Whether nobody has done anything about it for longer than its message can rest."""
    return now_ms - file.last_moved_at_ms > SILENT_MS


def _is_beyond_help(file: OpenFile, now_ms: int) -> bool:
    """Whether its message is lost and nothing is left to make it again from, after all tries that it could have had."""
    late_ms = now_ms - file.deadline_ms
    return _is_silent(file, now_ms) and late_ms > (_ANNOUNCEMENT_MS if file.announcement else _GRACE_MS)


def _at_risk(file: OpenFile, now_ms: int) -> bool:
    return file.deadline_ms - now_ms < RISK_MS


def _about(kind: FindingKind, file: OpenFile) -> Finding:
    return Finding(
        kind,
        file.session_id,
        file.sort_key,
        reason=file.reason,
        deadline_ms=None if kind is FindingKind.LOST else file.deadline_ms,
    )
