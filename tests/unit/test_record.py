"""What a meeting's events and files amount to."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.conversation import Line
from jaas_archive.events import read_event
from jaas_archive.page import render_page
from jaas_archive.record import MeetingRecord, make_record
from jaas_archive.traces import in_order
from tests.sample_meeting import (
    ADA,
    JON,
    MINUTE_MS,
    START_MS,
    TOM,
    Sample,
    event,
    full_jid,
    participant,
)


def record(*events: dict[str, Any], lines: tuple[Line, ...] = ()) -> MeetingRecord:
    sample = Sample(documents=list(events), files=[], lines=[lines])
    return make_record(sample.session, in_order(sample.events), sample.files, sample.lines)


def sample_record() -> MeetingRecord:
    sample = Sample()
    return make_record(sample.session, in_order(sample.events), sample.files, sample.lines)


def person(made: MeetingRecord, name: str) -> dict[str, Any]:
    people: list[dict[str, Any]] = made.document["people"]
    (found,) = [entry for entry in people if entry.get("name") == name]
    return found


@given(seed=st.integers(0, 2**32))
def test_the_record_does_not_depend_on_the_order_of_events_and_files(seed: int) -> None:
    rng = random.Random(seed)
    sample = Sample()
    events = [read_event(document, received_at_ms=START_MS) for document in sample.documents]
    for group in (events, sample.files, sample.lines):
        rng.shuffle(group)
    made = make_record(
        sample.session, in_order(events), sorted(sample.files, key=lambda file: file.sort_key), sample.lines
    )
    wanted = Sample()
    expected = make_record(
        wanted.session, in_order(wanted.events), sorted(wanted.files, key=lambda file: file.sort_key), wanted.lines
    )
    assert made == expected


def test_rejoins_are_stays_of_one_person() -> None:
    tom = person(sample_record(), "Tomás Ferreira")
    assert [(stay["joined_at"][14:19], stay["left_at"][14:19]) for stay in tom["stays"]] == [
        ("01:00", "14:00"),
        ("15:30", "33:06"),
    ]
    assert tom["seconds_present"] == 13 * 60 + 17.6 * 60
    assert tom["talk_seconds"] == 364


def test_coming_and_going_in_one_moment_is_a_short_stay_or_a_reconnection() -> None:
    comings = [event("PARTICIPANT_JOINED", at, participant(ADA)) for at in (1, 5, 7)]
    goings = [event("PARTICIPANT_LEFT", at, participant(ADA)) for at in (1, 7, 9)]
    ada = person(record(*comings, *goings, event("ROOM_DESTROYED", 20)), "Ada Nwosu")
    stays = [(stay["joined_at"][14:16], stay["left_at"][14:16]) for stay in ada["stays"]]
    assert stays == [("01", "01"), ("05", "07"), ("07", "09")]


def test_breakouts_are_stays_in_another_room() -> None:
    ada = person(sample_record(), "Ada Nwosu")
    assert [(stay["room"], stay["left_because"]) for stay in ada["stays"]] == [
        ("main", "switch_room"),
        ("room-b", "switch_room"),
        ("main", "left"),
    ]


def test_rooms_of_breakouts_neither_begin_nor_end_the_meeting() -> None:
    document = sample_record().document
    assert (document["started_at"][11:16], document["ended_at"][11:16]) == ("10:00", "10:34")
    assert document["duration_seconds"] == 34 * 60


def test_the_lobby_is_told_and_counts_for_nothing() -> None:
    mei = person(sample_record(), "Mei-Ling Chou")
    assert [stay["left_at"][14:19] for stay in mei["lobby"]] == ["04:00"]
    assert mei["seconds_present"] == 28 * 60


def test_who_has_not_left_stays_to_the_end() -> None:
    jonas = person(sample_record(), "Jonas Lindqvist")
    assert jonas["stays"][-1]["left_at"] is None
    assert jonas["seconds_present"] == pytest.approx((34 - 2 - 0.2) * 60)


def test_callers_are_people_too() -> None:
    made = sample_record()
    assert person(made, "+351 210 000 123")["kind"] == "phone"
    assert person(made, "+351 210 000 123")["seconds_present"] == 25 * 60
    assert person(made, "Meeting room Lisbon")["kind"] == "sip"


def test_a_guest_without_a_token_is_known_by_what_they_did() -> None:
    priya = person(sample_record(), "Priya Raman")
    assert (priya["kind"], priya["seen_in"], priya["stays"], priya["chat_messages"]) == ("trace", ["poll"], [], 1)


def test_the_last_vote_of_a_person_counts() -> None:
    (poll,) = sample_record().document["polls"]
    assert (poll["question"], poll["asked_by"], poll["voters"]) == ("When do we ship 4.2?", "Ada Nwosu", 4)
    assert [(answer["name"], answer["voters"]) for answer in poll["answers"]] == [
        ("Thursday", ["Mei-Ling Chou", "Priya Raman", "Tomás Ferreira"]),
        ("Monday", ["Jonas Lindqvist"]),
    ]


def test_a_poll_whose_question_never_came_has_its_votes() -> None:
    answers = [{"key": 1, "name": "Yes", "value": True}]
    vote = event("POLL_ANSWER", 1, {"pollId": "p", "answers": answers, "user": {"participantJid": ADA, "name": "Ada"}})
    (poll,) = record(vote).document["polls"]
    assert (poll["question"], [answer["votes"] for answer in poll["answers"]]) == ("", [1])


def test_reactions_that_are_told_twice_count_once() -> None:
    document = sample_record().document
    assert [(one["name"], one["reaction"]) for one in document["reactions"]] == [
        ("Tomás Ferreira", "clap"),
        ("Tomás Ferreira", "clap"),
        ("Mei-Ling Chou", "clap"),
        ("Tomás Ferreira", "laugh"),
    ]


def test_a_role_that_was_given_is_told() -> None:
    made = sample_record()
    assert [(one["role"], one["to"], one["by"]) for one in made.document["roles"]] == [
        ("moderator", "Tomás Ferreira", "Ada Nwosu")
    ]
    assert person(made, "Tomás Ferreira")["moderator"]


def test_speaker_stats_that_come_twice_are_not_added() -> None:
    stats = [event("SPEAKER_STATS", at, {ADA: {"time": at * 1000, "id": "auth0|ada"}}, key=str(at)) for at in (5, 9)]
    made = record(event("PARTICIPANT_JOINED", 1, participant(ADA)), *stats)
    assert person(made, "Ada Nwosu")["talk_seconds"] == 9


def test_coverage_says_how_many_lines_have_a_name_and_how_they_got_it() -> None:
    coverage = sample_record().document["coverage"]
    assert (coverage["messages"], coverage["with_a_name"], coverage["ratio"]) == (26, 25, 0.9615)
    assert sum(coverage["matched_by"].values()) == sum(coverage["confidence"].values()) == 26
    assert coverage["matched_by"]["unknown"] == 1


def test_messages_lead_to_people_only_where_that_is_proven() -> None:
    made = sample_record()
    by_id = {entry["id"]: entry.get("name") for entry in made.document["people"]}
    for message in made.document["messages"]:
        if message["confidence"] in ("claimed", "none"):
            assert "person" not in message
        else:
            assert by_id[message["person"]] == message["name"]


def test_a_session_that_goes_on_after_midnight_is_listed_under_each_day() -> None:
    night = 18 * 60
    made = record(
        event("ROOM_CREATED", night - 60),
        event("ROOM_DESTROYED", night + 30 * 60),
        event("RECORDING_UPLOADED", night + 90 * 60, {"preAuthenticatedLink": "https://x.example"}),
    )
    # The recording that comes days later makes it no longer.
    assert made.days == {"2024-06-26", "2024-06-27", "2024-06-28"}


def test_two_people_behind_one_bare_jid_have_an_item_each() -> None:
    bare = ADA.partition("/")[0]
    twin = event(
        "PARTICIPANT_JOINED", 2, participant(JON) | {"participantJid": bare, "participantFullJid": f"{bare}/x"}
    )
    both = record(event("PARTICIPANT_JOINED", 1, participant(ADA)), twin).participants
    # The set of keys only grows, whichever of them comes first: nothing is ever deleted.
    assert {key: item["name"] for key, item in both.items()} == {bare: "Ada Nwosu", f"{bare}/x": "Jonas Lindqvist"}
    assert set(record(twin).participants) < set(both)


def test_a_departure_without_full_jid_belongs_to_whom_it_names() -> None:
    bare = ADA.partition("/")[0]
    twin = event(
        "PARTICIPANT_JOINED", 2, participant(JON) | {"participantJid": bare, "participantFullJid": f"{bare}/x"}
    )
    left = event("PARTICIPANT_LEFT", 9, participant(JON, full=False) | {"participantJid": bare})
    made = record(event("PARTICIPANT_JOINED", 1, participant(ADA)), twin, left).participants
    assert [item.get("left_at") for item in made.values()] == [None, START_MS + 9 * MINUTE_MS]


def test_an_event_without_any_jid_makes_a_person_and_no_item() -> None:
    made = record(event("PARTICIPANT_JOINED", 1, {"name": "Ada", "participantId": "abcdef01"}))
    assert (list(made.participants), [entry["name"] for entry in made.document["people"]]) == ([], ["Ada"])


def test_hostile_events_break_nothing() -> None:
    odd: list[Any] = [None, 7, "x", [], {}, [1], {"user": 3}, {"participant": []}, {"answers": {}, "user": {"id": 4}}]
    types = [
        "PARTICIPANT_JOINED", "PARTICIPANT_LEFT", "SPEAKER_STATS", "POLL_CREATED", "POLL_ANSWER", "REACTIONS", "USAGE",
        "AGGREGATED_REACTIONS", "TRANSCRIPTION_CHUNK_RECEIVED", "ROLE_CHANGED", "DIAL_IN_STARTED", "RTCSTATS_UPLOADED",
        "RECORDING_UPLOADED", "ROOM_CREATED", "NEVER_HEARD_OF",
    ]  # fmt: skip
    events = [event(kind, number, data) for number, data in enumerate(odd) for kind in types]
    stats = event("SPEAKER_STATS", 1, {"a@b/c": {"time": "long"}, "d@e/f": 7, "g": {"time": True}})
    document = record(*events, stats).document
    assert len(document["events"]) == len(events) + 1
    assert "</html>" in render_page(document)


def test_a_stranger_with_the_same_trace_twice_is_one_person() -> None:
    guest = full_jid("9")
    stats = event("SPEAKER_STATS", 8, {guest: {"time": 4000, "name": "Priya"}})
    clap = event("REACTIONS", 9, {"participantJid": guest, "participantName": "Priya", "reactions": ["like"]})
    priya = person(record(stats, clap), "Priya")
    assert (priya["talk_seconds"], priya["reactions"], priya["seen_in"]) == (
        4,
        {"like": 1},
        ["reaction", "speaker_stats"],
    )


def test_captions_are_named_like_their_recording() -> None:
    captions = sample_record().captions
    assert sorted(key.rpartition("/")[2] for key in captions) == [
        "recording_20240626T100500Z_r1.vtt",
        "recording_20240626T102500Z_r2.vtt",
    ]
    first = next(text for key, text in captions.items() if key.endswith("r1.vtt"))
    assert "00:01:24.000 --> 00:01:29.785\n<v Ada Nwosu>Good morning. I have started" in first


def test_a_line_without_a_time_is_no_caption_and_says_so() -> None:
    sample = Sample()
    during = Line(START_MS + 6 * MINUTE_MS, "speech", "", "when?", "Ada Nwosu", time_known=False)
    made = make_record(sample.session, in_order(sample.events), sample.files, [(during,)])
    assert not any("when?" in text for text in made.captions.values())
    (entry,) = [message for message in made.document["messages"] if message["content"] == "when?"]
    assert entry["time_unknown"] is True


def test_a_line_of_two_files_counts_once() -> None:
    sample = Sample()
    twice = replace(sample, lines=[*sample.lines, sample.lines[0]])
    made = make_record(twice.session, in_order(twice.events), twice.files, twice.lines)
    assert made.messages == sample_record().messages


def test_talk_of_one_connection_is_not_lost_to_another() -> None:
    stats = event("SPEAKER_STATS", 9, {TOM: {"time": 2000, "id": "auth0|tomas", "name": "Tomás Ferreira"}})
    assert person(record(stats), "Tomás Ferreira")["talk_seconds"] == 2
