"""The table made anew from the bucket alone: each session's journal is put back, and its record made from it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jaas_archive.archive import Archive, object_identity
from jaas_archive.enriching import Enricher
from jaas_archive.files import FileRecord, FileStatus
from jaas_archive.journal import JOURNAL_NAME, Journal, read_journal
from jaas_archive.meetings import Meetings


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A session that is in the table again; `found` counts files that lay in the bucket unknown to the journal."""

    session_id: str
    folder: str
    events: int
    files: int
    found: int


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Rebuilds sessions; what the table holds already is newer than any journal, and stays."""

    archive: Archive
    meetings: Meetings
    enricher: Enricher

    def journals(self, prefix: str = "") -> Iterator[str]:
        """The keys of all journals, or of those in folders that begin so."""
        return (key for key in self.archive.keys(prefix) if key.endswith(f"/{JOURNAL_NAME}"))

    def rebuild(self, key: str) -> Rebuilt:
        """Rebuild the session of one journal.

        Raises:
            ValueError: that is no journal.
        """
        journal = read_journal(self.archive.read(key))
        files = [self._as_found(journal, file) for file in journal.files]
        self.meetings.restore(journal.session, files, journal.events)
        self.enricher.update_record(journal.session.id)
        found = sum(one.status is not other.status for one, other in zip(files, journal.files, strict=True))
        return Rebuilt(journal.session.id, journal.session.folder, len(journal.events), len(files), found)

    def _as_found(self, journal: Journal, file: FileRecord) -> FileRecord:
        """The file, archived if its object came into the bucket after the journal was written."""
        if file.status is FileStatus.ARCHIVED:
            return file
        named = object_identity(journal.session.id, file.sort_key)
        for key in self.archive.keys(journal.session.folder + "/"):
            stored = self.archive.find(key)
            # What is kept aside was refused; the journal says so once it knows.
            if stored and "/aside/" not in key and stored.metadata.get("file") == named:
                return replace(
                    file,
                    status=FileStatus.ARCHIVED,
                    key=key,
                    size=stored.size,
                    checksum=stored.checksum,
                    content_type=stored.content_type,
                    source_etag=stored.metadata.get("source-etag", ""),
                    reason="",
                )
        return file
