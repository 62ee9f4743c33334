"""What of events and files is one person's, and what stays of it."""

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.conversation import Line
from jaas_archive.people import connections, guests
from jaas_archive.traces import traces
from jaas_archive_cli.person import ERASED, AmbiguousError, Identity, find_person
from tests.sample_meeting import ADA, GUEST, JON, TOM, TOM_AGAIN, USERS, Sample, full_jid

SAMPLE = Sample()
PEOPLE = guests(connections(SAMPLE.events), traces(SAMPLE.events)).people
LINES = [line for lines in SAMPLE.lines for line in lines]


def identity_of(person: str, *, by_name: bool = False) -> Identity:
    found = find_person(person, PEOPLE, LINES, by_name=by_name)
    assert found
    return found


TOMAS = identity_of("auth0|tomas")


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "auth0|tomas"},
        {"participantId": "auth0|tomas", "reaction": "clap"},
        {"jid": TOM},
        {"jid": TOM_AGAIN, "content": "sorry"},
        {"participantJid": TOM.partition("/")[0].replace("8x8.vc", "visitors.8x8.vc")},
        {"participant_id": TOM[:8]},
        {"email": "TOMAS@example.com"},
        {"name": "tomás ferreira", "content": "a transcript that knows names only"},
        {"speaker": "Tomás Ferreira", "text": "as a word"},
        {"id": "17", "name": "Tomás Ferreira", "content": "a line with a number"},
    ],
)
def test_knows_a_person_by(fields: dict[str, Any]) -> None:
    assert TOMAS.owns(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "auth0|ada", "name": "Ada Nwosu"},
        {"userId": "auth0|ada", "id": TOM[:8]},
        {"jid": full_jid("9"), "name": "Tomás Ferreira", "content": "anybody can call himself so"},
        {"content": "Tomás Ferreira"},
        {"key": 1, "name": "Thursday"},
        {},
    ],
)
def test_does_not_take_for_them(fields: dict[str, Any]) -> None:
    assert not TOMAS.owns(fields)


def test_what_stays_of_a_token() -> None:
    joined = {
        "name": "Tomás Ferreira",
        "email": "tomas@example.com",
        "avatar": "[link removed]",
        "id": "auth0|tomas",
        "phone": 351210000123,
        "badges": [{"title": "Speaker"}, "blue"],
        "moderator": "true",
        "hidden": False,
        "participantJid": TOM.partition("/")[0],
        "participantId": TOM[:8],
        "disconnectReason": "left",
    }
    assert TOMAS.without({"data": joined, "fqn": "app/room"}) == {
        "data": {
            "name": ERASED,
            "email": "",
            "avatar": "",
            "id": TOMAS.pseudonym,
            "phone": ERASED,
            "badges": [{"title": ERASED}, ERASED],
            "moderator": "true",
            "hidden": False,
            "participantJid": TOM.partition("/")[0],
            "participantId": TOM[:8],
            "disconnectReason": "left",
        },
        "fqn": "app/room",
    }


def test_a_poll_stays_for_those_who_voted() -> None:
    answers = [{"key": 1, "name": "Tomás Ferreira", "value": True}]
    vote = {"pollId": "k", "question": "Who leads?", "answers": answers, "user": {"id": "auth0|tomas", "name": "T"}}
    assert TOMAS.without({"data": vote})["data"] == vote | {"user": {"id": TOMAS.pseudonym, "name": ERASED}}
    other = vote | {"user": {"id": "auth0|ada", "name": "Ada"}}
    assert TOMAS.without({"data": other})["data"] == other


def test_a_map_by_jid_and_a_list_lose_one_entry_s_words_only() -> None:
    stats = {TOM: {"time": 5, "name": "Tomás Ferreira"}, ADA: {"time": 6, "name": "Ada Nwosu"}}
    assert TOMAS.without({"data": stats})["data"] == {TOM: {"time": 5, "name": ERASED}, ADA: stats[ADA]}
    spoken = [
        {
            "participant": {"id": TOM[:8], "name": "Tomás"},
            "transcript": [{"text": "a", "confidence": 0.5}],
            "timestamp": 1,
        },
        {"participant": {"id": ADA[:8], "name": "Ada"}, "transcript": [{"text": "b"}]},
    ]
    first, second = TOMAS.without(spoken)
    assert first == {
        "participant": {"id": TOM[:8], "name": ERASED},
        "transcript": [{"text": ERASED, "confidence": 0.5}],
        "timestamp": 1,
    }
    assert second == spoken[1]
    recording = {"initiatorId": "auth0|tomas", "share": True, "recordingSessionId": "r"}
    assert TOMAS.without({"data": recording})["data"] == recording | {"initiatorId": TOMAS.pseudonym}


@pytest.mark.parametrize("user_id", sorted({user_id for _, _, user_id in USERS.values()}))
def test_erasing_twice_is_erasing_once(user_id: str) -> None:
    identity = identity_of(user_id)
    once = [identity.without(document) for document in SAMPLE.documents]
    assert once != SAMPLE.documents
    assert [identity.without(document) for document in once] == once


def test_parts_and_what_is_left_are_disjoint() -> None:
    """Nothing of one person is given to another, and nothing is given that erasing would leave."""
    identities = [identity_of(user_id) for user_id in ("auth0|ada", "auth0|tomas", "google|mei", "auth0|jonas")]
    for document, (one, other) in itertools.product(SAMPLE.documents, itertools.permutations(identities, 2)):
        assert list(one.parts(other.without(document)["data"])) == list(one.parts(document["data"]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["name", "id", "jid", "participant", "answers", TOM, "x"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_can_be_erased(document: Any) -> None:
    erased = TOMAS.without(document)
    assert TOMAS.without(erased) == erased


def test_an_address_of_another_is_not_theirs() -> None:
    """A line may say what it likes of who wrote it: the connection is known to be Ada's."""
    claimed = Line(1, "chat", ADA, "hello", name="Ann", user_id="ann")
    identity = find_person("ann", PEOPLE, [claimed])
    assert identity
    assert not identity.owns({"jid": ADA})


def test_a_guest_is_found_by_name_only_where_that_is_asked_for() -> None:
    assert find_person("Priya Raman", PEOPLE, LINES) is None
    assert identity_of("priya raman", by_name=True).owns({"jid": GUEST})


def test_a_name_of_several_is_refused() -> None:
    namesakes = [replace(person, names=("Sam",)) for person in PEOPLE if person.user_id]
    with pytest.raises(AmbiguousError, match=re.escape("auth0|ada, auth0|jonas")):
        find_person("sam", namesakes, [], by_name=True)
    assert identity_of("Jonas Lindqvist", by_name=True).owns({"jid": JON})
