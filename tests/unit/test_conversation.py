"""Lines out of chats, transcripts and live chunks, and the captions made of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.captions import Caption, web_vtt
from jaas_archive.conversation import Line, filled_in, live_lines, merged, read_lines
from jaas_archive.events import read_event
from tests.sample_meeting import START_MS, event

SAID = {"name": "Ada", "content": "hello", "timestamp": START_MS}


@pytest.mark.parametrize(
    "document",
    [
        {"conferenceName": "c", "sessionId": "s", "messages": [SAID]},
        {"messages": [{"participant": {"name": "Ada"}, "text": "hello", "timestamp": str(START_MS)}]},
        {"events": [{"event": "JOIN"}, {"event": "SPEECH", "participant": {"name": "Ada"}, "timestamp": START_MS,
                     "transcript": [{"text": "yellow", "confidence": 0.1}, {"text": "hello", "confidence": 0.8}]}]},
        {"start_time": START_MS, "transcription": [{"speaker": "Ada", "message": "hello"}]},
        {"timestamp": START_MS, "messages": [{"name": "Ada", "content": "hello"}]},
        [SAID],
    ],
    ids=["8x8", "participant", "jigasi", "speaker", "time-of-file", "list"],
)  # fmt: skip
def test_reads_the_known_shapes(document: Any) -> None:
    (line,) = read_lines(json.dumps(document).encode(), "speech")
    assert (line.timestamp_ms, line.name, line.content) == (START_MS, "Ada", "hello")


def test_reads_one_object_a_line() -> None:
    content = "\n".join(json.dumps(SAID | {"content": text}) for text in ("one", "two")).encode()
    assert [line.content for line in read_lines(content, "speech")] == ["one", "two"]


def test_lines_of_one_moment_stay_in_the_order_of_their_file() -> None:
    messages = [{"jid": jid, "content": text, "timestamp": START_MS} for jid, text in (("z@x", "b"), ("a@x", "a"))]
    lines = read_lines(json.dumps({"messages": messages}).encode(), "chat")
    # The same chat once more, with a line that came after the first upload.
    again = read_lines(
        json.dumps({"messages": [*messages, {"jid": "m@x", "content": "A"} | {"timestamp": START_MS}]}).encode(), "chat"
    )
    for files in ([lines, again], [again, lines]):
        assert [line.content for line in merged(files)] == ["b", "a", "A"]


def test_lines_without_a_time_stay_in_their_place() -> None:
    told: list[dict[str, Any]] = [{"content": text} for text in "zya"]
    told[1]["timestamp"] = START_MS + 9_000
    lines = read_lines(json.dumps({"messages": told}).encode(), "speech", otherwise_ms=START_MS)
    assert [(line.content, line.timestamp_ms - START_MS, line.time_known) for line in merged([lines])] == [
        ("z", 0, False),
        ("y", 9_000, True),
        ("a", 9_000, False),
    ]


@pytest.mark.parametrize(
    "time", [START_MS / 1000 + 0.483, str(START_MS / 1000 + 0.483), START_MS + 483.0], ids=["seconds", "text", "ms"]
)
def test_fractions_of_a_second_are_kept(time: object) -> None:
    (line,) = read_lines(json.dumps([{"content": "x", "timestamp": time}]).encode(), "chat")
    assert line.timestamp_ms == START_MS + 483


def test_reads_newer_chats_with_names_and_bare_jids() -> None:
    message = {
        "bare_jid": "a@b",
        "name": "Ada",
        "email": "a@example.com",
        "content": "x",
        "timestamp": START_MS,
        "new": 1,
    }
    assert read_lines(json.dumps({"messages": [message | {"new": 1}]}).encode(), "chat") == (
        Line(START_MS, "chat", "a@b", "x", "Ada", "a@example.com"),
    )


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["messages", "events", "content", "transcript", "participant", "timestamp", "jid", "text", "user", "name"]
    ), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_file_is_too_odd(content: bytes) -> None:
    for line in read_lines(content, "speech"):
        assert line.content


def chunk(minutes: float, text: str, message_id: str = "") -> dict[str, Any]:
    data = {"final": text, "messageID": message_id, "participant": {"id": "abcdef01", "name": "Ada"}}
    return event("TRANSCRIPTION_CHUNK_RECEIVED", minutes, data, key=f"{minutes}-{text}")


def spoken(minutes: float, text: str) -> Line:
    return Line(START_MS + round(minutes * 60_000), "speech", "", text, "Ada")


def kept(live: list[dict[str, Any]], *files: list[Line]) -> list[tuple[str, str]]:
    chunks = live_lines([read_event(one, received_at_ms=0) for one in live])
    return [(line.content, line.superseded_by) for line in filled_in(files, chunks)]


def test_chunks_stand_in_for_a_transcript_that_never_came() -> None:
    assert kept([chunk(1, " one "), chunk(2, "two")]) == [("one", ""), ("two", "")]


def test_a_file_that_could_not_be_parsed_replaces_nothing() -> None:
    assert kept([chunk(1, "one")], []) == [("one", "")]


def test_of_one_message_the_last_version_counts() -> None:
    assert kept([chunk(1, "one", "m"), chunk(1.1, "one two", "m")]) == [("one", "a later version"), ("one two", "")]


def test_a_transcript_replaces_the_chunks_of_its_time_and_no_others() -> None:
    live = [chunk(1, "before"), chunk(5, "mishaerd"), chunk(20, "after")]
    assert kept(live, [spoken(4, "first"), spoken(6, "misheard")]) == [
        ("before", ""),
        ("first", ""),
        ("mishaerd", "transcript"),
        ("misheard", ""),
        ("after", ""),
    ]


def test_a_chunk_just_outside_with_words_of_the_file_is_the_same_line() -> None:
    assert kept([chunk(1.5, "Hello, all!")], [spoken(1, "hello all")]) == [
        ("hello all", ""),
        ("Hello, all!", "transcript"),
    ]


def test_a_transcript_without_times_speaks_for_the_whole_meeting() -> None:
    lines = list(
        read_lines(json.dumps([{"content": "first"}, {"content": "then"}]).encode(), "speech", otherwise_ms=START_MS)
    )
    assert [text for text, given_way in kept([chunk(1, "frist"), chunk(9, "other")], lines) if not given_way] == [
        "first",
        "then",
    ]


def test_captions_are_timed_to_the_recording_and_escaped() -> None:
    captions = [
        Caption(0, "Early", "before the recording"),
        Caption(11_000, "A > B & <C>", "<i>so\n\n-->  it\u2028is</i>"),
        Caption(11_500, "", "nobody knows who"),
        Caption(20_000, "Late", "after the recording"),
    ]
    assert web_vtt(captions, starts_at_ms=10_000, duration_seconds=10) == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:01.500\n<v A &gt; B &amp; &lt;C&gt;>&lt;i&gt;so --&gt;  it is&lt;/i&gt;</v>\n\n"
        "00:00:01.500 --> 00:00:02.700\nnobody knows who\n"
    )


def test_a_recording_without_words_has_no_captions() -> None:
    assert web_vtt([Caption(0, "Ada", "early")], starts_at_ms=10, duration_seconds=None) == ""
