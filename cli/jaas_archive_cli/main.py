"""The command `jaas-archive`: what the admin of an archive asks and does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer
from botocore.exceptions import BotoCoreError, ClientError

from jaas_archive.choices import EVERYTHING
from jaas_archive.enriching import Enricher
from jaas_archive.errors import ArchiveError
from jaas_archive.names import safe_name
from jaas_archive.rebuilding import Rebuilder
from jaas_archive_cli import browse
from jaas_archive_cli import replay as replaying
from jaas_archive_cli.doctor import Doctor
from jaas_archive_cli.erase import Erased, Erasure, LockedError
from jaas_archive_cli.export import Export
from jaas_archive_cli.export import export as gather
from jaas_archive_cli.output import as_text, print_json, print_table, say, size_text, time_left
from jaas_archive_cli.person import AmbiguousError
from jaas_archive_cli.redrive import DeadLetters, Redrive
from jaas_archive_cli.stack import Stack, StackError
from jaas_archive_cli.status import read_status

NEEDS_ATTENTION = 1
UNREACHABLE = 3

app = typer.Typer(
    name="jaas-archive",
    help="Look after a JaaS Archive: what is pending, lost or stuck, and how to set it in motion again.\n\n"
    "Exit codes: 0 all is well, 1 something needs attention, 2 wrong usage, 3 AWS or the stack cannot be reached.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

StackName = Annotated[str, typer.Option("--stack-name", help="Name of the CloudFormation stack.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile, as with `aws`.")]
Region = Annotated[str | None, typer.Option(help="AWS region, as with `aws`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Person = Annotated[
    str, typer.Option(help="JWT user id or e-mail address; with --session, a name will do.", show_default=False)
]
OfSession = Annotated[str | None, typer.Option(help="Only in this session.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be done.")]
_STACK = "jaas-archive"


@app.callback()
def in_front(
    context: typer.Context,
    *,
    stack_name: Annotated[
        str, typer.Option("--stack-name", envvar="JAAS_ARCHIVE_STACK", help="Name of the CloudFormation stack.")
    ] = _STACK,
    profile: Profile = None,
    region: Region = None,
) -> None:
    """Options that may stand before the command too, as with `aws`; those behind it count for more."""
    said = {"stack_name": stack_name, "profile": profile, "region": region}
    context.default_map = dict.fromkeys(cast("typer.core.TyperGroup", context.command).commands, said)


@app.command()
def status(
    *,
    at_risk: Annotated[bool, typer.Option("--at-risk", help="Only files with less than 6 hours left.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only files that were given up.")] = False,
    days: Annotated[int, typer.Option(min=0, help="Show failed files until so many days after their deadline.")] = 3,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show what is pending, at risk and failed, why, and how much time is left.

    Exit code 1 if anything is at risk, failed or a dead letter.

    For example:

    - `jaas-archive status`
    - `jaas-archive status --at-risk --json | jq '.files[].session_id'`
    """
    with _stack(stack_name, profile, region) as stack:
        found = read_status(stack, now_ms=_now_ms(), failed_days=days)
    wanted = {state for state, chosen in (("at risk", at_risk), ("failed", failed)) if chosen}
    files = [file for file in found.files if not wanted or file.state in wanted]
    if as_json:
        print_json(replace(found, files=files))
    else:
        say(f"{found.pending} pending, {found.at_risk} at risk, {found.failed} failed")
        say("in the queues: " + ", ".join(f"{count} {name}" for name, count in found.queues.items()))
        if files:
            print_table(
                ("STATE", "TIME LEFT", "SESSION", "FILE", "TRIES", "REASON"),
                (
                    (file.state, time_left(file.seconds_left), file.session_id, file.file, file.tries, file.reason)
                    for file in files
                ),
            )
    _exit_if(found.needs_attention)


@app.command()
def redrive(
    *,
    queue: Annotated[DeadLetters, typer.Option(help="Which dead letters.")] = DeadLetters.ALL,
    session: Annotated[str | None, typer.Option(help="Only those of this session.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also files whose link is dead.")] = False,
    yes: Yes = False,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Send dead letters back to their queues, those with time left; without --yes only show them.

    Files whose link dies in less than 6 hours go to the urgent queue. Exit code 1 if any letter stays.

    For example:

    - `jaas-archive redrive`
    - `jaas-archive redrive --queue download --yes`
    """
    with _stack(stack_name, profile, region) as stack:
        letters = list(Redrive(stack, now_ms=_now_ms(), move=yes, force=force, session_id=session).run(queue))
    staying = [letter for letter in letters if not letter.to]
    if as_json:
        print_json(letters)
    else:
        verb = "moved" if yes else "would be moved"
        say(f"{len(letters) - len(staying)} {verb}, {len(staying)} stay")
        if letters:
            print_table(
                ("TO", "TIME LEFT", "SESSION", "WHAT", "REASON"),
                (
                    (
                        letter.to.removesuffix("Url") or "stays",
                        time_left(letter.seconds_left),
                        letter.session_id,
                        letter.what,
                        letter.reason,
                    )
                    for letter in letters
                ),
            )
        if letters and not yes:
            say("Nothing was moved. Add --yes to do it.")
    _exit_if(bool(staying))


@app.command()
def replay(
    *,
    session: Annotated[str | None, typer.Option(help="The events of this session.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Events from this day or time (UTC) on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Events up to this day, included, or time (UTC).")] = None,
    yes: Yes = False,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Send journaled events through the pipeline again; without --yes only count them.

    Records and pages are made anew; files that are not archived are fetched again while their link lives.
    Exit code 1 if there is no such session, or an open file has no message left that could be sent.

    For example:

    - `jaas-archive replay --session 9a441d60-ceaf-4eba-b0a8-a7d940a76e1b --yes`
    - `jaas-archive replay --from 2026-07-01 --to 2026-07-02T12:00 --yes`
    """
    start, end = _time(since, "--from"), _time(until, "--to", end=True)
    if not session and not (start and end):
        raise typer.BadParameter("say which events: --session, or --from and --to")
    if start and end and end <= start:
        raise typer.BadParameter("--to lies before --from")
    with _stack(stack_name, profile, region) as stack:
        if session and stack.meetings.sessions.get(session) is None:
            _no_session(session)
        sessions = [session] if session else replaying.sessions_between(stack, start, end) if start and end else []
        replayed = list(replaying.replay(stack, sessions, since=start, until=end, send=yes))
    without_message = sum(each.without_message for each in replayed)
    if as_json:
        print_json(replayed)
    else:
        verb = "sent" if yes else "would be sent"
        say(f"{sum(each.events for each in replayed)} events and {sum(each.files for each in replayed)} files {verb}")
        if without_message:
            say(f"{without_message} open files have no message left to send; see them with show")
        if replayed:
            print_table(
                ("SESSION", "EVENTS", "OPEN FILES"), ((each.session_id, each.events, each.files) for each in replayed)
            )
        if replayed and not yes:
            say("Nothing was sent. Add --yes to do it.")
    _exit_if(bool(without_message))


@app.command()
def doctor(
    *,
    days: Annotated[int, typer.Option(min=1, help="Look so many days back for events.")] = 7,
    test_event: Annotated[
        bool, typer.Option("--test-event/--no-test-event", help="Send a signed event through the webhook.")
    ] = True,
    wait: Annotated[int, typer.Option(min=1, max=600, help="Seconds to wait for it in the archive.")] = 60,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Examine the stack: secret, clock, events, alarms, notifications, and a test event from the webhook to S3.

    The test event is one of a room `jaas-archive-doctor`; it is removed again, as is what earlier ones left because
    it came too late. Exit code 1 if a check fails.

    For example:

    - `jaas-archive doctor`
    - `jaas-archive doctor --no-test-event --json`
    """
    with _stack(stack_name, profile, region) as stack:
        checks = []
        for check in Doctor(stack, days=days, test_event=test_event, wait_seconds=wait).examine():
            checks.append(check)
            if not as_json:
                say(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
                if not check.ok and check.next_step:
                    say(f"      -> {check.next_step}")
    if as_json:
        print_json(checks)
    _exit_if(not all(check.ok for check in checks))


@app.command()
def show(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    *,
    links: Annotated[
        bool, typer.Option("--links", help="Print the links of files that are not archived; they are credentials.")
    ] = False,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show a session: its files and whether the bucket has them, its events, and what the auditor found.

    Exit code 1 if there is no such session, or a file is not as it should be.

    For example:

    - `jaas-archive show 9a441d60-ceaf-4eba-b0a8-a7d940a76e1b`
    """
    with _stack(stack_name, profile, region) as stack:
        shown = browse.show_session(stack, session, with_links=links, now_ms=_now_ms())
    if shown is None:
        _no_session(session)
    if as_json:
        print_json(shown)
    else:
        say(f"room {shown.room}, began {shown.started_at}\nfolder {shown.folder}")
        say("".join(f"{count} {name.replace('_', ' ')}, " for name, count in shown.counts.items()).removesuffix(", "))
        say("events: " + ", ".join(f"{name} {count}" for name, count in sorted(shown.events.items())))
        for finding in shown.findings:
            say(f"found: {finding}")
        if shown.files:
            say("files: " + ", ".join(f"{name} {count}" for name, count in sorted(shown.kinds.items())))
            print_table(
                ("FILE", "NAME", "SIZE", "STATUS", "IN BUCKET", "KEY OR REASON", "NEXT STEP"),
                (
                    (
                        file.file,
                        file.title,
                        size_text(file.size),
                        f"{file.status}, deleted in the meeting" if file.deleted_at else file.status,
                        file.verdict,
                        file.where_or_why,
                        file.next_step,
                    )
                    for file in shown.files
                ),
            )
        for file in shown.files:
            if file.link:
                say(f"{file.file}: {file.link}")
    _exit_if(
        any(
            file.verdict not in ("", "ok", browse.PAST_RETENTION) or file.status in ("expired", "refused")
            for file in shown.files
        )
    )


@app.command(name="ls")
def list_(
    *,
    room: Annotated[str | None, typer.Option(help="The sessions of this room.")] = None,
    day: Annotated[str | None, typer.Option(help="The sessions of this day (UTC); today if nothing is said.")] = None,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """List sessions, of a room or of a day, by time.

    FILES is how many there are if all are archived, or for example `2 of 3`; `show` says why. It is `?` until the first
    record of a session is made.

    For example:

    - `jaas-archive ls --room weeklysync`
    - `jaas-archive ls --room weeklysync --day 2026-07-01`
    - `jaas-archive ls --day 2026-07-01 --json | jq -r '.[] | select(.files_archived != .files).session_id'`
    """
    wanted = _time(day, "--day") or (None if room else datetime.now(UTC))
    with _stack(stack_name, profile, region) as stack:
        if wanted is not None:
            listed = browse.list_sessions(stack, f"DAY#{wanted.date().isoformat()}")
            rows = list(browse.with_files(stack, (row for row in listed if room in (None, row.room))))
        else:
            rows = list(browse.list_sessions(stack, f"ROOM#{room}"))
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("no sessions")
        return
    print_table(
        ("STARTED", "ROOM", "FILES", "SESSION", "FOLDER"),
        ((row.started_at, row.room, row.files_text, row.session_id, row.folder) for row in rows),
    )


@app.command()
def export(
    *,
    person: Person,
    session: OfSession = None,
    output: Annotated[Path | None, typer.Option(help="Write it as a JSON file into this folder.")] = None,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Gather what the archive has of a person: presence, messages, spoken lines, polls, reactions, events, files.

    Recordings are named by their keys, not copied: others are in them too.

    For example:

    - `jaas-archive export --person ada.nwosu@example.com`
    - `jaas-archive export --person 'auth0|ada' --output requests`
    - `jaas-archive export --person 'Priya Raman' --session 9a441d60-ceaf-4eba-b0a8-a7d940a76e1b --json`
    """
    with _stack(stack_name, profile, region) as stack, _told_apart():
        found = gather(stack, person, session, now_ms=_now_ms())
    if output:
        say(f"written to {_save(found, output)}")
    if as_json:
        print_json(found)
        return
    say(f"{person} is in {len(found.sessions)} sessions")
    if found.sessions:
        print_table(
            ("STARTED", "ROOM", "SESSION", "LINES", "POLLS", "REACTIONS", "FILES"),
            (
                (
                    each.started_at,
                    each.room,
                    each.session_id,
                    len(each.messages),
                    len(each.polls),
                    len(each.reactions),
                    len(each.files),
                )
                for each in found.sessions
            ),
        )
        if not output:
            say("Add --json or --output FOLDER to have all of it.")


@app.command()
def erase(
    *,
    person: Person,
    session: OfSession = None,
    yes: Yes = False,
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Replace a person's words, names, addresses and ids wherever they are text; without --yes only show where.

    Older versions of what is replaced are removed for good. Recordings cannot be changed: their keys are listed, and
    it is you who deletes them. Refuses where Object Lock keeps versions. If it is interrupted, run it again.

    Exit code 1 if it refuses, or something is left that you must look at.

    For example:

    - `jaas-archive erase --person ada.nwosu@example.com`
    - `jaas-archive erase --person 'auth0|ada' --yes`
    - `jaas-archive erase --person 'Priya Raman' --session 9a441d60-ceaf-4eba-b0a8-a7d940a76e1b --yes`
    """
    with _stack(stack_name, profile, region) as stack, _told_apart():
        erasure = Erasure(stack, person, write=yes)
        try:
            found = list(erasure.run(session))
        except LockedError as error:
            typer.echo(f"jaas-archive: nothing was erased: {error}", err=True)
            raise typer.Exit(NEEDS_ATTENTION) from error
    if as_json:
        print_json(found)
    else:
        _print_erased(person, found, done=yes)
    _exit_if(any(each.needs_attention for each in found))


def _print_erased(person: str, found: list[Erased], *, done: bool) -> None:
    if not found:
        say(f"nothing in the archive is known to be of {person}")
        return
    say(f"{person} {'was erased from' if done else 'would be erased from'} {len(found)} sessions")
    print_table(
        ("STARTED", "ROOM", "SESSION", "EVENTS", "LINES", "FILES", "OLD VERSIONS"),
        (
            (
                each.started_at,
                each.room,
                each.session_id,
                each.events,
                each.messages,
                len(each.rewritten),
                each.versions,
            )
            for each in found
        ),
    )
    for title, keys in (
        (
            "They may be heard or seen in these files, which stay; delete them with all versions if you must:",
            "recordings",
        ),
        ("These chats and transcripts are of no known shape and stay as they are:", "unreadable"),
        ("These files are not archived yet; run it again when they are:", "open_files"),
    ):
        if listed := [key for each in found for key in getattr(each, keys)]:
            say("\n".join((title, *(f"  {key}" for key in listed))))
    if namesakes := sum(each.namesakes for each in found):
        say(f"{namesakes} lines under the same name are not proven to be theirs; if they are: --session and the name.")
    if mentions := sum(each.mentions for each in found):
        say(f"{mentions} lines of others name them, and stay.")
    if again_after := max(each.again_after for each in found):
        say(f"Until {again_after} queues may still hold something of it: run it once more after that day.")
    if done:
        say("The table's continuous backup holds it for 35 days more; backups of your own are yours to look after.")
    else:
        say("Nothing was erased. Add --yes to do it; it cannot be undone.")


@contextmanager
def _told_apart() -> Iterator[None]:
    """Ask for another word where one means several people."""
    try:
        yield
    except AmbiguousError as error:
        raise typer.BadParameter(str(error), param_hint="--person") from None


def _save(found: Export, folder: Path) -> Path:
    """Write it where only the admin may read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{safe_name(found.person)}.json"
    path.touch(mode=0o600)
    path.write_text(as_text(found) + "\n", encoding="utf-8")
    return path


@app.command()
def rebuild(
    *,
    prefix: Annotated[str, typer.Option(help="Only folders that begin so, such as a room and a slash.")] = "",
    stack_name: StackName = _STACK,
    profile: Profile = None,
    region: Region = None,
) -> None:
    """Rebuild the table from the bucket: put back what each session's journal knows, and make its record anew.

    What the table still holds is newer than any journal and stays, so a second run does no harm.
    Exit code 1 if a journal cannot be read.

    For example:

    - `jaas-archive rebuild`
    - `jaas-archive rebuild --prefix weeklysync/`
    """
    failed = False
    with _stack(stack_name, profile, region) as stack:
        rebuilder = Rebuilder(stack.archive, stack.meetings, Enricher(stack.archive, stack.meetings, EVERYTHING))
        for key in rebuilder.journals(prefix):
            try:
                done = rebuilder.rebuild(key)
            except ValueError as error:
                failed = True
                say(f"{key}: {error}")
                continue
            more = f", {done.found} of them found beside the journal" if done.found else ""
            say(f"{done.folder}: {done.events} events, {done.files} files{more}")
    _exit_if(failed)


@contextmanager
def _stack(name: str, profile: str | None, region: str | None) -> Iterator[Stack]:
    """The stack; whatever goes wrong with AWS inside ends the command with its exit code."""
    try:
        yield Stack.find(name, profile=profile, region=region)
    except (StackError, ArchiveError, BotoCoreError, ClientError) as error:
        typer.echo(f"jaas-archive: {error}", err=True)
        raise typer.Exit(UNREACHABLE) from error


def _no_session(session: str) -> NoReturn:
    typer.echo(f"there is no session {session}", err=True)
    raise typer.Exit(NEEDS_ATTENTION)


def _exit_if(attention: bool) -> None:  # noqa: FBT001
    if attention:
        raise typer.Exit(NEEDS_ATTENTION)


def _time(text: str | None, option: str, *, end: bool = False) -> datetime | None:
    """A day or a time in UTC; as an end, a day lasts until the next one begins."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text} is not a day or time such as 2026-07-01 or 2026-07-01T12:00"
        raise typer.BadParameter(message, param_hint=option) from None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if end and _is_day(text) else moment


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _now_ms() -> int:
    return int(time.time() * 1000)
