"""The command line: what it prints, and its exit codes."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import responses
from typer.testing import CliRunner

from local.jaas.cli import app
from local.jaas.samples import SAMPLES_FOLDER

URL = "https://archive.example.com/webhook"
SEND = ["send", "--url", URL, "--tries", "1"]
VECTOR_SECRET = "whsec_9635df66714a4cf088ee9d0979dd3bf6"
runner = CliRunner(env={"JAAS_WEBHOOK_SECRET": "whsec_x", "COLUMNS": "200"})


@pytest.fixture
def webhook() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as webhook:
        yield webhook


def test_sends_a_sample_by_its_name(webhook: responses.RequestsMock) -> None:
    webhook.post(URL, status=202)
    assert runner.invoke(app, [*SEND, "ROOM_CREATED"]).exit_code == 0
    assert webhook.calls[0].request.body == (SAMPLES_FOLDER / "ROOM_CREATED.json").read_bytes()


def test_sends_as_if_it_happened_now(webhook: responses.RequestsMock) -> None:
    webhook.post(URL, status=202)
    runner.invoke(app, [*SEND, "--fresh", "ROOM_CREATED"])
    sent = json.loads(webhook.calls[0].request.body or b"")
    assert sent["sessionId"] != json.loads((SAMPLES_FOLDER / "ROOM_CREATED.json").read_bytes())["sessionId"]


def test_tells_what_the_webhook_said(webhook: responses.RequestsMock) -> None:
    webhook.post(URL, status=401, json={"error": "the signature does not match"})
    result = runner.invoke(app, [*SEND, "ROOM_CREATED"])
    assert (result.exit_code, "the signature does not match" in result.output) == (1, True)


def test_sends_the_rest_after_a_refusal(webhook: responses.RequestsMock) -> None:
    webhook.post(URL, status=400)
    runner.invoke(app, [*SEND, "ROOM_CREATED", "ROOM_DESTROYED"])
    assert len(webhook.calls) == 2


def test_sets_the_host_header(webhook: responses.RequestsMock) -> None:
    webhook.post(URL, status=202)
    runner.invoke(app, [*SEND, "--host-header", "abc.execute-api.localhost", "ROOM_CREATED"])
    assert webhook.calls[0].request.headers["Host"] == "abc.execute-api.localhost"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["send", "--url", "archive.example.com", "ROOM_CREATED"], "not an http or https address"),
        (["send", "--url", URL, "--secret", " ", "ROOM_CREATED"], "the secret is empty"),
        (["send", "--url", URL, "NO_SUCH_EVENT"], "no such file"),
        (["send", "--url", URL, "--header", "Authorization", "ROOM_CREATED"], "Name: value"),
        (["sign", "no-such-body.json"], "No such file"),
        (["meeting", "--url", "localhost"], "not an http or https address"),
        (["meeting", "--url", URL, "--link-base", "tunnel"], "not an http or https address"),
    ],
)
def test_wrong_use_is_explained(arguments: list[str], reason: str) -> None:
    result = runner.invoke(app, arguments)
    assert (result.exit_code, reason in result.output) == (2, True)


def test_an_empty_folder_cannot_be_served(tmp_path: Path) -> None:
    result = runner.invoke(app, ["serve", str(tmp_path)])
    assert (result.exit_code, "no files" in result.output) == (2, True)


def test_prints_a_signature_header_for_a_body() -> None:
    arguments = [
        "sign",
        "--secret",
        VECTOR_SECRET,
        "--timestamp",
        "1632490060",
        f"{SAMPLES_FOLDER}/signature_vector.json",
    ]
    assert runner.invoke(app, arguments).output == (
        "X-Jaas-Signature: t=1632490060,v1=xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0=\n"
    )


def test_signs_what_comes_on_standard_input() -> None:
    arguments = ["sign", "--secret", VECTOR_SECRET, "--timestamp", "1632490060", "-"]
    body = (SAMPLES_FOLDER / "signature_vector.json").read_bytes()
    assert "xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0=" in runner.invoke(app, arguments, input=body).output


@pytest.mark.parametrize("command", ["send", "meeting", "serve", "sign"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"python -m local.jaas {command}" in runner.invoke(app, [command, "--help"]).output


class Fetcher(BaseHTTPRequestHandler):
    """A webhook that fetches the file of an event at once, unless its path says otherwise."""

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = event["data"] if isinstance(event["data"], dict) else {}
        link = data.get("preAuthenticatedLink", data.get("statsUrl"))
        if self.path == "/webhook" and link:
            with urllib.request.urlopen(link) as response:
                response.read()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def fetcher(socket_enabled: None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Fetcher) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_meeting_is_over_when_its_files_are_fetched(fetcher: str) -> None:
    result = runner.invoke(app, ["meeting", "--url", f"{fetcher}/webhook", "--room", "weeklysync", "--seed", "7"])
    assert (result.exit_code, "room weeklysync" in result.output, "NO" in result.output) == (0, True, False)


def test_a_meeting_whose_files_nobody_fetches_has_failed(fetcher: str) -> None:
    result = runner.invoke(app, ["meeting", "--url", f"{fetcher}/idle", "--wait", "0"])
    assert (result.exit_code, "NO" in result.output) == (1, True)
