import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.names import MAX_NAME_BYTES, iso_time, safe_file_stem, safe_name, session_folders, suffix_of


@given(st.text())
def test_a_name_is_one_harmless_segment(text: str) -> None:
    name = safe_name(text)
    assert name
    assert name not in (".", "..")
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert all(character.isalnum() or character in "_.-" for character in name)


@given(st.text(), st.text())
def test_different_texts_have_different_names(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,80}[A-Za-z0-9_]", fullmatch=True))
def test_a_plain_name_stays_as_it_is(text: str) -> None:
    assert safe_name(text) == text


@pytest.mark.parametrize("text", ["Réunion", "会議", "Встреча"])
def test_letters_of_any_script_stay(text: str) -> None:
    assert safe_name(text) == text


def test_the_folder_is_made_for_people() -> None:
    folder, _ = session_folders("weeklysync", "9a441d60-ceaf-4eba-b0a8-a7d940a76e1b", 1719366173483)
    assert folder == "weeklysync/2024-06-26_01-42-53Z_9a441d60"


def test_times_sort_as_text() -> None:
    assert iso_time(1719366173483) == "2024-06-26T01:42:53.483Z"
    assert iso_time(999_999_999_999) < iso_time(1_000_000_000_000)


@pytest.mark.parametrize(
    ("given", "stem", "suffix"),
    [
        ("Agenda.pdf", "Agenda", ".pdf"),
        ("archive.tar.gz", "archive.tar", ".gz"),
        ("../../meeting.json", "meeting", ".json"),
        ("/etc/passwd", "passwd", ""),
        ("folder/", "folder", ""),
        ("C:\\Users\\ada\\plan.PDF", "plan", ".PDF"),
        ("CON.pdf", "_CON", ".pdf"),
        ("aux", "_aux", ""),
        ("Com1.tar.gz", "_Com1.tar", ".gz"),
        ("会議資料.pdf", "会議資料", ".pdf"),
        ("Re\u0301union.pdf", "Réunion-{}", ".pdf"),
        ("Q3 road map \u2013 draft (2).pdf", "Q3-road-map-draft-2-{}", ".pdf"),
        ("invoice\u202efdp.exe", "invoice-fdp-{}", ".exe"),
        ("<script>alert(1)</script>.pdf", "script-{}", ".pdf"),
        (".gitignore", "gitignore-{}", ""),
        ("version 1.0 of it", "version-1.0-of-it-{}", ""),
        ("....", "{}", ""),
        ("🎉.pdf", "{}", ".pdf"),
        ("x" * 300 + ".pdf", "x" * 141 + "-{}", ".pdf"),
        ("é" * 127 + ".p", "é" * 70 + "-{}", ".p"),
        ("nul\x00byte.pdf", "nul-byte-{}", ".pdf"),
    ],
)
def test_a_file_keeps_a_recognisable_name(given: str, stem: str, suffix: str) -> None:
    found = safe_file_stem(given)
    before, _, after = stem.partition("{}")
    assert (found[: len(before)], suffix_of(given)) == (before, suffix)
    assert len(found) == len(before) + len(after) + 8 * ("{}" in stem)


@given(st.text())
def test_a_file_name_is_one_harmless_segment_of_a_path(text: str) -> None:
    name = safe_file_stem(text) + suffix_of(text)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert name.strip(".")
    assert all(character.isalnum() or character in "_.-" for character in name)
    assert not name.endswith(".")
