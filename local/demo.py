"""`make demo`: plays a meeting against the whole stack on this machine, shows what the archive holds, and checks it."""

import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from botocore.exceptions import BotoCoreError, ClientError
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from local.cloud import CloudError, Stack, build, deploy, free_port, running_cloud
from local.jaas.files import FileServer
from local.jaas.meeting import Meeting, build_meeting
from local.recording import Recording, RecordingError, make_recording, make_small_recording
from local.story import FUNCTIONS, Archive, Check, Story, StoryError, put_secret
from local.terminal import Terminal

_SEED = 2026
_ROOM = "weeklysync"
_OPERATOR = "PYTHONPATH=cli:layers/jaas_archive .venv/bin/python -m jaas_archive_cli"
_LOG_LINES = 8
_LOG_CONSTANTS = ("function_", "location", "service", "cold_start")
_LOG_NOISE = ("START ", "END ", "REPORT ", '{"_aws":')


def main() -> int:
    """Run the demo; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would not hear it
    terminal = Terminal()
    keep = os.environ.get("KEEP", "").lower() not in ("", "0", "no", "false")
    try:
        _run(terminal, keep=keep)
    except (CloudError, RecordingError, StoryError) as error:
        reason = "\n".join([str(error), *getattr(error, "__notes__", [])])
    except (ClientError, BotoCoreError) as error:
        reason = "\n".join([f"the local AWS does not do its part: {error}", *getattr(error, "__notes__", [])])
    except KeyboardInterrupt:
        reason = "interrupted"
    else:
        return 0
    terminal.console.print(Text(f"\nThe demo failed: {reason}", style="bold red"), soft_wrap=True)
    return 1


def _run(terminal: Terminal, *, keep: bool) -> None:
    terminal.console.print("[bold]JaaS Archive[/]: a meeting from webhook to archive, on this machine\n")
    with ExitStack() as exits:
        folder = Path(exits.enter_context(TemporaryDirectory(prefix="jaas-archive-")))
        server = exits.enter_context(FileServer())
        # ffmpeg works while SAM waits for package indexes.
        studio = exits.enter_context(ThreadPoolExecutor(1))
        filming = studio.submit(make_recording, folder / "recording.mp4")
        sampling = studio.submit(make_small_recording, folder / "segment.mp4")
        with terminal.step("sam build: the functions and their layers"):
            build()
        with terminal.step("ffmpeg: a recording with moving picture and sound") as step:
            recording = filming.result()
            step.update(f"{decimal(recording.size_bytes)}, {recording.duration_seconds} s long")
        with terminal.step("MiniStack: an AWS on a loopback port, with IAM enforced") as step:
            cloud = exits.enter_context(running_cloud())
            step.update(cloud.endpoint)
        spare_port = free_port()
        with terminal.step("sam deploy: the real template") as step:
            stack = deploy(cloud, parameters={"AllowedLinkOrigins": f"{server.origin},http://127.0.0.1:{spare_port}"})
            step.update(f"stack {stack.name}")
        meeting = _meeting_that_has_just_ended(recording, sampling.result())
        story = Story(stack, f"whsec_{secrets.token_hex(16)}", meeting, meeting.publish(server))
        _play(terminal, story)
        if keep:
            _keep(terminal, story, spare_port)
        else:
            _print_next(terminal)


def _play(terminal: Terminal, story: Story) -> None:
    """Tell the story to the stack, and show and check what became of it."""
    try:
        with terminal.step("Secrets Manager: the webhook secret"):
            put_secret(story.stack, story.secret)
        with terminal.step("JaaS: signed events, out of order and some of them twice") as step:
            for number, _ in enumerate(story.tell(), 1):
                step.update(f"{number} accepted")
        with terminal.step("downloader and transcript_enricher") as step:
            story.wait_until_archived(on_progress=lambda progress: step.update(str(progress)))
        with terminal.step("comparison of the archive with what happened"):
            checks = story.check()
    except StoryError:
        _print_logs(terminal, story.stack)
        raise
    _print_bucket(terminal, story.archive)
    _print_chat(terminal, story)
    _print_hashes(terminal, story)
    _print_checks(terminal, checks)
    failed = [check for check in checks if not check.holds]
    if failed:
        _print_logs(terminal, story.stack)
        raise StoryError(f"{len(failed)} of {len(checks)} facts do not hold; the first: {failed[0].fact}")
    terminal.console.print(f"\n[bold green]All {len(checks)} facts hold.[/] {terminal.seconds:.0f} s in all.")


def _meeting_that_has_just_ended(recording: Recording, segment: Recording) -> Meeting:
    lasts_ms = build_meeting(_SEED, started_at_ms=0, recordings=[recording]).ended_at_ms
    started_at_ms = int(time.time() * 1000) - lasts_ms - 10_000
    return build_meeting(_SEED, started_at_ms=started_at_ms, recordings=[recording], segments=[segment], room=_ROOM)


def _print_bucket(terminal: Terminal, archive: Archive) -> None:
    tree = Tree(f"[bold]s3://{archive.bucket}[/]")
    branches = {"": tree}
    for item in archive.objects():
        folder, _, name = item.key.rpartition("/")
        path = ""
        for part in folder.split("/"):
            parent, path = path, f"{path}/{part}"
            if path not in branches:
                branches[path] = branches[parent].add(f"[blue]{escape(part)}/[/]")
        branches[f"/{folder}"].add(f"{escape(name)}  [dim]{decimal(item.size)}[/]")
    terminal.console.print("\n", tree, sep="")


def _print_chat(terminal: Terminal, story: Story) -> None:
    table = Table("time", "who", "text", "matched by", title="\nThe chat, as DynamoDB has it", title_justify="left")
    for item in story.archive.items(story.meeting.session_id, "MESSAGE#"):
        if item["source"] == "chat":
            time_of_day = datetime.fromtimestamp(int(item["timestamp"]) / 1000, UTC).strftime("%H:%M:%S")
            who = escape(item["name"]) if "name" in item else f"[dim]{escape(item['jid'][:8])}…[/]"
            table.add_row(time_of_day, who, Text(item["content"]), escape(item["matched_by"]))
    terminal.console.print(table)


def _print_hashes(terminal: Terminal, story: Story) -> None:
    terminal.console.print("\n[bold]sha256 of the recording, at JaaS and in the archive[/]")
    for file in story.meeting.files:
        if file.recording:
            terminal.console.print(f"{file.sha256}  {escape(file.object_name)}", soft_wrap=True)
    for item in story.archive.objects():
        if "/recording_" in item.key and item.key.endswith(".mp4"):
            terminal.console.print(f"{story.archive.sha256(item.key)}  {escape(item.key)}", soft_wrap=True)


def _print_checks(terminal: Terminal, checks: Sequence[Check]) -> None:
    terminal.console.print()
    for check in checks:
        mark = "[green]✓[/]" if check.holds else "[red]✗[/]"
        terminal.console.print(f"{mark} {escape(check.fact)}", soft_wrap=True)
        if not check.holds:
            terminal.console.print(Text(f"  found: {check.found}", style="red"), soft_wrap=True)


def _print_logs(terminal: Terminal, stack: Stack) -> None:
    """The end of the functions' logs and of MiniStack's, which is where the reason of a failure stands."""
    for function in FUNCTIONS:
        try:
            lines = [_short(line) for line in stack.logs(function) if not line.startswith(_LOG_NOISE)][-_LOG_LINES:]
        except (ClientError, BotoCoreError):
            continue
        terminal.console.print(f"\n[bold]The end of the log of {function}[/]")
        terminal.console.print(Text("\n".join(lines) or "(empty)", style="dim"), soft_wrap=True)
    lines = stack.cloud.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    terminal.console.print(f"\n[bold]The end of {stack.cloud.log_path}[/]")
    terminal.console.print(Text("\n".join(lines) or "(empty)", style="dim"), soft_wrap=True)


def _short(line: str) -> str:
    """A log line without what is the same in all of them."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    told = {name: value for name, value in fields.items() if not name.startswith(_LOG_CONSTANTS)}
    return "  ".join(f"{name}={value}" for name, value in told.items())


def _print_next(terminal: Terminal) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("  make demo KEEP=1", "leaves it running, and prints commands to look around with")
    table.add_row("  make test", "all tests, the last of them on the deployed stack")
    table.add_row("  sam deploy --guided", "into an AWS account of yours; README.md says what comes before and after")
    terminal.console.print("\n[bold]What to try next[/]", table, sep="\n")


def _keep(terminal: Terminal, story: Story, spare_port: int) -> None:
    """Leave everything running until Ctrl-C."""
    terminal.console.print(Text(_guide(story, spare_port)), soft_wrap=True)
    terminal.console.print("\n[bold]Running until Ctrl-C.[/]")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        terminal.console.print("Stopped; nothing is left of it.")


def _guide(story: Story, spare_port: int) -> str:
    stack, secret, meeting = story.stack, story.secret, story.meeting
    bucket, table = stack.outputs["ArchiveBucketName"], stack.outputs["MeetingsTableName"]
    recording = next(item.key for item in story.archive.objects() if "/recording_" in item.key)
    folder = recording.rpartition("/")[0]
    exports = "\n".join(f"export {name}={value}" for name, value in _environment(stack, secret).items())
    session = f'\'{{":session": {{"S": "SESSION#{meeting.session_id}"}}, ":kind": {{"S": "MESSAGE#"}}}}\''
    room = f'\'{{":room": {{"S": "ROOM#{meeting.room}"}}}}\''
    return f"""
Webhook URL     {stack.outputs["WebhookUrl"]}
Webhook secret  {secret}

# In another terminal, in this folder:
{exports}

# the meeting as a page: open .local/meeting/meeting.html in a browser
aws s3 sync --no-progress 's3://{bucket}/{folder}' .local/meeting

# the bucket, and the recording out of it
aws s3 ls --recursive --human-readable s3://{bucket}/
aws s3 cp --no-progress 's3://{bucket}/{recording}' .local/recording.mp4

# the sessions of a room, and the chat of this one
aws dynamodb query --table-name {table} --index-name SessionsIndex \\
    --key-condition-expression 'gsi1pk = :room' --expression-attribute-values {room} \\
    --query 'Items[].[gsi1sk.S, folder.S]' --output text
aws dynamodb query --table-name {table} \\
    --key-condition-expression 'pk = :session AND begins_with(sk, :kind)' \\
    --expression-attribute-values {session} \\
    --query 'Items[].[name.S, content.S]' --output text

# how the archive stands, as an operator sees it: --help names the other commands
{_OPERATOR} status
{_OPERATOR} doctor
{_OPERATOR} show {meeting.session_id}

# one more event; one more meeting, of people you have not met yet
.venv/bin/python -m local.jaas send --url "$JAAS_WEBHOOK_URL" --fresh PARTICIPANT_JOINED
.venv/bin/python -m local.jaas meeting --url "$JAAS_WEBHOOK_URL" --port {spare_port}"""


def _environment(stack: Stack, secret: str) -> Mapping[str, str]:
    return {
        **stack.cloud.environment(),
        "JAAS_WEBHOOK_URL": stack.outputs["WebhookUrl"],
        "JAAS_WEBHOOK_SECRET": secret,
    }


if __name__ == "__main__":
    sys.exit(main())
