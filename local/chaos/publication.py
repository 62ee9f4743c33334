"""The links of a run: files, lists of screenshots, and what goes wrong with each of them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from local.chaos.faults import SourceFaults, source_faults
from local.chaos.meetings import Meeting, PictureList
from local.jaas.faults import Faults
from local.jaas.files import FileServer, Link
from local.jaas.meeting import seeded
from local.jaas.screen_sharing import Picture, publish_pages

_LISTED_BYTES = 200
"""As much of a list tells of one picture, or more."""

type Answers = Mapping[str, Mapping[str, bytes]]
"""All that a list ever said, by its object's name, and then by SHA-256."""


class Publication:
    """Serves what meetings leave behind, and remembers what lists said, since they never say the same again."""

    def __init__(self, server: FileServer, seed: str) -> None:
        self._server = server
        self._seed = seed
        self._armed: dict[str, tuple[SourceFaults, Faults]] = {}
        self._answers: defaultdict[str, dict[str, bytes]] = defaultdict(dict)

    @property
    def answers(self) -> Answers:
        return self._answers

    def publish(self, meeting: Meeting) -> dict[str, str]:
        """The links by object name."""
        urls = {
            file.object_name: self._server.publish(
                file.content, name=file.object_name, faults=self._faults(file.object_name, len(file.content))
            ).url
            for file in meeting.announced
        }
        for one in meeting.lists:
            for link_field, per_page in one.forms.items():
                name = one.form_name(link_field)
                urls[name] = self._publish_list(one, name, per_page).url
        return urls

    def met(self) -> Counter[str]:
        """The failures that have happened, by sort."""
        return Counter(sort for trouble, faults in list(self._armed.values()) for sort in trouble.met(faults))

    def _publish_list(self, one: PictureList, name: str, per_page: int) -> Link:
        pictures = [
            Picture(
                file.object_name,
                file.starts_at_ms,
                file.content,
                self._faults(file.object_name, len(file.content), listed=True),
            )
            for file in one.pictures
        ]
        pages = publish_pages(
            self._server, pictures, name=name, per_page=per_page, lifetime_seconds=one.lifetime_seconds
        )
        for page in pages:
            page.faults = self._faults(page.stored.name, _LISTED_BYTES, listed=True)
            if page.renew:
                page.renew = self._remembered(one.object_name, page.renew)
        return pages[0]

    def _remembered(self, list_name: str, render: Callable[[], bytes]) -> Callable[[], bytes]:
        def renew() -> bytes:
            content = render()
            self._answers[list_name][hashlib.sha256(content).hexdigest()] = content
            return content

        return renew

    def _faults(self, name: str, size: int, *, listed: bool = False) -> Faults:
        """What goes wrong with an object, whichever of its links is asked."""
        if name not in self._armed:
            trouble = source_faults(seeded(f"{self._seed} {name}"), size, listed=listed)
            self._armed[name] = trouble, trouble.armed()
        return self._armed[name][1]
