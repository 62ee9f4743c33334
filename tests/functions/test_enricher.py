import itertools
import json
import random
from typing import Any

import pytest

from local.jaas.files import FileServer
from tests.functions.conftest import World

APP = "vpaas-magic-cookie-96f0941768964ab380ed0fbada7a502f"
SESSION = "9a441d60-ceaf-4eba-b0a8-a7d940a76e1b"
START = 1719366000000
ADA, BEN = "8e1fd0e1-990e-4093-9ab9-3e31a0ae87ba@8x8.vc", "11111111-990e-4093-9ab9-3e31a0ae87ba@8x8.vc"


def event(event_type: str, at: int = 0, **data: Any) -> dict[str, Any]:
    return {
        "idempotencyKey": f"{event_type}-{at}-{data.get('participantJid', '')}",
        "customerId": "c",
        "appId": APP,
        "eventType": event_type,
        "sessionId": SESSION,
        "timestamp": START + at * 1000,
        "fqn": f"{APP}/weeklysync",
        "data": data,
    }


def joined(jid: str, name: str, at: int = 1, *, full: bool = True, **data: Any) -> dict[str, Any]:
    told = {"participantJid": jid, "name": name, "email": f"{name.lower()}@example.com", "id": f"user-{name}"}
    return event("PARTICIPANT_JOINED", at, **told, **({"participantFullJid": f"{jid}/res"} if full else {}), **data)


def message(jid: str, content: str, at: int = 5) -> dict[str, Any]:
    return {"jid": jid, "content": content, "timestamp": START + at * 1000}


def chat(files: FileServer, *messages: dict[str, Any], name: str = "app/chat.json") -> dict[str, Any]:
    body = json.dumps({"sessionId": SESSION, "messageType": "CHAT", "messages": list(messages)}).encode()
    return event("CHAT_UPLOADED", 100, preAuthenticatedLink=files.publish(body, name=name).url)


def attributed(world: World) -> list[tuple[str, str | None, str]]:
    return [(item["content"], item.get("name"), item["matched_by"]) for item in world.items("MESSAGE#")]


def test_attributes_a_message_by_full_jid(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada"))
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.settle()
    (item,) = world.items("MESSAGE#")
    assert item["sk"] == f"MESSAGE#{START + 5000}#000000"
    assert {name: item[name] for name in ("content", "jid", "name", "email", "user_id", "matched_by", "source")} == {
        "content": "hello",
        "jid": f"{ADA}/res",
        "name": "Ada",
        "email": "ada@example.com",
        "user_id": "user-Ada",
        "matched_by": "full_jid",
        "source": "chat",
    }


def test_attributes_by_bare_jid_where_the_full_one_is_missing(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada", full=False))
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.settle()
    assert attributed(world) == [("hello", "Ada", "bare_jid")]


def test_names_nobody_for_an_unknown_jid(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada"))
    world.accept(chat(files, message(f"{BEN}/res", "hello")))
    world.settle()
    assert attributed(world) == [("hello", None, "unknown")]
    assert world.items("MESSAGE#")[0]["jid"] == f"{BEN}/res"


def test_a_join_that_comes_after_the_chat_attributes_what_is_stored(world: World, files: FileServer) -> None:
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.settle()
    assert attributed(world) == [("hello", None, "unknown")]
    world.accept(joined(ADA, "Ada"))
    world.settle()
    assert attributed(world) == [("hello", "Ada", "full_jid")]
    assert world.meeting()["messages"][0]["name"] == "Ada"


def test_one_person_with_two_connections_is_named_for_both(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada", 1))
    world.accept(joined(BEN, "Ada", 50))
    world.accept(chat(files, message(f"{ADA}/res", "one"), message(f"{BEN}/res", "two", 60)))
    world.settle()
    assert attributed(world) == [("one", "Ada", "full_jid"), ("two", "Ada", "full_jid")]


def test_the_order_and_number_of_deliveries_change_nothing(world: World, files: FileServer) -> None:
    events = [
        event("ROOM_CREATED", 0),
        joined(ADA, "Ada", 1),
        event("PARTICIPANT_LEFT", 90, participantJid=ADA, name="Ada", disconnectReason="left"),
        joined(BEN, "Ben", 2, full=False),
        chat(files, message(f"{ADA}/res", "one"), message(f"{BEN}/res", "two"), message("nobody@8x8.vc/x", "three")),
        event("ROOM_DESTROYED", 99),
    ]
    results = []
    for seed, shuffled in enumerate(itertools.islice(itertools.permutations(events), 0, 720, 103)):
        # The first event decides the folder, for good.
        deliveries = [events[0], *shuffled, *random.Random(seed).choices(events, k=4)]
        for delivery in deliveries:
            world.accept(delivery)
            world.settle()
        meeting = world.meeting()
        del meeting["version"]
        for file in meeting["files"]:
            del file["archived_at"]
        times = {"received_at", "archived_at", "announced_at", "tried_at", "heard_at", "gsi2sk"}
        volatile = times | {"version", "projected_version", "tries"}
        items = [{name: value for name, value in item.items() if name not in volatile} for item in world.items()]
        results.append((meeting, items))
        for item in world.items():
            world.dynamodb.delete_item(TableName="meetings", Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}})
        for key in world.archived_keys():
            world.s3.delete_object(Bucket="archive", Key=key)
    assert len(results) == 7
    assert all(result == results[0] for result in results)


def test_the_same_news_again_writes_nothing(world: World, files: FileServer) -> None:
    deliveries = [joined(ADA, "Ada"), chat(files, message(f"{ADA}/res", "hello"))]
    for delivery in deliveries:
        world.accept(delivery)
    world.settle()
    before, etag = world.items(), world.object("meeting.json")
    for delivery in deliveries:
        world.accept(delivery)
    world.settle()
    assert world.items() == before
    assert world.object("meeting.json") == etag


def test_messages_of_one_millisecond_are_all_kept_in_their_order(world: World, files: FileServer) -> None:
    world.accept(chat(files, *[message(f"{ADA}/res", text) for text in ("b", "a", "a")]))
    world.settle()
    assert [item["content"] for item in world.items("MESSAGE#")] == ["b", "a", "a"]


def test_a_chat_of_more_messages_than_a_transaction_takes(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada"))
    world.accept(chat(files, *[message(f"{ADA}/res", f"message {n}", n) for n in range(250)]))
    world.settle()
    session = world.items("SESSION")[0]
    assert (session["messages"], session["messages_attributed"]) == ("250", "250")
    assert len(world.meeting()["messages"]) == 250


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"name": "Ada", "content": "hello", "timestamp": START}]},
        {"messages": [{"jid": f"{ADA}/res", "content": "hello", "timestamp": START}], "messageType": "CHAT"},
        {
            "events": [
                {"event": "JOIN", "timestamp": START},
                {
                    "event": "SPEECH",
                    "timestamp": START,
                    "participant": {"name": "Ada", "id": "8e1fd0e1"},
                    "transcript": [{"text": "hello", "confidence": 0.9}],
                },
            ]
        },
    ],
    ids=["named", "chat-like", "jigasi"],
)
def test_reads_the_known_shapes_of_transcripts(world: World, files: FileServer, body: dict[str, Any]) -> None:
    world.accept(joined(ADA, "Ada"))
    link = files.publish(json.dumps(body).encode(), name="app/transcript.json")
    world.accept(event("TRANSCRIPTION_UPLOADED", 100, preAuthenticatedLink=link.url))
    world.settle()
    (item,) = world.items("MESSAGE#")
    assert (item["content"], item["name"], item["source"]) == ("hello", "Ada", "speech")


@pytest.mark.parametrize(
    "body", [b"", b"plain text", b"[]", b"{}", b'{"messages": 7}', b'{"messages": [1, null, {}]}', b"\xff\xfe"]
)
def test_archives_what_it_cannot_read(world: World, files: FileServer, body: bytes) -> None:
    link = files.publish(body, name="app/transcript")
    world.accept(event("TRANSCRIPTION_UPLOADED", 100, preAuthenticatedLink=link.url))
    world.settle()
    assert [item["status"] for item in world.items("FILE#")] == ["archived"]
    assert world.items("MESSAGE#") == []
    assert world.meeting()["files"][0]["status"] == "archived"


def test_participants_hold_who_was_there_and_when(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada", 1, moderator="true", participantId="8e1fd0e1"))
    world.accept(event("PARTICIPANT_LEFT", 90, participantJid=ADA, name="Ada", disconnectReason="kicked"))
    world.settle()
    (item,) = world.items("PARTICIPANT#")
    del item["pk"]
    assert item == {
        "sk": f"PARTICIPANT#{ADA}",
        "jid": ADA,
        "full_jid": f"{ADA}/res",
        "participant_id": "8e1fd0e1",
        "name": "Ada",
        "email": "ada@example.com",
        "user_id": "user-Ada",
        "moderator": True,
        "joined_at": str(START + 1000),
        "left_at": str(START + 90_000),
        "left_because": "kicked",
    }


def test_a_session_is_listed_by_room_and_by_day(world: World) -> None:
    world.accept(event("ROOM_CREATED", 0))
    world.settle()
    for key in ("ROOM#weeklysync", "DAY#2024-06-26"):
        found = world.dynamodb.query(
            TableName="meetings",
            IndexName="SessionsIndex",
            KeyConditionExpression="gsi1pk = :key",
            ExpressionAttributeValues={":key": {"S": key}},
        )
        assert [item["session_id"]["S"] for item in found["Items"]] == [SESSION]


def test_the_journal_holds_the_event_as_it_came_without_its_links(world: World, files: FileServer) -> None:
    sent = event("RECORDING_STARTED", 3, conference="weeklysync@conference", more={"url": "https://x.example/p/1"})
    world.accept(sent)
    world.settle()
    (item,) = world.items("EVENT#")
    kept = json.loads(item["event"])
    assert kept.pop("data") == {"conference": "weeklysync@conference", "more": {"url": "[link removed]"}}
    assert kept == {name: value for name, value in sent.items() if name != "data"}


def test_an_event_too_large_for_an_item_lies_in_the_folder(world: World, files: FileServer) -> None:
    world.accept(joined(ADA, "Ada", padding="x" * 2_000_000))
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.settle()
    pointers = [item["event_key"] for item in world.items("EVENT#") if "event_key" in item]
    assert len(pointers) == 1
    assert pointers[0] in world.archived_keys()
    assert attributed(world) == [("hello", "Ada", "full_jid")]


def test_an_event_of_no_session_is_kept(world: World) -> None:
    usage = event("USAGE", 1)
    del usage["sessionId"]
    world.accept(usage)
    world.settle()
    assert len(world.items("EVENT#")) == 1


def test_news_that_arrives_while_another_holds_the_lease_is_not_lost(world: World) -> None:
    world.accept(event("ROOM_CREATED", 0))
    world.settle()
    key = {"pk": {"S": f"SESSION#{SESSION}"}, "sk": {"S": "SESSION"}}
    world.dynamodb.update_item(
        TableName="meetings",
        Key=key,
        UpdateExpression="SET projection_lease_until = :far",
        ExpressionAttributeValues={":far": {"N": "9999999999999"}},
    )
    world.accept(joined(ADA, "Ada"))
    world.settle()
    assert world.items("PARTICIPANT#") == []
    # The holder dies without having seen the news; nothing else happens but that time passes.
    world.dynamodb.update_item(TableName="meetings", Key=key, UpdateExpression="REMOVE projection_lease_until")
    world.show_all("meeting")
    world.settle()
    assert [item["name"] for item in world.items("PARTICIPANT#")] == ["Ada"]


def test_a_chat_that_somebody_deleted_does_not_keep_the_rest_from_its_record(world: World, files: FileServer) -> None:
    world.accept(chat(files, message(f"{ADA}/res", "hello")))
    world.settle()
    (key,) = [key for key in world.archived_keys() if key.endswith("chat.json")]
    world.s3.delete_object(Bucket="archive", Key=key)
    world.accept(joined(ADA, "Ada"))
    world.settle()
    assert [item["name"] for item in world.items("PARTICIPANT#")] == ["Ada"]


@pytest.mark.parametrize(
    "text", ["see https://x.example/p/SECRET for it", '{"link": "https:\\/\\/x.example\\/p\\/SECRET"}']
)
def test_no_link_in_any_text_gets_into_the_journal(world: World, text: str) -> None:
    world.accept(event("FEEDBACK", 3, comments=text))
    world.settle()
    assert "SECRET" not in json.dumps(world.items())


def test_a_message_that_is_not_ours_goes_to_the_dead_letter_queue(world: World) -> None:
    world.sqs.send_message(QueueUrl=world.queues["meeting"], MessageBody='{"type":"unknown"}')
    world.accept(event("ROOM_CREATED", 0))
    world.settle()
    (letter,) = world.receive("meeting-dead")
    assert letter["MessageAttributes"]["error"]["StringValue"] == "InvalidMessageError"
    assert len(world.items("EVENT#")) == 1


def test_meeting_json_says_what_the_archive_knows(world: World, files: FileServer) -> None:
    for sent in (event("ROOM_CREATED", 0), joined(ADA, "Ada"), chat(files, message(f"{ADA}/res", "hello"))):
        world.accept(sent)
    world.accept(event("ROOM_DESTROYED", 99))
    world.settle()
    meeting = world.meeting()
    assert meeting["schema_version"] == 1
    assert (meeting["room"], meeting["session_id"], meeting["app_id"]) == ("weeklysync", SESSION, APP)
    assert (meeting["started_at"], meeting["ended_at"]) == ("2024-06-26T01:40:00.000Z", "2024-06-26T01:41:39.000Z")
    assert meeting["coverage"] == {
        "messages": 1,
        "with_a_name": 1,
        "ratio": 1.0,
        "matched_by": {"full_jid": 1},
        "confidence": {"certain": 1},
    }
    assert [file["name"] for file in meeting["files"]] == ["chat.json"]
    assert [kept["type"] for kept in meeting["events"]] == [
        "ROOM_CREATED",
        "PARTICIPANT_JOINED",
        "ROOM_DESTROYED",
        "CHAT_UPLOADED",
    ]
