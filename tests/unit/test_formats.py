"""What a file is, by its bytes and its name."""

import pytest

from jaas_archive.formats import format_of, is_web_page
from local.jaas.small_files import make_pdf, make_screenshot

PDF, PNG = make_pdf("x"), make_screenshot(1, slides=2)
ZIP, OLE = b"PK\x03\x04\x14\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("suffix", "head", "expected"),
    [
        (".pdf", PDF, (".pdf", "application/pdf")),
        (".PDF", PDF, (".PDF", "application/pdf")),
        ("", PDF, (".pdf", "application/pdf")),
        ("", PNG, (".png", "image/png")),
        (".pdf", PNG, (".pdf", "image/png")),
        (".pdf", b"Just text: \xc3\xa9", (".pdf", TEXT)),
        (".csv", b"a,b\n1,2\n", (".csv", "text/csv; charset=utf-8")),
        (".md", b"# Notes", (".md", "text/markdown; charset=utf-8")),
        (".docx", ZIP, (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
        (".zip", ZIP, (".zip", "application/zip")),
        (".doc", OLE, (".doc", "application/msword")),
        (".html", b"<!DOCTYPE html><script>alert(1)</script>", (".html", TEXT)),
        (".svg", b"<svg onload='alert(1)'/>", (".svg", TEXT)),
        (".pdf", b"MZ\x90\x00\x03", (".pdf", "application/octet-stream")),
        ("", b"MZ\x90\x00\x03", (".bin", "application/octet-stream")),
        ("", b"\xef\xbb\xbf {}", (".json", "application/json")),
        ("", b"WEBVTT\n", (".vtt", "text/vtt; charset=utf-8")),
        (".txt", b"", (".txt", TEXT)),
    ],
)
def test_the_bytes_decide_and_the_name_tells_apart_what_begins_alike(
    suffix: str, head: bytes, expected: tuple[str, str]
) -> None:
    assert format_of(head, suffix) == expected


def test_a_character_that_is_cut_is_still_text() -> None:
    assert format_of("é".encode()[:1]) == (".txt", TEXT)
    assert format_of(b"\xe9 in Latin-1, which UTF-8 is not")[0] == ".bin"


@pytest.mark.parametrize("start", [b"", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("page", [b"<!DOCTYPE html>", b"<!doctype HTML>", b"<html lang='en'>"])
def test_a_web_page_is_one_whatever_stands_before_it(start: bytes, page: bytes) -> None:
    assert is_web_page(start + page)
    assert not is_web_page(b"<" + start + page)
