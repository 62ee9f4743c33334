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
    "content",
    [
        b"[]",
        b"{}",
        b'{"items": []}',
        b'{"data": {"screenshots": []}, "total": 0}',
        b'{"items": null, "nextToken": 7}',
        b'"https://8x8.vc/1.jpg"',
        b"1. https://8x8.vc/1.jpg",
    ],
)
def test_a_list_may_be_empty_and_of_any_shape(content: bytes) -> None:
    assert read_page(content, "https://8x8.vc/list", told_at_ms=TOLD_AT_MS).is_list


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"Internal Server Error",
        b"<Error><Code>SlowDown</Code></Error>",
        b'{"code": "InternalError", "message": "try again"}',
        b'{"error": {"status": 500, "details": {}}}',
    ],
)
def test_an_error_is_no_list_that_is_empty(content: bytes) -> None:
    assert not read_page(content, "https://8x8.vc/list", told_at_ms=TOLD_AT_MS).is_list
