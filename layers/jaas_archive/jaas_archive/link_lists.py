"""A list of short-lived links, as JaaS gives it for screenshots: its shape is not published, so anything is taken.

Every link in it is one that may lead to a picture, but for those that lead to the next page or back.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from jaas_archive.events import Json, milliseconds, read_json

MAX_LINKS = 2_000
MAX_PAGES = 100
_LONGEST_AGO_MS = 48 * 3_600_000
_CLOCKS_DIFFER_MS = 300_000
_LINK = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
_NAVIGATION = frozenset({"next", "prev", "previous", "first", "last", "self"})
_NEXT = re.compile(r"next[_-]?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ListedLink:
    """A link of the list; `at_ms` is the time that stands beside it, if there is one that can be its."""

    link: str
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class ListPage:
    """One answer; `next_link` leads to the one after it, empty if this seems to be the last.

    `is_list` is False where it tells of something else, such as an error.
    """

    links: tuple[ListedLink, ...]
    next_link: str
    is_list: bool


def read_page(content: bytes, link: str, *, told_at_ms: int) -> ListPage:
    """Read an answer to `link`; `told_at_ms` is when JaaS told of the list, before which the pictures were taken."""
    try:
        document = read_json(content)
    except ValueError:
        found = _LINK.findall(content.decode("utf-8", "replace"))
        return ListPage(_unique(ListedLink(one, None) for one in found), "", is_list=bool(found))
    links, next_link = _unique(_links(document, None, told_at_ms)), _next_link(document, link)
    return ListPage(links, next_link, is_list=bool(links or next_link) or _may_hold_links(document))


def _may_hold_links(document: Json) -> bool:
    """Whether this is how a list looks that has none: there is a list in it, or nothing at all."""
    if isinstance(document, dict):
        return not document or any(_may_hold_links(value) for value in document.values() if value != {})
    return isinstance(document, list)


def _unique(links: Iterator[ListedLink]) -> tuple[ListedLink, ...]:
    return tuple({one.link: one for one in links}.values())


def _links(value: Json, at_ms: int | None, told_at_ms: int) -> Iterator[ListedLink]:
    """The links in a value; `at_ms` is the time that stands beside it."""
    match value:
        case str() if _LINK.fullmatch(value.strip()):
            yield ListedLink(value.strip(), at_ms)
        case list():
            for element in value:
                yield from _links(element, at_ms, told_at_ms)
        case dict():
            # Once for all: an object may hold any number of links.
            at_ms = _time_in(value, told_at_ms)
            for name, element in value.items():
                if name.lower() not in _NAVIGATION and not _NEXT.match(name):
                    yield from _links(element, at_ms, told_at_ms)


def _time_in(beside: dict[str, Json], told_at_ms: int) -> int | None:
    """The latest time beside a link at which it can have been taken: others say when the link dies."""
    times = (milliseconds(value) for value in beside.values())
    possible = range(told_at_ms - _LONGEST_AGO_MS, told_at_ms + _CLOCKS_DIFFER_MS)
    return max((at_ms for at_ms in times if at_ms is not None and at_ms in possible), default=None)


def _next_link(document: Json, link: str) -> str:
    """Where the next page is: a link, a path, or a token or number to ask with."""
    if not isinstance(document, dict):
        return ""
    for name, value in document.items():
        if name.lower() in ("_links", "links", "page", "paging", "pagination", "meta") and isinstance(value, dict):
            if found := _next_link(value, link):
                return found
        elif _NEXT.match(name):
            target = value.get("href", "") if isinstance(value, dict) else value
            if isinstance(target, str) and re.match(r"https?://|/|\?", target):
                return _joined(link, target)
            if isinstance(target, str | int) and not isinstance(target, bool) and target != "":
                argument = _NEXT.sub("", name, count=1)
                return _asking(link, argument[:1].lower() + argument[1:] or "next", str(target))
    number, pages = document.get("number"), document.get("totalPages")
    if isinstance(number, int) and isinstance(pages, int) and number + 1 < pages:
        return _asking(link, "page", str(number + 1))
    return ""


def _joined(link: str, target: str) -> str:
    try:
        return urljoin(link, target)
    except ValueError:
        # No URL: whoever asks for it is refused, and tells.
        return target


def _asking(link: str, argument: str, value: str) -> str:
    parts = urlsplit(link)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != argument]
    return urlunsplit(parts._replace(query=urlencode([*query, (argument, value)])))
