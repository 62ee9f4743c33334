"""The ladder: who wrote a line."""

import itertools
from typing import Any

import pytest

from jaas_archive.authors import Author, Confidence, directory
from jaas_archive.conversation import Line
from jaas_archive.events import read_event
from jaas_archive.people import connections, guests
from jaas_archive.traces import in_order, traces
from tests.sample_meeting import ADA, JON, START_MS, TOM, USERS, event, full_jid, participant

BARE_ADA = ADA.partition("/")[0]
ADAS_TWIN = ADA[:8] + "-9999-4000-8000-000000000000@8x8.vc/res"
GUEST = full_jid("9")


def author(line: Line, *documents: dict[str, Any]) -> Author:
    """Who wrote a line, as the same whatever the order of the events."""
    answers = set()
    for order in itertools.islice(itertools.permutations(documents), 24):
        events = in_order([read_event(document, received_at_ms=START_MS) for document in order])
        known = connections(events)
        answers.add(directory(known, traces(events), guests(known, traces(events)).people).author(line))
    (answer,) = answers
    return answer


def chat(jid: str, **more: Any) -> Line:
    return Line(START_MS, "chat", jid, "hello", **more)


def joined(jid: str, minutes: float = 1, **more: Any) -> dict[str, Any]:
    return event("PARTICIPANT_JOINED", minutes, participant(jid) | more)


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return document | {"data": {name: value for name, value in document["data"].items() if name not in names}}


STATS = event("SPEAKER_STATS", 9, {GUEST: {"time": 1000, "name": "Priya"}})
VOTE = event("POLL_ANSWER", 9, {"pollId": "p", "user": {"participantJid": GUEST, "currentName": "Priya"}})
CLAP = event("REACTIONS", 9, {"participantJid": GUEST, "participantName": "Priya", "reactions": ["clap"]})
CHUNK = event("TRANSCRIPTION_CHUNK_RECEIVED", 9, {"final": "x", "participant": {"id": GUEST[:8], "name": "Priya"}})
CALL = event("DIAL_IN_STARTED", 9, {"nick": "+351 21", "participantJid": GUEST.partition("/")[0]})
STATS_OF_RTC = event("RTCSTATS_UPLOADED", 9, {"endpointId": GUEST[:8], "participantName": "Priya"})


RUNGS = (
    "full bare-of-full bare-of-line visitor case twin short short-named user "
    "stats vote clap chunk call rtc own unknown blank"
)


@pytest.mark.parametrize(
    ("line", "document", "name", "matched_by", "confidence"),
    [
        (chat(ADA), joined(ADA), "Ada Nwosu", "full_jid", "certain"),
        (chat(ADA), without(joined(ADA), "participantFullJid"), "Ada Nwosu", "bare_jid", "certain"),
        (chat(BARE_ADA), joined(ADA), "Ada Nwosu", "bare_jid", "certain"),
        (chat(ADA.replace("8x8.vc", "visitors.8x8.vc")), joined(ADA), "Ada Nwosu", "node", "strong"),
        (chat(ADA.upper()), joined(ADA), "Ada Nwosu", "node", "strong"),
        (chat(ADAS_TWIN), joined(ADA), "Ada Nwosu", "participant_id", "weak"),
        (chat(ADA[:8]), joined(ADA), "Ada Nwosu", "participant_id", "weak"),
        (chat(ADA[:8], name="Ada Nwosu"), joined(ADA), "Ada Nwosu", "participant_id", "strong"),
        (chat("", user_id="auth0|ada"), joined(ADA), "Ada Nwosu", "user_id", "certain"),
        (chat(GUEST), STATS, "Priya", "speaker_stats", "strong"),
        (chat(GUEST), VOTE, "Priya", "poll", "strong"),
        (chat(GUEST), CLAP, "Priya", "reaction", "strong"),
        (chat(GUEST), CHUNK, "Priya", "transcription_chunk", "weak"),
        (chat(GUEST), CALL, "+351 21", "call", "strong"),
        (chat(GUEST), STATS_OF_RTC, "Priya", "rtc_stats", "weak"),
        (chat(GUEST, name="Whoever"), joined(ADA), "Whoever", "file", "claimed"),
        (chat(GUEST), joined(ADA), "", "unknown", "none"),
        (chat(""), joined(ADA), "", "unknown", "none"),
    ],
    ids=[
        "full",
        "bare-of-full",
        "bare-of-line",
        "visitor",
        "case",
        "twin",
        "short",
        "short-named",
        "user",
        "stats",
        "vote",
        "clap",
        "chunk",
        "call",
        "rtc",
        "own",
        "unknown",
        "blank",
    ],
)
def test_each_rung_names_the_author(
    line: Line, document: dict[str, Any], name: str, matched_by: str, confidence: str
) -> None:
    found = author(line, document)
    assert (found.name, found.matched_by, found.confidence) == (name, matched_by, confidence)


def test_the_surest_rung_wins() -> None:
    other = event("SPEAKER_STATS", 9, {ADA: {"time": 1, "name": "Somebody else"}})
    assert author(chat(ADA, name="A third"), joined(ADA), other).matched_by == "full_jid"


def test_a_caller_who_is_a_participant_too_goes_by_that_name() -> None:
    caller = event("DIAL_IN_STARTED", 0.9, {"nick": "+351 21", "participantJid": ADA, "participantId": ADA[:8]})
    found = author(chat(ADA), joined(ADA), caller)
    assert (found.name, found.matched_by, found.confidence) == ("Ada Nwosu", "full_jid", "certain")


def test_an_address_of_two_people_names_nobody() -> None:
    twin = joined(JON) | {"idempotencyKey": "twin"}
    twin["data"] |= {"participantJid": BARE_ADA, "participantFullJid": f"{BARE_ADA}/other"}
    documents = (joined(ADA), twin)
    assert author(chat(ADA), *documents).name == "Ada Nwosu"
    assert author(chat(f"{BARE_ADA}/other"), *documents).name == "Jonas Lindqvist"
    assert author(chat(f"{BARE_ADA}/third", name="Ada Nwosu"), *documents) == Author("ambiguous", Confidence.NONE)


def test_a_short_id_of_two_people_names_nobody() -> None:
    twin = joined(JON, participantId=ADA[:8])
    assert author(chat(ADA[:8]), joined(ADA), twin).matched_by == "ambiguous"


def test_two_connections_of_one_person_are_no_contradiction() -> None:
    again = joined(ADA, 5, participantFullJid=f"{BARE_ADA}/again")
    found = author(chat(f"{BARE_ADA}/third"), joined(ADA), again)
    assert (found.name, found.matched_by) == ("Ada Nwosu", "bare_jid")


def test_a_weak_match_that_a_sure_one_denies_names_nobody() -> None:
    denial = event("SPEAKER_STATS", 9, {ADAS_TWIN: {"time": 1, "name": "Priya", "id": "auth0|priya"}})
    assert author(chat(ADAS_TWIN), joined(ADA), denial).matched_by == "ambiguous"


def test_two_events_that_name_one_address_differently_name_nobody() -> None:
    other = event("POLL_CREATED", 3, {"pollId": "p", "user": {"participantJid": GUEST, "name": "Quentin"}})
    assert author(chat(GUEST), VOTE, other).matched_by == "ambiguous"


def test_a_connection_without_a_name_takes_it_from_its_user_id() -> None:
    nameless = without(joined(TOM), "name")
    known = event("RECORDING_UPLOADED", 9, {"participants": [{"id": USERS[TOM][2], "name": "Tomás Ferreira"}]})
    found = author(chat(TOM), nameless, known)
    assert (found.name, found.user_id, found.matched_by) == ("Tomás Ferreira", "auth0|tomas", "full_jid")


def test_a_connection_without_any_name_keeps_its_user_id() -> None:
    found = author(chat(TOM), without(joined(TOM), "name", "email"))
    assert (found.name, found.user_id, found.matched_by) == ("", "auth0|tomas", "full_jid")
