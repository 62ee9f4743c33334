"""A list of short-lived links as far as its source gives it: in one of several forms, each of one or more pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaas_archive.connections import Stop
from jaas_archive.copying import Copier
from jaas_archive.errors import LinkDeadError, LinkRefusedError, NotAFileError, SourceUnavailableError
from jaas_archive.formats import is_web_page
from jaas_archive.link_lists import MAX_LINKS, MAX_PAGES, ListedLink, read_page

_MAX_LIST_BYTES = 8 << 20
"""Of one page; and no page is asked for after so many."""
_MOST_EMPTY_PAGES = 10
"""In a row: some sources lead on from their last page for ever."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list tells, and what kept it, in any of its forms, from telling all.

    `whole` is whether the pages, which are of one form, are all there are.
    """

    pages: Sequence[bytes]
    links: Sequence[ListedLink]
    trouble: SourceUnavailableError | LinkRefusedError | None
    whole: bool


def read_listing(copier: Copier, forms: Sequence[str], *, told_at_ms: int, stop: Stop) -> Listing:
    """The list in the first of its forms that is whole; where none is, what all of them tell of.

    `forms` are the links to it; `told_at_ms` is when JaaS told of it.

    Raises:
        SourceUnavailableError: nothing of it came.
        LinkRefusedError: its links may not be fetched.
        HandOverError: the time is over.
    """
    read: list[Listing] = []
    for link in forms:
        read.append(_read_form(copier, link, told_at_ms, stop))
        if read[-1].links and not read[-1].trouble:
            break
    # One that tells of nothing does not stand for one that told of something and broke off.
    told = any(form.links for form in read)
    best = max(read, key=lambda form: (form.whole and bool(form.links) is told, len(form.links)))
    # Where another form is whole, only what may still come of this one is waited for.
    final = (LinkDeadError, LinkRefusedError, NotAFileError) if best.whole else ()
    troubles = [form.trouble for form in read if form.trouble and not isinstance(form.trouble, final)]
    trouble = min(troubles, key=lambda error: isinstance(error, LinkRefusedError), default=None)
    if trouble and not best.pages:
        raise trouble
    links = {one.link: one for form in (best, *read) for one in form.links}
    return Listing(best.pages, tuple(links.values()), trouble, best.whole)


def _read_form(copier: Copier, link: str, told_at_ms: int, stop: Stop) -> Listing:
    """One form of the list, as far as it goes."""
    pages: list[bytes] = []
    links: dict[str, ListedLink] = {}
    asked, empty = {link, ""}, 0
    trouble: SourceUnavailableError | LinkRefusedError | None = None
    try:
        while link and len(pages) < MAX_PAGES and len(links) <= MAX_LINKS and sum(map(len, pages)) < _MAX_LIST_BYTES:
            content = copier.read(link, max_bytes=_MAX_LIST_BYTES, stop=stop)
            if is_web_page(content):
                raise NotAFileError("the source sent a web page instead of the list")
            page = read_page(content, link, told_at_ms=told_at_ms)
            if not page.is_list:
                raise NotAFileError("the source sent something that is no list")
            # A next page that holds nothing new is no next page; one that holds nothing may lead on to one that does.
            empty = 0 if page.links else empty + 1
            leads_on = 0 < empty <= _MOST_EMPTY_PAGES and page.next_link not in asked
            if pages and not leads_on and not any(one.link not in links for one in page.links):
                link = ""
                break
            pages.append(content)
            links |= {one.link: one for one in page.links}
            link = "" if page.next_link in asked else page.next_link
            asked.add(link)
        if link or len(links) > MAX_LINKS:
            trouble = LinkRefusedError(f"the list goes on beyond {len(pages)} pages and {MAX_LINKS} links")
    except (SourceUnavailableError, LinkRefusedError) as error:
        trouble = error
    return Listing(pages, tuple(links.values()), trouble, whole=trouble is None)
