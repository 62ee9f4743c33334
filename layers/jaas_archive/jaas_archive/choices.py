"""Which of the files that events announce the archive takes: the admin's choice, and what is no file at all."""

from collections.abc import Iterable
from dataclasses import dataclass

from jaas_archive.errors import LinkRefusedError
from jaas_archive.events import Event
from jaas_archive.kinds import KIND_NAMES, OTHER, AnnouncedFile, announced_files
from jaas_archive.links import AllowedOrigins, parse_origins

ALL = "all"


def chosen_kinds(choice: Iterable[str]) -> frozenset[str]:
    """The names of the kinds that the stack parameter names."""
    names = frozenset(choice)
    return KIND_NAMES if ALL in names else names


@dataclass(frozen=True, slots=True)
class Choice:
    """The kinds of files to take, and the origins that make a link of an event that is not documented one to a file.

    Made where a file is first heard of, in the receiver and the enricher: what is not chosen exists for nobody further
    on. Nothing is looked up or connected to.
    """

    kinds: frozenset[str]
    origins: AllowedOrigins

    def files_of(self, event: Event) -> tuple[AnnouncedFile, ...]:
        """The files of the event that are to be archived."""
        return tuple(file for file in announced_files(event) if self._takes(file))

    def _takes(self, file: AnnouncedFile) -> bool:
        if file.kind.name not in self.kinds:
            return False
        if file.kind is not OTHER:
            # A link that may not be fetched is a loss that people should hear of.
            return True
        try:
            self.origins.check(file.link)
        except LinkRefusedError:
            return False
        return True


EVERYTHING = Choice(KIND_NAMES, parse_origins(()))
"""Every kind that 8x8 documents."""
