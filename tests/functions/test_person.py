"""`export` and `erase`: one person's part in meetings, given out and taken out."""

import gzip
import hashlib
import html
import itertools
import json
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.archive import Archive, StoredObject
from jaas_archive.choices import EVERYTHING
from jaas_archive.crc import as_text
from jaas_archive.enriching import LEASE_MS, Enricher
from jaas_archive.events import read_event
from jaas_archive.meetings import JournalEntry, Meetings
from jaas_archive.rebuilding import Rebuilder
from jaas_archive_cli.erase import Erasure
from jaas_archive_cli.person import ERASED
from jaas_archive_cli.stack import Stack
from tests.functions.conftest import ARCHIVE, TABLE, Run, World
from tests.functions.test_record_of_a_meeting import RECORDING, UPLOADS, enricher_of, tell
from tests.sample_meeting import (
    ADA,
    CHAT,
    FOLDER,
    GUEST,
    SESSION_ID,
    SPEECH,
    START_MS,
    TOM,
    USERS,
    documents,
    event,
    participant,
)

NEEDS_ATTENTION, WRONG_USAGE = 1, 2
TOMAS = "auth0|tomas"
PRIVATE = 0o600
LARGE = event(
    "TRANSCRIPTION_CHUNK_RECEIVED",
    31,
    {
        "messageID": "large",
        "final": "canary-large " * 30_000,
        "participant": {"id": TOM[:8], "name": USERS[TOM][0], "userId": TOMAS, "avatarUrl": "canary-avatar"},
    },
)
TOKEN = event("PARTICIPANT_LEFT", 33.2, participant(TOM, department="canary-department", groups=["canary-group"]))
FEEDBACK = event("FEEDBACK", 40, {"rating": 2, "comments": "canary-comment", "userId": TOMAS})
LATE = event("PARTICIPANT_JOINED", 33.5, {"name": "Late", "email": "late@example.com", "id": "late"})
STATS = event(
    "RTCSTATS_UPLOADED",
    41,
    {
        "statsUrl": "https://stats.s3.us-west-2.amazonaws.com/app/stats.gz",
        "participantId": TOMAS,
        "participantName": USERS[TOM][0],
        "endpointId": TOM[:8],
    },
)
EVENTS = [*documents(), TOKEN, FEEDBACK, LATE]
NEWS = [*EVENTS, RECORDING, STATS, LARGE, *UPLOADS]
for one in (*EVENTS, STATS, LARGE):
    # Nobody's name is in a real one.
    one["idempotencyKey"] = hashlib.sha256(one["idempotencyKey"].encode()).hexdigest()


def words_of(jid: str) -> list[str]:
    """What somebody is called, wrote and said."""
    return [
        *USERS[jid],
        USERS[jid][0].replace(" ", "-"),
        *(text for _, author, text in (*CHAT, *SPEECH) if USERS.get(author) == USERS[jid]),
        "One more thing, after the transcript ended.",
        *("canary-large", "canary-avatar", "canary-department", "canary-group", "canary-comment"),
    ]


@pytest.fixture
def meeting(world: World) -> World:
    """A meeting with everything in it, whose record was written twice."""
    world.s3.put_bucket_versioning(Bucket=ARCHIVE, VersioningConfiguration={"Status": "Enabled"})
    for one in (RECORDING, STATS, LARGE):
        tell(world, one)
    entries = [
        JournalEntry(read_event(document, received_at_ms=START_MS), START_MS, json.dumps(document))
        for document in EVENTS
    ]
    enricher = enricher_of(world)
    enricher.meetings.journal(SESSION_ID, entries, [])
    enricher.update_record(SESSION_ID)
    for upload in UPLOADS:
        tell(world, upload)
    archive_stats(world)
    enricher.update_record(SESSION_ID)
    return world


def archive_stats(world: World) -> None:
    """The statistics of his connection, under a key with his name."""
    files = enricher_of(world).meetings.files
    (file,) = world.items("FILE#rtcstats#")
    body = gzip.compress(b"numbers")
    key = f"{FOLDER}/rtcstats/Tomás-Ferreira_{file['id'][:8]}.gz"
    world.s3.put_object(Bucket=ARCHIVE, Key=key, Body=body, ChecksumCRC32C=as_text(crc32c(body)))
    stored = Archive(lambda: world.s3, ARCHIVE).find(key)
    assert stored
    files.finish(SESSION_ID, file["sk"], stored, now_ms=START_MS)


@pytest.fixture
def erased(meeting: World, run: Run) -> World:
    """The same without Tomás."""
    result = run("erase", "--person", TOMAS, "--yes")
    assert result.exit_code == 0, result.output
    return meeting


def texts(world: World) -> Iterator[tuple[str, str]]:
    """Every item, and every version of every object, as text."""
    pages = world.dynamodb.get_paginator("scan").paginate(TableName=TABLE)
    for item in (item for page in pages for item in page["Items"]):
        yield item["sk"]["S"], json.dumps(item, ensure_ascii=False)
    for version in versions(world):
        body = world.s3.get_object(Bucket=ARCHIVE, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        yield (
            version["Key"],
            version["Key"] + (gzip.decompress(body) if version["Key"].endswith(".gz") else body).decode(),
        )


def versions(world: World) -> list[Any]:
    return world.s3.list_object_versions(Bucket=ARCHIVE)["Versions"]


def traces_of(world: World, words: Sequence[str]) -> set[tuple[str, str]]:
    """Where which of the words stand, as they are or escaped for JSON or HTML."""
    forms = {form: word for word in words for form in (word, json.dumps(word)[1:-1], html.escape(word))}
    return {(place, word) for place, text in texts(world) for form, word in forms.items() if form in text}


def listed(world: World, run: Run) -> dict[str, str]:
    """The archived files, and whether the bucket has them as the table says."""
    files = json.loads(run("show", SESSION_ID, "--json").stdout)["files"]
    return {file["key"].rpartition("/")[2]: file["verdict"] for file in files if file["key"]}


# --- erase ------------------------------------------------------------------------------------------------------------


def test_erase_leaves_no_trace_in_any_item_or_version(meeting: World, run: Run) -> None:
    assert {word for _, word in traces_of(meeting, words_of(TOM))} == set(words_of(TOM)), "all of it is there before"
    result = run("erase", "--person", TOMAS, "--yes")
    assert result.exit_code == 0, result.output
    assert traces_of(meeting, words_of(TOM)) == set()
    assert meeting.items("ERASURE#") == []

    before = meeting.items(), versions(meeting)
    result = run("erase", "--person", TOMAS, "--yes")
    assert (result.exit_code, "nothing in the archive" in result.stdout) == (0, True)
    assert (meeting.items(), versions(meeting)) == before, "a second run has nothing to do"


def test_erase_takes_nothing_from_others(meeting: World, run: Run) -> None:
    before = meeting.meeting()
    run("erase", "--person", TOMAS, "--yes")
    after = meeting.meeting()
    (tom,) = [person for person in before["people"] if person.get("user_id") == TOMAS]
    (gone,) = [person for person in after["people"] if person["id"] == tom["id"]]
    assert (gone["name"], gone.get("email"), gone["also_named"]) == (ERASED, None, [])
    told = ("stays", "talk_seconds", "chat_messages", "spoken_lines", "reactions", "seconds_present")
    assert {name: gone[name] for name in told} == {name: tom[name] for name in told}
    for part in ("people", "messages", "reactions", "roles", "participants"):
        changed = [old for old, new in zip(before[part], after[part], strict=True) if old != new]
        assert changed == [old for old in before[part] if USERS[TOM][0] in (old.get("name"), old.get("to"))], part
    assert after["coverage"]["messages"] == before["coverage"]["messages"]
    votes = [[(answer["name"], answer["votes"]) for answer in poll["answers"]] for poll in after["polls"]]
    assert votes == [[("Thursday", 3), ("Monday", 1)]]
    assert "Ada Nwosu" in after["polls"][0]["asked_by"]

    files = listed(meeting, run)
    assert {"chat.json", "transcript.json"} < set(files)
    assert set(files.values()) == {"ok"}
    meeting.audit(hours_later=30)
    assert not [item for item in meeting.items("FINDING#") if item["kind"].startswith("object")]


def test_erase_first_only_shows(meeting: World, run: Run) -> None:
    (recording,) = meeting.items("FILE#recording#")
    stored = StoredObject("recording.mp4", 9, "yZRlqg==", "video/mp4", {})
    enricher_of(meeting).meetings.files.finish(SESSION_ID, recording["sk"], stored, now_ms=START_MS)
    before = meeting.items(), versions(meeting)
    (found,) = json.loads(run("erase", "--person", TOMAS, "--json").stdout)
    assert found["session_id"] == SESSION_ID
    assert [key.rpartition("/")[2] for key in found["rewritten"]] == ["chat.json", "transcript.json"]
    assert found["messages"] == sum(USERS.get(jid) == USERS[TOM] for _, jid, _ in (*CHAT, *SPEECH)) + 2
    assert found["recordings"][0] == "recording.mp4"
    (by_address,) = json.loads(run("erase", "--person", "Tomas@Example.com", "--json").stdout)
    assert by_address == found
    shown = run("erase", "--person", TOMAS).stdout
    assert "recording.mp4" in shown
    assert "Nothing was erased" in shown
    (late,) = json.loads(run("erase", "--person", "late", "--json").stdout)
    assert late["recordings"] == [], "who came after its end"
    assert (meeting.items(), versions(meeting)) == before


def test_nothing_brings_it_back(erased: World, run: Run) -> None:
    for again in NEWS:
        tell(erased, again)
    tell(erased, event("PARTICIPANT_JOINED", 50, participant(ADA)))
    enricher_of(erased).update_record(SESSION_ID)
    assert traces_of(erased, words_of(TOM)) == set(), "a second delivery, and news of others"
    run("replay", "--session", SESSION_ID, "--yes")
    erased.settle()
    assert traces_of(erased, words_of(TOM)) == set(), "a replay"


def test_a_rebuilt_table_has_nothing_of_it(erased: World) -> None:
    files = erased.meeting()["files"]
    for item in erased.items():
        erased.dynamodb.delete_item(TableName=TABLE, Key={name: {"S": item[name]} for name in ("pk", "sk")})
    archive, meetings = Archive(lambda: erased.s3, ARCHIVE), Meetings(erased.dynamodb, TABLE)
    rebuilder = Rebuilder(archive, meetings, Enricher(archive, meetings, EVERYTHING))
    for key in list(rebuilder.journals()):
        rebuilder.rebuild(key)
    assert traces_of(erased, words_of(TOM)) == set()
    assert erased.meeting()["files"] == files
    assert [file["kind"] for file in files if "erased_at" in file] == ["chat", "rtcstats", "transcript"]


def test_erase_takes_the_person_out_of_documents_and_leaves_pictures(meeting: World, run: Run) -> None:
    store = "https://objectstorage.eu-frankfurt-1.oraclecloud.com/p/t/n/ns/b/documents/o/app/"
    data = {"fileId": "doc-1", "fileName": "plan.pdf", "initiatorId": TOMAS}
    added = event("DOCUMENT_ADDED", 42, data | {"preAuthenticatedLink": f"{store}plan.pdf", "fileSize": 9})
    deleted = event("DOCUMENT_DELETED", 43, data)
    history = event("SCREEN_SHARING_HISTORY", 44, {"preAuthenticatedLink": f"{store}list.json", "linkExpiration": 1})
    for one in (added, deleted, history):
        one["idempotencyKey"] = hashlib.sha256(one["idempotencyKey"].encode()).hexdigest()
        tell(meeting, one)
    enricher_of(meeting).update_record(SESSION_ID)
    files = enricher_of(meeting).meetings.files
    (document,) = meeting.items("FILE#document#")
    stored = StoredObject(f"{FOLDER}/documents/plan.pdf", 9, "yZRlqg==", "application/pdf", {})
    files.finish(SESSION_ID, document["sk"], stored, now_ms=START_MS)
    (before,) = [file for file in meeting.meeting()["files"] if file["kind"] == "document"]
    assert (before["by"], before["deleted_by"]) == (USERS[TOM][0], USERS[TOM][0])

    (found,) = json.loads(run("erase", "--person", TOMAS, "--yes", "--json").stdout)
    assert stored.key in found["recordings"], "the admin decides what becomes of it"
    assert traces_of(meeting, [*words_of(TOM), TOMAS]) == set()
    for again in (added, deleted):
        tell(meeting, again)
    enricher_of(meeting).update_record(SESSION_ID)
    assert traces_of(meeting, [*words_of(TOM), TOMAS]) == set(), "a second delivery"
    (after,) = [file for file in meeting.meeting()["files"] if file["kind"] == "document"]
    assert (after["title"], after["deleted_at"]) == ("plan.pdf", before["deleted_at"])
    assert (after.get("by"), after.get("deleted_by")) == (ERASED, ERASED)


def test_refuses_under_object_lock(world: World, run: Run) -> None:
    world.s3.put_bucket_versioning(Bucket=ARCHIVE, VersioningConfiguration={"Status": "Enabled"})
    # S3 takes it later too, moto only while the bucket is empty.
    world.s3.put_object_lock_configuration(
        Bucket=ARCHIVE,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 365}},
        },
    )
    for one in documents()[:3]:
        tell(world, one)
    enricher_of(world).update_record(SESSION_ID)
    before = world.items()
    for more in ([], ["--yes"]):
        result = run("erase", "--person", TOMAS, *more)
        assert result.exit_code == NEEDS_ATTENTION
        assert "compliance mode, 365 days" in result.stderr
    assert world.items() == before


@dataclass
class Mortal:
    """A client that dies at one of its next writing calls; so many are left."""

    client: Any
    left: list[int]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if not name.startswith(("put_", "update_", "delete_", "batch_write")):
            return found

        def call(**arguments: Any) -> Any:
            self.left[0] -= 1
            if self.left[0] < 0:
                raise KeyboardInterrupt
            return found(**arguments)

        return call


@dataclass(frozen=True)
class MortalStack(Stack):
    """A stack whose clients die together."""

    def client(self, service: str) -> Any:
        return Mortal(super().client(service), LEFT)


LEFT = [0]


def test_an_interrupted_run_is_finished_by_the_next(meeting: World, run: Run) -> None:
    """Each run dies a little later than the one before, until one comes to its end."""
    stack = MortalStack.find("jaas-archive", profile=None, region=None)
    for deaths in itertools.count():
        LEFT[0] = 1 + 9 * deaths
        begins_at = time.time() + deaths * LEASE_MS / 1000
        try:
            list(Erasure(stack, TOMAS, write=True, clock=lambda now=begins_at: now).run(None))  # type: ignore[misc]
        except KeyboardInterrupt:
            continue
        break
    assert deaths > 3
    assert traces_of(meeting, words_of(TOM)) == set()
    assert meeting.items("ERASURE#") == []
    assert listed(meeting, run)["chat.json"] == "ok"
    counting = [item for item in meeting.items("MESSAGE#") if "superseded_by" not in item]
    assert len(meeting.meeting()["messages"]) == len(counting)


def test_waits_while_another_makes_the_record(meeting: World, run: Run) -> None:
    sessions = enricher_of(meeting).meetings.sessions
    sessions.ask_for_projection(SESSION_ID)
    assert sessions.claim_projection(SESSION_ID, now_ms=int(time.time() * 1000), lease_ms=LEASE_MS)
    stack = Stack.find("jaas-archive", profile=None, region=None)

    def give_back(_: float) -> None:
        assert traces_of(meeting, words_of(TOM)), "nothing is touched while another may write it again"
        sessions.release_projection(SESSION_ID)

    assert list(Erasure(stack, TOMAS, write=True, sleep=give_back).run(None))
    assert traces_of(meeting, words_of(TOM)) == set()


def test_who_has_no_token_is_found_by_name_in_one_session(meeting: World, run: Run) -> None:
    hello = next(text for _, jid, text in CHAT if jid == GUEST)
    assert json.loads(run("erase", "--person", "Priya Raman", "--json").stdout) == []
    result = run("erase", "--person", "priya raman", "--session", SESSION_ID, "--yes", "--json")
    (found,) = json.loads(result.stdout)
    assert (found["messages"], result.exit_code) == (1, 0)
    assert traces_of(meeting, ["Priya Raman", hello]) == set()
    assert traces_of(meeting, ["Welcome Priya!"]), "what others wrote stays"


def test_a_name_that_several_have_is_not_enough(meeting: World, run: Run) -> None:
    namesake = participant(ADA, id="auth0|other-ada", participantJid="77777777-0000-4000-8000-000000000000@8x8.vc")
    tell(meeting, event("PARTICIPANT_JOINED", 51, namesake | {"participantFullJid": "", "participantId": "77777777"}))
    result = run("erase", "--person", "Ada Nwosu", "--session", SESSION_ID, "--yes")
    assert result.exit_code == WRONG_USAGE
    assert "auth0|other-ada" in result.stderr


# --- export -----------------------------------------------------------------------------------------------------------


def test_export_has_all_that_is_theirs_and_nothing_of_others(meeting: World, run: Run) -> None:
    text = run("export", "--person", TOMAS, "--json").stdout
    for word in words_of(TOM):
        assert json.dumps(word, ensure_ascii=False)[1:-1] in text
    for other in ("Ada", "auth0|jonas", "Mei-Ling", "Priya", "Good morning everyone", "Sure."):
        assert other not in text
    (session,) = json.loads(text)["sessions"]
    assert session["session_id"] == SESSION_ID
    assert [poll["chosen"] for poll in session["polls"]] == [["Thursday"]]
    assert {reaction["reaction"] for reaction in session["reactions"]} == {"clap", "laugh"}
    assert [role["role"] for role in session["roles"]] == ["moderator"]
    kinds = [file["kind"] for file in session["files"]]
    assert kinds == ["chat", "rtcstats", "transcript"]
    assert session["people"][0]["seconds_present"] > 0


def test_export_writes_a_file_that_only_the_admin_reads(meeting: World, run: Run, tmp_path: Path) -> None:
    result = run("export", "--person", "tomas@example.com", "--output", str(tmp_path / "requests"))
    (path,) = (tmp_path / "requests").iterdir()
    assert str(path) in result.stdout
    assert "1 sessions" in result.stdout
    assert stat.S_IMODE(path.stat().st_mode) == PRIVATE
    assert json.loads(path.read_text())["sessions"][0]["session_id"] == SESSION_ID


def test_export_of_somebody_unknown(world: World, run: Run) -> None:
    result = run("export", "--person", "nobody@example.com", "--json")
    assert (result.exit_code, json.loads(result.stdout)["sessions"]) == (0, [])
