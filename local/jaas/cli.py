"""Sends what JaaS would send, to a local stack or to a real one."""

import secrets
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.jaas.client import Backoff, Delivery, WebhookClient
from local.jaas.events import disorder, events_of
from local.jaas.files import FileServer, Link
from local.jaas.meeting import build_meeting
from local.jaas.samples import SampleError, freshen, load_sample
from local.jaas.signing import SIGNATURE_HEADER, signature_header
from local.recording import Recording, RecordingError, make_recording, make_small_recording, read_recording

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    help="A JaaS simulator: signed webhook events, whole meetings, and files behind links that expire.",
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

REFUSED = 1
"""Exit code: the webhook, or somebody who was to fetch a file, did not do what JaaS would need."""
MISUSED = 2
"""Exit code: this command cannot work with what it was given."""
_POLL_SECONDS = 0.2

Url = Annotated[str, typer.Option(help="The webhook: the stack's output `WebhookUrl`.", show_default=False)]
Secret = Annotated[
    str, typer.Option(envvar="JAAS_WEBHOOK_SECRET", help="What to sign with, `whsec_` included.", show_default=False)
]
HostHeader = Annotated[
    str, typer.Option(help="`Host` header, where the API is reached by another address.", show_default=False)
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", help="One more header, `Name: value`; may be repeated.", show_default=False),
]
Tries = Annotated[int, typer.Option(min=1, help="How often an event is sent before it is given up.")]


@app.command(
    epilog=(
        "Examples:\n\n"
        "`python -m local.jaas send --url https://….amazonaws.com/webhook --secret whsec_… PARTICIPANT_JOINED`\n\n"
        "`python -m local.jaas send --url … --secret … --fresh events/*.json`\n\n"
        "Exit codes: 0 every event was accepted, 1 one was not, 2 wrong use."
    )
)
def send(
    event_files: Annotated[
        list[Path], typer.Argument(metavar="EVENT_FILE…", help="Files, or names of files in `events/`.")
    ],
    *,
    url: Url,
    secret: Secret,
    host_header: HostHeader = "",
    header: Headers = None,
    tries: Tries = 3,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="As if it happened now: new session and keys, times moved to today.")
    ] = False,
) -> None:
    """Send event files, signed, as they are."""
    try:
        samples = [load_sample(path) for path in event_files]
    except SampleError as error:
        raise _misuse(str(error)) from error
    bodies = freshen(samples) if fresh else [sample.body for sample in samples]
    with _client(url, secret, host_header, header, tries) as client:
        deliveries = client.deliver_all(bodies)
        refused = [
            delivery for sample, delivery in zip(samples, deliveries, strict=True) if not _report(sample.name, delivery)
        ]
    if refused:
        raise typer.Exit(REFUSED)


@app.command(
    epilog=(
        "Examples:\n\n"
        "`python -m local.jaas meeting --url http://127.0.0.1:4566/webhook --secret whsec_…`\n\n"
        "`python -m local.jaas meeting --url https://….amazonaws.com/webhook --secret whsec_… "
        "--port 8443 --link-base https://tunnel.example.com`\n\n"
        "A real stack must be able to fetch the files: give it a way in (a tunnel to `--port`), name that way with "
        "`--link-base`, and add the same origin to the stack's parameter `AllowedLinkOrigins`.\n\n"
        "Exit codes: 0 all events accepted and all files fetched, 1 not so, 2 wrong use."
    )
)
def meeting(
    *,
    url: Url,
    secret: Secret,
    host_header: HostHeader = "",
    header: Headers = None,
    tries: Tries = 8,
    seed: Annotated[
        int | None,
        typer.Option(help="Who meets, and all ids; the same seed is the same meeting.", show_default="a new meeting"),
    ] = None,
    room: Annotated[str, typer.Option(help="The room's name; by default the seed chooses.", show_default=False)] = "",
    messages: Annotated[int, typer.Option(min=0, help="How many chat messages.")] = 40,
    recording: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An MP4 to use as recording.", show_default="one is made"),
    ] = None,
    bind: Annotated[str, typer.Option(help="The address to serve files on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to serve files on; 0 takes a free one.")] = 0,
    link_base: Annotated[
        str, typer.Option(help="Origin in links, if others reach the files by another way.", show_default=False)
    ] = "",
    doubled: Annotated[float, typer.Option(min=0, max=1, help="The share of events that are sent twice.")] = 0.3,
    wait_seconds: Annotated[float, typer.Option("--wait", help="How long the files are served, at most.")] = 300,
    big: Annotated[bool, typer.Option("--big", help="Make a recording of 36 MB instead of a small one.")] = False,
    in_order: Annotated[bool, typer.Option("--in-order", help="Send the events as they happened, once each.")] = False,
) -> None:
    """Play a whole meeting: five people, a chat, a transcript, a recording, documents; out of order, partly twice."""
    _check_url(link_base or "http://127.0.0.1", "--link-base")
    with (
        tempfile.TemporaryDirectory(prefix="jaas-") as folder,
        _client(url, secret, host_header, header, tries) as client,
        _file_server(bind, port, link_base) as server,
    ):
        film = _recording(recording, Path(folder) / "recording.mp4", big=big)
        seed = secrets.randbelow(1_000_000) if seed is None else seed
        length_ms = (4 * 60 + film.duration_seconds) * 1000
        played = build_meeting(
            seed,
            started_at_ms=int(time.time() * 1000) - length_ms,
            recordings=[film],
            segments=[film if recording is None and not big else make_small_recording(Path(folder) / "segment.mp4")],
            room=room or None,
            messages=messages,
        )
        links = played.publish(server)
        events = events_of(played, links)
        out.print(f"room {escape(played.room)}, session {played.session_id}, seed {seed}", soft_wrap=True)
        order = events if in_order else disorder(events, seed=seed, doubled=doubled)
        deliveries = client.deliver_all(event.body for event in order)
        accepted = [_report(event.type, delivery) for event, delivery in zip(order, deliveries, strict=True)]
        fetched = all(accepted) and _wait_until_fetched(links.values(), wait_seconds)
    if not fetched:
        raise typer.Exit(REFUSED)


@app.command(
    epilog=("Example:\n\n`python -m local.jaas serve --port 8443 --expires-in 3600 ~/recordings`\n\nEnds with Ctrl-C.")
)
def serve(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Its files are served, not its folders.")
    ],
    bind: Annotated[str, typer.Option(help="The address to serve files on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to serve files on; 0 takes a free one.")] = 0,
    link_base: Annotated[
        str, typer.Option(help="Origin in links, if others reach the files by another way.", show_default=False)
    ] = "",
    expires_in: Annotated[float, typer.Option(help="Seconds until the links die.")] = 24 * 3600,
) -> None:
    """Serve a folder from links that look like Oracle's pre-authenticated ones, and expire like them."""
    _check_url(link_base or "http://127.0.0.1", "--link-base")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if not files:
        raise _misuse(f"{folder}: no files in it")
    with _file_server(bind, port, link_base) as server:
        for path in files:
            link = server.publish(path, name=f"files/{path.name}", lifetime_seconds=expires_in)
            out.print(link.url, soft_wrap=True, markup=False)
        err.print("Serving until Ctrl-C.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            err.print("Stopped.")


@app.command(
    epilog=(
        "Examples:\n\n`python -m local.jaas sign --secret whsec_… events/PARTICIPANT_JOINED.json`\n\n"
        '`curl -H "$(python -m local.jaas sign --secret whsec_… body.json)" -H "Content-Type: application/json" '
        "--data-binary @body.json https://….amazonaws.com/webhook`"
    )
)
def sign(
    body_file: Annotated[Path, typer.Argument(help="The body; `-` reads standard input.")],
    secret: Secret,
    timestamp: Annotated[int | None, typer.Option(help="Unix seconds to sign for.", show_default="now")] = None,
) -> None:
    """Print the signature header for a body."""
    try:
        body = sys.stdin.buffer.read() if str(body_file) == "-" else body_file.read_bytes()
    except OSError as error:
        raise _misuse(f"{body_file}: {error.strerror}") from error
    _check_secret(secret)
    value = signature_header(secret, body, int(time.time()) if timestamp is None else timestamp)
    out.print(f"{SIGNATURE_HEADER}: {value}", soft_wrap=True, markup=False)


def _client(url: str, secret: str, host_header: str, header: list[str] | None, tries: int) -> WebhookClient:
    _check_url(url, "--url")
    _check_secret(secret)
    headers = {}
    for line in header or []:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise _misuse(f"--header {line!r}: write it as 'Name: value'")
        headers[name.strip()] = value.strip()
    if host_header:
        headers["Host"] = host_header
    return WebhookClient(url, secret, headers, Backoff(tries=tries))


def _check_url(url: str, option: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _misuse(f"{option} {url!r}: not an http or https address")


def _check_secret(secret: str) -> None:
    if not secret.strip():
        raise _misuse("the secret is empty; set --secret or JAAS_WEBHOOK_SECRET")


def _file_server(bind: str, port: int, link_base: str) -> FileServer:
    try:
        return FileServer(host=bind, port=port, base_url=link_base or None)
    except OSError as error:
        raise _misuse(f"cannot listen on {bind}:{port}: {error.strerror}") from error


def _recording(given: Path | None, path: Path, *, big: bool) -> Recording:
    try:
        if given is not None:
            return read_recording(given)
        return make_recording(path) if big else make_small_recording(path)
    except RecordingError as error:
        raise _misuse(f"no recording: {error}") from error


def _report(name: str, delivery: Delivery) -> bool:
    """Print how a delivery ended; whether it was accepted."""
    status = "no answer" if delivery.status is None else str(delivery.status)
    tries = "" if delivery.tries == 1 else f" after {delivery.tries} tries"
    colour = "green" if delivery.accepted else "red"
    answer = escape(" ".join(delivery.answer.split()))
    out.print(f"[{colour}]{status:<9}[/] {escape(name)}{tries}  [dim]{answer}[/]", soft_wrap=True)
    return delivery.accepted


def _wait_until_fetched(links: Iterable[Link], seconds: float) -> bool:
    """Serve until every file has gone out as a whole; prints what happened to each."""
    links = list(links)
    give_up_at = time.monotonic() + seconds
    while not all(link.fetched for link in links) and time.monotonic() < give_up_at:
        time.sleep(_POLL_SECONDS)
    table = Table("file", "bytes", "requests", "fetched")
    for link in links:
        name = link.stored.name.rpartition("/")[2]
        table.add_row(escape(name), f"{link.stored.size:,}", str(len(link.requests)), "yes" if link.fetched else "NO")
    out.print(table)
    return all(link.fetched for link in links)


def _misuse(reason: str) -> typer.Exit:
    err.print(f"[red]error:[/] {escape(reason)}", soft_wrap=True)
    return typer.Exit(MISUSED)
