"""What the handlers really emit, against what alarms and dashboard look at: an alarm on anything else never fires."""

import json
from collections.abc import Iterator

import pytest

from functions.auditor import app as auditor_app
from functions.downloader import app as downloader_app
from functions.receiver import app as receiver_app
from functions.transcript_enricher import app as enricher_app
from local.jaas.files import FileServer
from tests.functions.conftest import SECRET, World, context, load_event, mp4
from tests.template.translated import names, properties

APPS = {
    "receiver": receiver_app,
    "downloader": downloader_app,
    "transcript_enricher": enricher_app,
    "auditor": auditor_app,
}


def watched() -> set[tuple[str, str, str]]:
    """Service, metric and dimension of all that alarms and dashboard take from our namespace."""
    alarms = {
        (dimension["Value"], alarm["MetricName"], dimension["Name"])
        for alarm in map(properties, names("AWS::CloudWatch::Alarm"))
        if alarm["Namespace"] == {"Fn::Sub": "JaasArchive/${AWS::StackName}"}
        for dimension in alarm["Dimensions"]
    }
    body = json.loads(properties("Dashboard")["DashboardBody"]["Fn::Sub"])
    shown = {
        (metric[3], metric[1], metric[2])
        for widget in body["widgets"]
        for metric in widget["properties"]["metrics"]
        if isinstance(metric[0], str) and metric[0] == "JaasArchive/${AWS::StackName}"
    }
    return alarms | shown


def emitted(output: str) -> Iterator[tuple[str, str, str]]:
    """The same of what was printed for CloudWatch."""
    for line in output.splitlines():
        if not line.startswith('{"_aws"'):
            continue
        document = json.loads(line)
        (told,) = document["_aws"]["CloudWatchMetrics"]
        ((dimension,),) = told["Dimensions"]
        yield from ((document[dimension], metric["Name"], dimension) for metric in told["Metrics"])


def test_each_function_says_whose_metrics_they_are() -> None:
    functions = (properties(name) for name in names("AWS::Lambda::Function"))
    told = {function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for function in functions}
    assert told == set(APPS)


def test_all_that_is_watched_is_emitted(
    world: World, files: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for service, app in APPS.items():
        monkeypatch.setattr(app.metrics, "service", service)
    _everything_that_happens(world, files, monkeypatch)
    seen = set(emitted(capsys.readouterr().out))
    assert watched() - seen == set()


def _everything_that_happens(world: World, files: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = load_event("RECORDING_UPLOADED")
    link = files.publish(mp4(300), name="app/tgwrnkqpzdbmxjvu/weeklysync.mp4")
    dead = files.publish(mp4(300), name="app/dead/weeklysync.mp4")
    dead.expire()
    for number, url in enumerate([link.url, dead.url, "https://evil.example.com/file.mp4"]):
        data = recording["data"] | {"preAuthenticatedLink": url, "recordingSessionId": f"recording{number}"}
        world.accept(recording | {"idempotencyKey": f"key{number}", "data": data})
    world.accept(load_event("TRANSCRIPTION_CHUNK_RECEIVED"))
    world.settle()
    auditor_app.handler({}, context())
    body = json.dumps(recording).encode()
    world.post(body, headers={"x-jaas-signature": "t=1,v1=bm8="})
    world.post(b"[]")
    monkeypatch.setenv("ALLOWED_APP_IDS", "another")
    receiver_app.receiver.cache_clear()
    world.post(body)
    monkeypatch.setenv("ALLOWED_APP_IDS", "")
    world.secrets.put_secret_value(SecretId=world.secret_arn, SecretString=" ")
    receiver_app.receiver.cache_clear()
    world.post(body)
    world.secrets.put_secret_value(SecretId=world.secret_arn, SecretString=SECRET)
    monkeypatch.setenv("MEETING_QUEUE_URL", world.queues["meeting"] + "-that-is-not-there")
    receiver_app.receiver.cache_clear()
    world.post(body)
    receiver_app.receiver.cache_clear()
