import json

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
