"""The record of a whole meeting in table and bucket, whatever comes in which order and how often."""

import gzip
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaas_archive.archive import Archive, StoredObject
from jaas_archive.choices import EVERYTHING
from jaas_archive.enriching import Enricher
from jaas_archive.errors import AwsUnavailableError
from jaas_archive.events import read_event
from jaas_archive.journal import read_journal
from jaas_archive.kinds import announced_files
from jaas_archive.meetings import Meetings
from jaas_archive.messages import EventMessage, FileChangedMessage
from jaas_archive.rebuilding import Rebuilder
from tests.functions.conftest import ARCHIVE, TABLE, World
from tests.sample_meeting import CHAT, SPEECH, START_MS, USERS, documents, event

LINK = "https://objectstorage.example.oraclecloud.com/p/secret/n/x/b/chat/o/"
CHAT_FILE = {
    "messages": [{"jid": jid, "content": text, "timestamp": START_MS + round(at * 60_000)} for at, jid, text in CHAT]
}
TRANSCRIPT_FILE = {
    "events": [
        {
            "event": "SPEECH",
            "timestamp": START_MS + round(at * 60_000),
            "participant": {"id": jid[:8], "name": USERS[jid][0]},
            "transcript": [{"text": text, "confidence": 0.9}, {"text": "something else", "confidence": 0.2}],
        }
        for at, jid, text in SPEECH
    ]
}
UPLOADS = (
    (event("CHAT_UPLOADED", 35, {"preAuthenticatedLink": LINK + "app/chat.json"}, key="chat"), CHAT_FILE),
    (
        event("TRANSCRIPTION_UPLOADED", 36, {"preAuthenticatedLink": LINK + "app/transcript.json"}, key="transcript"),
        TRANSCRIPT_FILE,
    ),
)
RECORDING = event(
    "RECORDING_UPLOADED",
    37,
    {
        "preAuthenticatedLink": LINK + "app/recording.mp4",
        "recordingSessionId": "recsession",
        "startTimestamp": START_MS + 5 * 60_000,
        "durationSec": 900,
    },
    key="recording",
)
TIMES = {"archived_at", "announced_at", "tried_at", "heard_at", "gsi2sk"}
VOLATILE = TIMES | {"version", "projected_version", "tries", "messages_digest"}


@dataclass(frozen=True, slots=True)
class Told:
    """What the archive tells of the meeting in the end."""

    items: list[dict[str, Any]]
    objects: dict[str, Any]


def archive_of(world: World) -> Archive:
    return Archive(lambda: world.s3, ARCHIVE)


def enricher_of(world: World) -> Enricher:
    return Enricher(archive_of(world), Meetings(world.dynamodb, TABLE), EVERYTHING)


def news() -> list[Any]:
    """Everything that is to be learned of the meeting: events, and files that were archived."""
    return [*documents(), *UPLOADS, RECORDING]


def tell(world: World, one: Any) -> str:
    """Learn one piece of news as the functions do."""
    enricher = enricher_of(world)
    if isinstance(one, dict):
        return enricher.note(EventMessage(one, START_MS))
    announcement, content = one
    session_id = enricher.note(EventMessage(announcement, START_MS))
    (file,) = announced_files(read_event(announcement, received_at_ms=START_MS))
    session = enricher.meetings.sessions.get(session_id)
    assert session
    body = json.dumps(content).encode()
    key = f"{session.folder}/{file.stem}.json"
    record = enricher.meetings.files.announce(session_id, file, now_ms=0)
    metadata = {"file": f"{session_id}/{record.sort_key}"}
    if record.status != "archived":
        stored = StoredObject(key, len(body), "yZRlqg==", "application/json", metadata | {"source-etag": "etag"})
        world.s3.put_object(Bucket=ARCHIVE, Key=key, Body=body, ContentType=stored.content_type, Metadata=metadata)
        enricher.meetings.files.finish(session_id, record.sort_key, stored, now_ms=START_MS)
    enricher.note(FileChangedMessage(session_id, record.sort_key))
    return session_id


def told(world: World) -> Told:
    items = [{name: value for name, value in item.items() if name not in VOLATILE} for item in world.items()]
    objects: dict[str, Any] = {}
    for key in world.archived_keys():
        body = world.s3.get_object(Bucket=ARCHIVE, Key=key)["Body"].read()
        if key.endswith("meeting.json"):
            objects[key] = {name: value for name, value in json.loads(body).items() if name != "version"}
        elif key.endswith(".gz"):
            journal = read_journal(body)
            objects[key] = (journal.events, [(file.sort_key, file.status) for file in journal.files])
        elif not key.endswith(".html"):
            objects[key] = body
    return Told(items, objects)


def forget(world: World, *, bucket: bool = True) -> None:
    for item in world.items():
        world.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}})
    for key in world.archived_keys() if bucket else []:
        world.s3.delete_object(Bucket=ARCHIVE, Key=key)


def test_a_meeting_is_told_the_same_whatever_comes_in_which_order_and_how_often(world: World) -> None:
    # The first event ever decides the folder, for good.
    first, *others = news()

    def outcome(order: list[Any], pauses: int) -> Told:
        tell(world, first)
        for number, one in enumerate(order):
            session_id = tell(world, one)
            if pauses and number % pauses == 0:
                enricher_of(world).update_record(session_id)
        enricher_of(world).update_record(session_id)
        try:
            return told(world)
        finally:
            forget(world)

    expected = outcome(others, 0)
    assert len([item for item in expected.items if item["sk"].startswith("MESSAGE#")]) == len(CHAT) + len(SPEECH) + 3

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32), pauses=st.sampled_from([0, 5, 11]))
    def the_same(seed: int, pauses: int) -> None:
        rng = random.Random(seed)
        order = [*others, *rng.choices(others, k=len(others) // 3)]
        rng.shuffle(order)
        assert outcome(order, pauses) == expected

    the_same()


def test_the_table_can_be_rebuilt_from_the_bucket_alone(world: World) -> None:
    for one in news():
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)
    before, items_before = told(world), world.items()
    forget(world, bucket=False)
    assert world.items() == []
    rebuilder = Rebuilder(archive_of(world), Meetings(world.dynamodb, TABLE), enricher_of(world))
    (rebuilt,) = [rebuilder.rebuild(key) for key in rebuilder.journals()]
    assert (rebuilt.session_id, rebuilt.found) == (session_id, 0)
    assert told(world).objects == before.objects
    # What only lives as long as a download (its link, which no journal may hold), and appointments of the auditor.
    fleeting = {"noted_status", "announced_at", "tried_at", "heard_at", "gsi2sk"}

    def lasting(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: value for name, value in item.items() if name not in fleeting} for item in items]

    assert lasting(world.items()) == lasting(items_before)


def test_sessions_that_begin_together_never_share_a_folder(world: World) -> None:
    twins = [documents()[0] | {"sessionId": f"9a441d60-{digit * 4}"} for digit in "1234"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(tell, world), twins))
    for twin in twins:
        enricher_of(world).update_record(tell(world, twin))
    folders = sorted(item["folder"] for item in world.items("SESSION"))
    usual = "weekly-sync/2024-06-26_10-00-00Z_9a441d60"
    assert (len(set(folders)), folders[0]) == (4, usual)
    assert all(folder.startswith(usual) for folder in folders)
    told_of = [json.loads(world.object(f"{folder}/meeting.json"))["session_id"] for folder in folders]
    assert sorted(told_of) == [f"9a441d60-{digit * 4}" for digit in "1234"]
    # The table may be rebuilt, and then nobody gets a folder that was given away.
    before = told(world)
    forget(world, bucket=False)
    rebuilder = Rebuilder(archive_of(world), Meetings(world.dynamodb, TABLE), enricher_of(world))
    for key in list(rebuilder.journals()):
        rebuilder.rebuild(key)
    assert told(world).objects == before.objects
    enricher_of(world).update_record(tell(world, twins[0] | {"sessionId": "9a441d60-5555"}))
    assert len({item["folder"] for item in world.items("SESSION")}) == 5


LONG = "N" * 100_000


@pytest.mark.parametrize(
    "told_of_ada",
    [{"name": LONG, "email": LONG}, {"id": LONG}, {"participantJid": LONG, "participantFullJid": f"{LONG}/{LONG}"}],
    ids=["name", "user-id", "jid"],
)
def test_texts_of_any_length_fit_into_the_table(world: World, told_of_ada: dict[str, str]) -> None:
    join = next(one for one in documents() if one["eventType"] == "PARTICIPANT_JOINED")
    join["data"] |= told_of_ada
    jid = join["data"]["participantFullJid"]
    chat = {"messages": [{"jid": jid, "content": "x" * 350_000, "timestamp": START_MS, "name": LONG}]}
    for one in (join, (UPLOADS[0][0], chat)):
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)
    (message,) = world.items("MESSAGE#")
    assert (message["matched_by"], message["content_cut"]) == ("full_jid", True)
    (entry,) = world.meeting()["people"]
    assert (entry["name"], entry.get("user_id")) == (join["data"]["name"], join["data"]["id"])


def test_a_room_and_a_session_with_endless_names_are_kept(world: World) -> None:
    session_id = tell(world, documents()[0] | {"fqn": f"app/{LONG}", "sessionId": LONG})
    enricher_of(world).update_record(session_id)
    (session,) = world.items("SESSION")
    assert max(len(session[name]) for name in ("pk", "sk", "gsi1pk", "gsi1sk")) < 1100
    assert LONG in json.loads(world.items("EVENT#")[0]["event"])["fqn"]


def test_a_rebuild_finds_a_file_that_came_after_the_journal(world: World) -> None:
    tell(world, news()[0])
    upload, content = UPLOADS[0]
    session_id = enricher_of(world).note(EventMessage(upload, START_MS))
    enricher_of(world).update_record(session_id)
    journal_key = next(key for key in world.archived_keys() if key.endswith(".gz"))
    journal = world.s3.get_object(Bucket=ARCHIVE, Key=journal_key)["Body"].read()
    tell(world, (upload, content))
    world.s3.put_object(Bucket=ARCHIVE, Key=journal_key, Body=journal)
    forget(world, bucket=False)
    rebuilder = Rebuilder(archive_of(world), Meetings(world.dynamodb, TABLE), enricher_of(world))
    assert rebuilder.rebuild(journal_key).found == 1
    assert [item["status"] for item in world.items("FILE#")] == ["archived"]
    assert len(world.items("MESSAGE#")) == len(CHAT)


def test_a_rebuild_beside_a_living_table_overwrites_nothing(world: World) -> None:
    for one in news()[:8]:
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)
    for one in news()[8:]:
        tell(world, one)
    rebuilder = Rebuilder(archive_of(world), Meetings(world.dynamodb, TABLE), enricher_of(world))
    for key in list(rebuilder.journals()):
        rebuilder.rebuild(key)
    rebuilt = told(world)
    enricher_of(world).update_record(session_id)
    assert told(world) == rebuilt
    assert len(world.items("EVENT#")) == len(news())


def test_a_late_join_rewrites_only_what_it_changes(world: World) -> None:
    late = next(one for one in documents() if one["eventType"] == "PARTICIPANT_JOINED" and "Jonas" in str(one))
    kept = [one for one in news() if not (isinstance(one, dict) and "Jonas" in str(one))]
    for one in kept:
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)
    before = {item["sk"]: item for item in world.items()}
    tell(world, late)
    enricher_of(world).update_record(session_id)
    changed = {item["sk"] for item in world.items("MESSAGE#") if item != before.get(item["sk"])}
    of_jonas = {item["sk"] for item in world.items("MESSAGE#") if item.get("user_id") == "auth0|jonas"}
    assert changed == of_jonas != set()


def test_lines_that_a_transcript_replaces_are_kept_and_count_no_more(world: World) -> None:
    chunks = [one for one in documents() if one["eventType"] == "TRANSCRIPTION_CHUNK_RECEIVED"]
    for one in chunks:
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)
    assert [item.get("superseded_by") for item in world.items("MESSAGE#")] == [None, "a later version", None]
    tell(world, UPLOADS[1])
    enricher_of(world).update_record(session_id)
    superseded = [item for item in world.items("MESSAGE#") if "superseded_by" in item]
    assert [item["superseded_by"] for item in superseded] == ["transcript", "a later version"]
    assert all("gsi1pk" not in item for item in superseded)
    spoken = [message["content"] for message in world.meeting()["messages"]]
    assert spoken == [text for _, _, text in SPEECH] + ["One more thing, after the transcript ended."]


def test_people_find_their_sessions_and_messages(world: World) -> None:
    for one in news():
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)

    def query(person: str, kind: str) -> list[dict[str, Any]]:
        return world.dynamodb.query(
            TableName=TABLE,
            IndexName="SessionsIndex",
            KeyConditionExpression="gsi1pk = :person AND begins_with(gsi1sk, :kind)",
            ExpressionAttributeValues={":person": {"S": f"PERSON#{person}"}, ":kind": {"S": kind}},
        )["Items"]

    for person in ("auth0|ada", "ada.nwosu@example.com"):
        (session,) = query(person, "SESSION#")
        assert session["session_id"]["S"] == session_id
        assert session["name"]["S"] == "Ada Nwosu"
    mine = [item["content"]["S"] for item in query("auth0|ada", "MESSAGE#2024-06-26")]
    wanted = [text for _, jid, text in sorted([*CHAT, *SPEECH]) if USERS.get(jid, ("",))[0] == "Ada Nwosu"]
    assert mine == wanted


@dataclass(slots=True)
class WatchedS3:
    """S3 that counts what is put, and fails for one name."""

    s3: Any
    fails_for: str = ""
    puts: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.s3, name)

    def put_object(self, **request: Any) -> Any:
        name = request["Key"].rpartition("/")[2]
        if name == self.fails_for:
            raise EndpointConnectionError(endpoint_url="https://s3.example")
        self.puts[name] += 1
        return self.s3.put_object(**request)


def version_of(world: World, suffix: str) -> str:
    (key,) = [key for key in world.archived_keys() if key.endswith(suffix)]
    return world.s3.head_object(Bucket=ARCHIVE, Key=key)["Metadata"]["version"]


def test_an_enricher_that_dies_before_the_page_leaves_it_to_the_next(world: World) -> None:
    first, *others = news()
    session_id = tell(world, first)
    enricher_of(world).update_record(session_id)
    for one in others:
        tell(world, one)
    dying = Archive(lambda: cast("Any", WatchedS3(world.s3, fails_for="meeting.html")), ARCHIVE)
    with pytest.raises(AwsUnavailableError):
        Enricher(dying, Meetings(world.dynamodb, TABLE), EVERYTHING).update_record(session_id)
    assert int(version_of(world, "meeting.html")) < int(version_of(world, "meeting.json"))
    enricher_of(world).update_record(session_id)
    assert version_of(world, "meeting.html") == version_of(world, "meeting.json")
    assert world.items("SESSION")[0]["projected_version"] == version_of(world, "meeting.html")


def test_an_older_page_never_replaces_a_newer_one(world: World) -> None:
    archive = archive_of(world)
    for version, text in ((2, b"newer"), (1, b"older"), (2, b"the same again")):
        archive.put_versioned("meeting.html", text, content_type="text/html", version=version)
    assert world.object("meeting.html") == b"the same again"


def test_a_burst_of_five_hundred_joins_is_one_rendering(world: World) -> None:
    enricher = enricher_of(world)
    for number in range(500):
        jid = f"{number:08x}-0000-4000-8000-000000000000@8x8.vc"
        joined = event("PARTICIPANT_JOINED", number / 100, {"participantJid": jid, "name": f"Person {number}"})
        session_id = enricher.note(EventMessage(joined, START_MS))
    watched = WatchedS3(world.s3)
    archive = Archive(lambda: cast("Any", watched), ARCHIVE)
    Enricher(archive, Meetings(world.dynamodb, TABLE), EVERYTHING).update_record(session_id)
    Enricher(archive, Meetings(world.dynamodb, TABLE), EVERYTHING).update_record(session_id)
    assert watched.puts == {"meeting.html": 1, "meeting.json": 1, "journal.jsonl.gz": 1}
    assert len(world.meeting()["people"]) == 500


def test_no_link_stands_in_what_the_enricher_writes(world: World) -> None:
    for one in news():
        session_id = tell(world, one)
    enricher_of(world).update_record(session_id)
    for key in world.archived_keys():
        body = world.s3.get_object(Bucket=ARCHIVE, Key=key)["Body"].read()
        assert b"/p/secret/" not in (gzip.decompress(body) if key.endswith(".gz") else body), key
