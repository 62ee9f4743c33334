from jaas_archive.captions import Caption, web_vtt


def test_a_text_may_hold_any_number_of_blanks() -> None:
    """What tries each blank as the beginning of a line's end takes hours for these."""
    blanks = " " * 1_000_000
    captions = [Caption(1_000, f"Ada{blanks}N.", f" so{blanks}far \r\n \n and no\u2028further\n")]
    text = web_vtt(captions, starts_at_ms=0, duration_seconds=None)
    assert f"<v Ada{blanks}N.>so{blanks}far and no further</v>\n" in text
