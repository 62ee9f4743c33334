"""What was on the shared screen of an invented meeting: screenshots, of which lists tell."""

from functools import cache

from local.chaos.draft import Draft
from local.chaos.meetings import HOUR_MS, SCREENSHOT, SCREENSHOTS, SECOND_MS, File, PictureList, compact
from local.jaas.meeting import APP_ID, new_uuid
from local.jaas.small_files import make_screenshot

_LISTS = (0, 0, 1, 1, 2)
_PICTURES = (0, 1, 2, 5)
_ALL_ON_ONE_PAGE, _A_PAGE = 100, 2
_LIFETIMES_SECONDS = (15, 60)
_FORMS = (
    {"preAuthenticatedLink": _ALL_ON_ONE_PAGE},
    {"preAuthenticatedLinkV2": _A_PAGE},
    {"preAuthenticatedLink": _ALL_ON_ONE_PAGE, "preAuthenticatedLinkV2": _A_PAGE},
)


def share_screen(draft: Draft) -> None:
    """Some lists, each with all pictures so far."""
    pictures: list[File] = []
    for number in range(draft.rng.choice(_LISTS)):
        at_ms = draft.afterwards_ms() + number * 60 * SECOND_MS
        pictures += [_take(draft, at_ms) for _ in range(draft.rng.choice(_PICTURES))]
        _tell_of(draft, number, at_ms, tuple(pictures))


def _take(draft: Draft, told_at_ms: int) -> File:
    """A picture that is like no other."""
    taken_at_ms = draft.rng.randint(draft.starts_ms, draft.ends_ms)
    return File(
        SCREENSHOT,
        f"{APP_ID}/{draft.session_id}/{new_uuid(draft.rng)}.png",
        _picture() + draft.rng.randbytes(16),
        rf"screenshots/{compact(taken_at_ms)}_[0-9a-f]{{8}}\.png",
        told_at_ms,
        starts_at_ms=taken_at_ms,
    )


def _tell_of(draft: Draft, number: int, at_ms: int, pictures: tuple[File, ...]) -> None:
    name, deadline_ms = rf"screenshots/list_{compact(at_ms)}", at_ms + 24 * HOUR_MS
    one = PictureList(
        f"{APP_ID}/{draft.session_id}/list-{number}",
        rf"{name}\.json",
        rf"{name}_page\d+\.json",
        rf"{name}_incomplete(_page\d+)?\.json",
        deadline_ms,
        pictures,
        draft.rng.choice(_FORMS),
        draft.rng.choice(_LIFETIMES_SECONDS),
    )
    draft.lists.append(one)
    links = {link_field: one.form_name(link_field) for link_field in one.forms}
    draft.tell(SCREENSHOTS.event_type, at_ms, {"linkExpiration": deadline_ms}, links)


@cache
def _picture() -> bytes:
    return make_screenshot(1, slides=6)
