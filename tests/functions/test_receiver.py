import base64
import gzip
import json
import time
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.receiver import app as receiver_app
from jaas_archive.kinds import KINDS
from jaas_archive.signature import sign
from tests.functions.conftest import EVENTS, SECRET, World, context

WITH_A_FILE = {kind.event_type for kind in KINDS}


def envelope(**changes: object) -> bytes:
    event = {
        "idempotencyKey": "9e9e7420-562d-4659-8e22-44b9b22aaa49",
        "eventType": "PARTICIPANT_JOINED",
        "sessionId": "9a441d60-ceaf-4eba-b0a8-a7d940a76e1b",
        "timestamp": 1719366173483,
        "fqn": "vpaas-magic-cookie-96f0941768964ab380ed0fbada7a502f/weeklysync",
        "data": {"name": "Test User"},
    }
    return json.dumps(event | changes).encode()


def signed(body: bytes, *, secret: str = SECRET, stamp: str | None = None) -> dict[str, str]:
    stamp = stamp or str(int(time.time()))
    return {"x-jaas-signature": f"t={stamp},v1={sign(secret, stamp, body)}"}


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_takes_every_sample_event_and_hands_it_on_as_it_came(world: World, path: Path) -> None:
    body = path.read_bytes()
    document = json.loads(body)
    reply = world.post(body)
    if set(document) == {"fqn"}:
        assert (reply.status, reply.content) == (HTTPStatus.OK, {})
        assert world.messages_in("meeting") == []
        return
    assert reply.status == (HTTPStatus.OK if document["eventType"] == "SETTINGS_PROVISIONING" else HTTPStatus.ACCEPTED)
    (message,) = world.messages_in("meeting")
    assert message["event"] == document
    downloads = world.messages_in("download")
    assert [message["event"] for message in downloads] == ([document] if document["eventType"] in WITH_A_FILE else [])


def test_verifies_the_vector_that_8x8_publishes(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.secrets.put_secret_value(SecretId="webhook", SecretString="whsec_9635df66714a4cf088ee9d0979dd3bf6")
    header = {"x-jaas-signature": "t=1632490060,v1=xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0="}
    reply = world.post((EVENTS / "signature_vector.json").read_bytes(), headers=header)
    # The signature matches; only its time, in 2021, is outside of the tolerance.
    assert reply.status == HTTPStatus.UNAUTHORIZED
    assert "too old" in vars(caplog.records[-1])["reason"]


def test_signs_over_the_raw_bytes_of_a_body_that_api_gateway_encoded(world: World) -> None:
    body = b' {"eventType" : "ROOM_CREATED",\r\n "fqn":"app/room", "sessionId":"s"}\n'
    assert world.post(body, encoded=True).status == HTTPStatus.ACCEPTED


def test_accepts_when_any_of_several_signatures_matches(world: World) -> None:
    body = envelope()
    stamp = str(int(time.time()))
    wrong = base64.b64encode(bytes(32)).decode()
    header = {"x-jaas-signature": f"t={stamp},v0=abc=,v1={wrong},v1={sign(SECRET, stamp, body)}"}
    assert world.post(body, headers=header).status == HTTPStatus.ACCEPTED


@pytest.mark.parametrize("separator", [" ", ",", "\n", ", "])
def test_accepts_either_secret_while_they_are_rotated(world: World, separator: str) -> None:
    world.secrets.put_secret_value(SecretId="webhook", SecretString=f"whsec_old{separator}whsec_new")
    body = envelope()
    for secret in ("whsec_old", "whsec_new"):
        assert world.post(body, headers=signed(body, secret=secret)).status == HTTPStatus.ACCEPTED


def test_an_old_secret_counts_for_no_more_than_a_minute(world: World) -> None:
    """Where nothing makes the receiver look at it again before."""
    body = envelope()

    def status() -> int:
        return world.post(body, headers=signed(body, secret="whsec_old")).status

    world.secrets.put_secret_value(SecretId="webhook", SecretString="whsec_old whsec_new")
    assert status() == HTTPStatus.ACCEPTED
    world.secrets.put_secret_value(SecretId="webhook", SecretString="whsec_new")
    assert status() == HTTPStatus.ACCEPTED

    receiver_app.receiver().secrets.clock = lambda: time.time() + 60
    assert status() == HTTPStatus.UNAUTHORIZED


def test_looks_at_the_secret_again_before_it_refuses(world: World) -> None:
    body = envelope()
    assert world.post(body).status == HTTPStatus.ACCEPTED
    world.secrets.put_secret_value(SecretId="webhook", SecretString="whsec_changed")
    assert world.post(body, headers=signed(body, secret="whsec_changed")).status == HTTPStatus.ACCEPTED


@pytest.mark.parametrize("value", ["", " \n", ","])
def test_answers_503_until_the_secret_is_set(world: World, value: str) -> None:
    world.secrets.delete_secret(SecretId="webhook", ForceDeleteWithoutRecovery=True)
    if value:
        world.secrets.create_secret(Name="webhook", SecretString=value)
    reply = world.post(envelope())
    assert reply.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert world.messages_in("meeting") == []


def test_takes_events_as_soon_as_an_empty_secret_is_set(world: World) -> None:
    world.secrets.put_secret_value(SecretId="webhook", SecretString=" ")
    assert world.post(envelope()).status == HTTPStatus.SERVICE_UNAVAILABLE
    world.secrets.put_secret_value(SecretId="webhook", SecretString=SECRET)
    receiver_app.receiver().secrets.clock = lambda: time.time() + 6
    assert world.post(envelope()).status == HTTPStatus.ACCEPTED


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=1719366173",
        "v1=abc=",
        "t=,v1=abc=",
        "t=-1,v1=abc=",
        "t=1719366173,v1=",
        "t=1719366173,v2=abc=",
        "t=99999999999999999999,v1=abc=",
        "t=١٢٣,v1=abc=",
        "garbage",
        "v1=" + "a" * 5000,
    ],
)
def test_refuses_a_header_that_proves_nothing(world: World, header: str | None) -> None:
    reply = world.post(envelope(), headers={} if header is None else {"x-jaas-signature": header})
    assert reply.status == HTTPStatus.UNAUTHORIZED
    assert world.messages_in("meeting") == []


def test_refuses_a_changed_body_and_a_foreign_secret(world: World) -> None:
    body = envelope()
    for headers, sent in ((signed(body), body + b" "), (signed(body, secret="whsec_other"), body)):
        assert world.post(sent, headers=headers).status == HTTPStatus.UNAUTHORIZED
    assert world.messages_in("meeting") == []


@pytest.mark.parametrize("offset", [-86_500, 86_500])
def test_refuses_a_signature_outside_of_the_tolerance(world: World, offset: int) -> None:
    body = envelope()
    stamp = str(int(time.time()) + offset)
    assert world.post(body, headers=signed(body, stamp=stamp)).status == HTTPStatus.UNAUTHORIZED


def test_accepts_a_late_retry_within_the_tolerance(world: World) -> None:
    body = envelope()
    stamp = str(int(time.time()) - 80_000)
    assert world.post(body, headers=signed(body, stamp=stamp)).status == HTTPStatus.ACCEPTED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"42",
        b'"text"',
        b"null",
        b"{}",
        b'{"eventType":"X"}',
        b'{"eventType":7,"data":{}}',
        b'{"sessionId":"s","fqn":"a/b"}',
        b'{"eventType":"X","fqn":"a/b","data":' + b"[" * 100 + b"]" * 100 + b"}",
        gzip.compress(b'{"eventType":"X","fqn":"a/b"}', mtime=0),
        b'{"eventType":"X","fqn":"a/b","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: f"{len(body)}-{body[:40]!a}",
)
def test_answers_400_to_what_is_signed_and_no_event_and_keeps_it_all_the_same(world: World, body: bytes) -> None:
    assert world.post(body, encoded=True).status == HTTPStatus.BAD_REQUEST
    world.settle()
    (letter,) = world.receive("meeting-dead")
    assert base64.b64decode(json.loads(letter["Body"])["body"]) == body
    assert letter["MessageAttributes"]["reason"]["StringValue"].startswith("JaaS signed what is no event")


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"eventType":"X","fqn":"a/b","data":NaN}', "NaN"),
        (b'{"eventType":"X","fqn":"a/b","data":-Infinity}', "-Infinity"),
        (b'{"eventType":"X","fqn":"a/b","data":1e999}', "1e999"),
        (b'{"eventType":"X","fqn":"a/b","data":' + b"7" * 5000 + b"}", "7" * 5000),
        (b'{"eventType":"X","fqn":"a/b","data":"\xff\xfe"}', "\ufffd\ufffd"),
        (b'\xef\xbb\xbf{"eventType":"X","fqn":"a/b","data":1}', 1),
        (b'{"eventType":"Y","eventType":"X","fqn":"c/d","fqn":"a/b","data":1,"data":2}', 2),
        (b'{"eventType":"X","fqn":"a/b","data":' + b"[" * 98 + b"]" * 98 + b"}", json.loads("[" * 98 + "]" * 98)),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_keeps_an_event_that_is_odd(world: World, body: bytes, data: object) -> None:
    assert world.post(body, encoded=True).status == HTTPStatus.ACCEPTED
    (message,) = world.messages_in("meeting")
    assert (message["event"]["eventType"], message["event"]["data"]) == ("X", data)
    world.post(body, encoded=True)
    world.settle()
    assert world.receive("meeting-dead") == []
    assert len(world.items("EVENT#")) == 1


def test_answers_503_when_what_is_no_event_cannot_be_kept(world: World) -> None:
    world.sqs.delete_queue(QueueUrl=world.queues["meeting"])
    assert world.post(b"not json").status == HTTPStatus.SERVICE_UNAVAILABLE


def test_an_event_without_a_time_that_comes_again_counts_once(world: World) -> None:
    body = b'{"eventType":"X","fqn":"a/b","idempotencyKey":"k"}'
    for _ in range(2):
        assert world.post(body).status == HTTPStatus.ACCEPTED
        world.settle()
        time.sleep(0.002)
    assert len(world.items("EVENT#")) == 1


def test_every_refused_signature_gets_the_same_answer(world: World) -> None:
    body, now = envelope(), int(time.time())
    headers: list[dict[str, str]] = [{"x-jaas-signature": text} for text in ("", "garbage", "t=1", "v1=a", "x" * 5000)]
    headers += [signed(body, secret="whsec_other"), signed(body, stamp=str(now - 90_000)), signed(body + b" "), {}]
    replies = [world.post(sent, headers=one) for one in headers for sent in (body, b"not json", b"{}")]
    assert {(reply.status, json.dumps(reply.content)) for reply in replies} == {
        (HTTPStatus.UNAUTHORIZED, '{"error": "nothing proves that JaaS sent this"}')
    }


@pytest.mark.parametrize("header", ["Bearer one", "Bearer two"])
def test_an_authorization_is_demanded_where_there_is_one(world: World, header: str) -> None:
    text = json.dumps({"secret": SECRET, "authorization": ["Bearer one", "Bearer two"]})
    world.secrets.put_secret_value(SecretId="webhook", SecretString=text)
    body = envelope()
    for wrong in ({}, {"authorization": "Bearer three"}, {"authorization": ""}):
        assert world.post(body, headers=signed(body) | wrong).status == HTTPStatus.UNAUTHORIZED
    for proof in ({"x-jaas-signature": "t=1,v1=a"}, {}):
        assert world.post(body, headers=proof | {"authorization": header}).status == HTTPStatus.UNAUTHORIZED
    assert world.messages_in("meeting") == []
    assert world.post(body, headers=signed(body) | {"authorization": header}).status == HTTPStatus.ACCEPTED


def test_a_secret_that_cannot_be_read_keeps_events_at_jaas(world: World) -> None:
    world.secrets.put_secret_value(SecretId="webhook", SecretString='{"secret": ')
    assert world.post(envelope()).status == HTTPStatus.SERVICE_UNAVAILABLE


def test_takes_events_only_from_allowed_addresses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_SOURCE_IPS", "52.26.201.32, 192.0.2.0/24,2001:db8::/32")
    body = envelope()
    for source, status in {
        "52.26.201.32": 202,
        "192.0.2.77": 202,
        "2001:db8::7": 202,
        "52.26.201.33": 403,
        "::ffff:52.26.201.32": 403,
        "": 403,
        "x": 403,
    }.items():
        assert world.post(body, source_ip=source).status == status
        assert world.post(body, headers={}, source_ip=source).status == HTTPStatus.UNAUTHORIZED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ENVELOPES = st.dictionaries(
    st.sampled_from(["eventType", "fqn", "sessionId", "timestamp", "idempotencyKey", "appId", "data", "x"]), JSON
)
BODIES = (
    st.binary()
    | st.text().map(lambda text: text.encode("utf-8", "replace"))
    | ENVELOPES.map(lambda document: json.dumps(document).encode())
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "headers": JSON | st.dictionaries(st.sampled_from(["X-Jaas-Signature", "authorization"]), st.text()),
        "body": JSON | BODIES.map(lambda body: body.decode("latin-1")),
        "isBase64Encoded": JSON,
        "requestContext": JSON | st.fixed_dictionaries({"http": JSON | st.fixed_dictionaries({"sourceIp": JSON})}),
        "cookies": JSON,
        "rawQueryString": JSON,
    },
)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(request=REQUESTS)
def test_no_request_of_a_stranger_is_taken_or_breaks_anything(world: World, request: dict[str, object]) -> None:
    answer = receiver_app.handler(request, context())
    assert answer["statusCode"] in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
    assert answer["statusCode"] != HTTPStatus.OK or answer["body"] == "{}"


@FUZZ
@given(body=BODIES)
def test_whatever_is_signed_is_taken_or_kept(world: World, body: bytes) -> None:
    assert world.post(body, encoded=True).status in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST)


@FUZZ
@given(body=BODIES, header=st.text() | st.from_regex(r"t=[0-9]{1,12}(,v[012]=[A-Za-z0-9+/]*=?){0,5}", fullmatch=True))
def test_no_header_that_is_made_up_is_taken(world: World, body: bytes, header: str) -> None:
    reply = world.post(body, headers={"x-jaas-signature": header}, encoded=True)
    assert reply.status == HTTPStatus.UNAUTHORIZED or (reply.status, reply.content) == (HTTPStatus.OK, {})


@pytest.mark.parametrize("text", ["not base64!", "====", "é", "a", "\ud800"])
def test_a_body_that_only_claims_to_be_base64_breaks_nothing(world: World, text: str) -> None:
    answer = receiver_app.handler({"headers": {}, "body": text, "isBase64Encoded": True}, context())
    assert answer["statusCode"] == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/json\r\nX-Evil: 1"])
def test_the_signature_counts_and_not_the_content_type(world: World, content_type: str) -> None:
    body = envelope()
    assert world.post(body, headers=signed(body) | {"content-type": content_type}).status == HTTPStatus.ACCEPTED


def test_keeps_an_event_with_a_lone_surrogate(world: World) -> None:
    assert world.post(b'{"eventType":"X","fqn":"a/b","data":{"name":"\\ud800"}}').status == HTTPStatus.ACCEPTED
    (message,) = world.messages_in("meeting")
    assert message["event"]["data"]["name"] == "?"


def test_answers_an_unsigned_settings_request_without_a_trace(world: World) -> None:
    reply = world.post((EVENTS / "trap_settings_provisioning_only_fqn.json").read_bytes(), headers={})
    assert (reply.status, reply.content) == (HTTPStatus.OK, {})
    assert world.messages_in("meeting") == []


def test_answers_a_settings_request_also_when_the_queue_is_gone(world: World) -> None:
    world.sqs.delete_queue(QueueUrl=world.queues["meeting"])
    reply = world.post((EVENTS / "SETTINGS_PROVISIONING.json").read_bytes())
    assert (reply.status, reply.content) == (HTTPStatus.OK, {})


@pytest.mark.parametrize("queue", ["meeting", "download"])
def test_answers_503_when_sqs_does_not_take_the_event(world: World, queue: str) -> None:
    world.sqs.delete_queue(QueueUrl=world.queues[queue])
    reply = world.post((EVENTS / "RECORDING_UPLOADED.json").read_bytes())
    assert (reply.status, reply.content) == (HTTPStatus.SERVICE_UNAVAILABLE, {"error": "try again later"})


def test_serves_only_allowed_apps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_APP_IDS", "app-one, app-two")
    for fqn, status in (("app-two/room", HTTPStatus.ACCEPTED), ("app-three/room", HTTPStatus.FORBIDDEN)):
        assert world.post(envelope(fqn=fqn)).status == status


def test_the_app_is_the_one_that_fqn_names(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_APP_IDS", "vpaas-magic-cookie-5d0e7b3c9a1f4e6280b7c4d19f3a6e52")
    assert world.post((EVENTS / "trap_app_id_twice.json").read_bytes()).status == HTTPStatus.ACCEPTED


def test_no_answer_holds_the_secret_or_a_digest(world: World) -> None:
    body = envelope()
    stamp = str(int(time.time()))
    reply = world.post(body, headers={"x-jaas-signature": f"t={stamp},v1=AAAA"})
    assert reply.status == HTTPStatus.UNAUTHORIZED
    assert SECRET not in json.dumps(reply.content)
    assert sign(SECRET, stamp, body) not in json.dumps(reply.content)


def test_an_event_larger_than_a_message_arrives_by_claim(world: World) -> None:
    assert world.post(envelope(data={"name": "x" * 2_000_000})).status == HTTPStatus.ACCEPTED
    (message,) = world.messages_in("meeting")
    assert message["type"] == "claim"
    stored = world.s3.get_object(Bucket="claims", Key=message["key"])["Body"].read()
    assert len(json.loads(stored)["event"]["data"]["name"]) == 2_000_000
