"""The client that plays JaaS, against a webhook of `responses`."""

from collections.abc import Iterator

import pytest
import requests
import responses

from local.jaas.client import Backoff, WebhookClient
from local.jaas.signing import signature_header

URL = "https://archive.example.com/webhook"


@pytest.fixture
def webhook() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as webhook:
        yield webhook


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(pauses: list[float]) -> Iterator[WebhookClient]:
    with WebhookClient(
        URL, "whsec_x", {"Authorization": "Bearer mine"}, Backoff(1, 5, 5), clock=lambda: 1.8e9, sleep=pauses.append
    ) as client:
        yield client


def test_an_event_is_signed(webhook: responses.RequestsMock, client: WebhookClient) -> None:
    webhook.post(URL, status=202)
    client.deliver(b"{}")
    assert webhook.calls[0].request.headers["X-Jaas-Signature"] == signature_header("whsec_x", b"{}", 1_800_000_000)


def test_the_body_goes_out_as_it_is(webhook: responses.RequestsMock, client: WebhookClient) -> None:
    webhook.post(URL, status=202)
    client.deliver(b'{ "a":1,\r\n"a":2 }')
    assert webhook.calls[0].request.body == b'{ "a":1,\r\n"a":2 }'


def test_headers_of_the_admin_are_sent_along(webhook: responses.RequestsMock, client: WebhookClient) -> None:
    webhook.post(URL, status=202)
    client.deliver(b"{}")
    assert webhook.calls[0].request.headers["Authorization"] == "Bearer mine"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_2xx_ends_delivery(webhook: responses.RequestsMock, client: WebhookClient, status: int) -> None:
    webhook.post(URL, status=status)
    delivery = client.deliver(b"{}")
    assert (delivery.accepted, delivery.tries) == (True, 1)


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500, 503])
def test_anything_else_is_tried_again(webhook: responses.RequestsMock, client: WebhookClient, status: int) -> None:
    webhook.post(URL, status=status)
    webhook.post(URL, status=202)
    delivery = client.deliver(b"{}")
    assert (delivery.accepted, delivery.tries) == (True, 2)


def test_no_answer_is_tried_again(webhook: responses.RequestsMock, client: WebhookClient) -> None:
    webhook.post(URL, body=requests.ConnectionError("reset"))
    webhook.post(URL, status=202)
    assert client.deliver(b"{}").tries == 2


def test_the_pauses_grow_up_to_a_limit(
    webhook: responses.RequestsMock, client: WebhookClient, pauses: list[float]
) -> None:
    webhook.post(URL, status=503)
    client.deliver(b"{}")
    assert pauses == [1, 2, 4, 5]


def test_an_event_is_given_up_in_the_end(webhook: responses.RequestsMock, client: WebhookClient) -> None:
    webhook.post(URL, status=503, body="try again later")
    delivery = client.deliver(b"{}")
    assert (delivery.accepted, delivery.tries, delivery.answer) == (False, 5, "try again later")


def test_every_event_gets_its_delivery(webhook: responses.RequestsMock, client: WebhookClient) -> None:
    webhook.post(URL, status=202)
    bodies = [b"%d" % number for number in range(20)]
    assert [delivery.body for delivery in client.deliver_all(bodies)] == bodies


@pytest.mark.parametrize(
    ("url", "through_proxy"),
    [("http://127.0.0.1:4566/x", False), ("http://api.localhost:4566/x", False), ("https://example.com/x", True)],
)
def test_loopback_is_never_reached_through_a_proxy(url: str, *, through_proxy: bool) -> None:
    with WebhookClient(url, "whsec_x") as client:
        assert client._session.trust_env is through_proxy  # noqa: SLF001 - nothing else shows it


def test_names_under_localhost_are_this_machine(webhook: responses.RequestsMock) -> None:
    webhook.post("http://127.0.0.1:4566/webhook", status=202)
    with WebhookClient("http://abc.execute-api.localhost:4566/webhook", "whsec_x") as client:
        client.deliver(b"{}")
    assert webhook.calls[0].request.headers["Host"] == "abc.execute-api.localhost:4566"
