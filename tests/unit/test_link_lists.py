import json

import pytest

from jaas_archive.link_lists import read_page

TOLD_AT_MS = 1_783_000_000_000


def test_an_object_may_hold_any_number_of_links() -> None:
    """What takes each link's neighbours in turn takes hours for these."""
    links = {f"picture{number}": f"https://8x8.vc/{number}.jpg" for number in range(50_000)}
    page = read_page(
        json.dumps({"at": TOLD_AT_MS - 1000} | links).encode(), "https://8x8.vc/list", told_at_ms=TOLD_AT_MS
    )
    assert [one.link for one in page.links] == list(links.values())
    assert {one.at_ms for one in page.links} == {TOLD_AT_MS - 1000}


@pytest.mark.parametrize(
    ("content", "is_list"),
    [
        (b"[]", True),
        (b"{}", True),
        (b'{"items": []}', True),
        (b'{"data": {"screenshots": []}, "total": 0}', True),
        (b'{"items": null, "nextToken": 7}', True),
        (b'"https://8x8.vc/1.jpg"', True),
        (b"1. https://8x8.vc/1.jpg", True),
        (b"", False),
        (b"null", False),
        (b"Internal Server Error", False),
        (b"<Error><Code>SlowDown</Code></Error>", False),
        (b'{"code": "InternalError", "message": "try again"}', False),
        (b'{"error": {"status": 500, "details": {}}}', False),
    ],
)
def test_an_error_is_no_list_that_is_empty(*, content: bytes, is_list: bool) -> None:
    assert read_page(content, "https://8x8.vc/list", told_at_ms=TOLD_AT_MS).is_list is is_list
