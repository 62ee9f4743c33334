"""Rebuilds the meetings table from the archive bucket alone: `python -m local.rebuild BUCKET TABLE`."""

from functools import cache, partial
from typing import Annotated

import boto3
import typer

from jaas_archive.archive import Archive
from jaas_archive.choices import EVERYTHING
from jaas_archive.enriching import Enricher
from jaas_archive.meetings import Meetings
from jaas_archive.rebuilding import Rebuilder


def main(
    bucket: Annotated[str, typer.Argument(help="output ArchiveBucketName of the stack")],
    table: Annotated[str, typer.Argument(help="output MeetingsTableName of the stack, or a new table like it")],
    *,
    prefix: Annotated[str, typer.Option(help="only folders that begin so, such as a room and a slash")] = "",
    endpoint: Annotated[str | None, typer.Option(help="another endpoint than that of AWS")] = None,
) -> None:
    """Put every session's journal back into the table and make its record anew; nothing in the table is overwritten."""
    archive = Archive(cache(partial(boto3.client, "s3", endpoint_url=endpoint)), bucket)
    meetings = Meetings(boto3.client("dynamodb", endpoint_url=endpoint), table)
    rebuilder = Rebuilder(archive, meetings, Enricher(archive, meetings, EVERYTHING))
    failed = 0
    for key in rebuilder.journals(prefix):
        try:
            done = rebuilder.rebuild(key)
        except ValueError as error:
            failed += 1
            print(f"{key}: {error}")
            continue
        more = f", {done.found} of them found beside the journal" if done.found else ""
        print(f"{done.folder}: {done.events} events, {done.files} files{more}")
    raise typer.Exit(code=1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
