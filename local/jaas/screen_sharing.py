"""The history of a shared screen: a list that gives each picture a new link, alive for moments, whenever it is asked.

8x8 does not publish the list's shape; this one is made up from what its documentation says about it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import batched

from local.jaas.faults import Faults
from local.jaas.files import FileServer, Link

_BUCKET = "vpaas-screenshots-example"


@dataclass(frozen=True, slots=True)
class Picture:
    """A screenshot, and when it was taken; its `faults` go on from one of its links to the next."""

    name: str
    taken_at_ms: int
    content: bytes
    faults: Faults = field(default_factory=Faults)


def publish_list(
    server: FileServer,
    pictures: Sequence[Picture],
    *,
    name: str,
    per_page: int = 100,
    lifetime_seconds: float = 60,
) -> Link:
    """The link to the list's first page; each page leads to the one after it."""
    return publish_pages(server, pictures, name=name, per_page=per_page, lifetime_seconds=lifetime_seconds)[0]


def publish_pages(
    server: FileServer, pictures: Sequence[Picture], *, name: str, per_page: int, lifetime_seconds: float
) -> list[Link]:
    """The links to all pages of a list."""
    pages = list(batched(pictures, per_page, strict=False)) or [()]
    links = [server.publish(b"", name=f"{name}/{number}.json", bucket=_BUCKET) for number in range(1, len(pages) + 1)]
    for link, page, next_url in zip(links, pages, [*(link.url for link in links[1:]), ""], strict=True):
        link.renew = _Page(server, page, next_url, lifetime_seconds).render
    return links


@dataclass(frozen=True, slots=True)
class _Page:
    server: FileServer
    pictures: Sequence[Picture]
    next_url: str
    lifetime_seconds: float

    def render(self) -> bytes:
        items = [
            {
                "fileName": picture.name,
                "timestamp": picture.taken_at_ms,
                "preAuthenticatedLink": self.server.publish(
                    picture.content,
                    name=picture.name,
                    bucket=_BUCKET,
                    lifetime_seconds=self.lifetime_seconds,
                    faults=picture.faults,
                ).url,
            }
            for picture in self.pictures
        ]
        return json.dumps({"items": items} | ({"next": self.next_url} if self.next_url else {})).encode()
