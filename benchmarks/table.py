"""A meeting of 50,000 messages into the table: ours against a plain loop with boto3's `batch_writer`.

    make bench-table     all rounds, in processes of their own, against the embedded cloud

The embedded cloud answers slower than DynamoDB and one request at a time; `--latency-ms` is waited for in the
client, before each request, by both ways alike, as if DynamoDB were a network away.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Annotated, Any

import boto3
import typer
from botocore.config import Config

from jaas_archive.conversation import Line
from jaas_archive.events import read_event
from jaas_archive.meetings import Meetings
from jaas_archive.record import make_record
from jaas_archive.sessions import Session
from jaas_archive.traces import in_order
from local.cloud import running_cloud

PEOPLE = 500
START_MS = 1719396000000
TABLE = "benchmark"
WAYS = ("batch_writer", "ours")
app = typer.Typer(add_completion=False)


def messages(session_id: str, count: int, people: int) -> dict[str, dict[str, Any]]:
    """The message items of a meeting with so many messages, of which so many of the 500 people are known."""
    jids = [f"{number:08x}-0000-4000-8000-000000000000@8x8.vc/res" for number in range(PEOPLE)]
    joins = [
        {
            "eventType": "PARTICIPANT_JOINED",
            "sessionId": session_id,
            "fqn": "app/room",
            "timestamp": START_MS + number,
            "idempotencyKey": str(number),
            "data": {"participantFullJid": jid, "name": f"Person {number}", "id": f"user-{number}"},
        }
        for number, jid in enumerate(jids[:people])
    ]
    events = in_order(read_event(join, received_at_ms=START_MS) for join in joins)
    lines = tuple(
        Line(START_MS + number * 300, "chat", jids[number % PEOPLE], f"message {number} of a long day")
        for number in range(count)
    )
    session = Session(session_id, "room", "app/room", "app", "room/folder", START_MS, 1, "")
    return make_record(session, events, [], [lines]).messages


def write_plainly(table: Any, session_id: str, wanted: dict[str, dict[str, Any]]) -> int:
    """What one writes who looks into the manual."""
    with table.batch_writer() as batch:
        for name, values in wanted.items():
            batch.put_item(Item={"pk": f"SESSION#{session_id}", "sk": f"MESSAGE#{name}", **values})
    return len(wanted)


@app.command()
def child(way: str, endpoint: str, session_id: str, count: int, latency_ms: float) -> None:
    """One way once; prints what it cost."""

    def wait(**_: Any) -> None:
        time.sleep(latency_ms / 1000)

    config = Config(max_pool_connections=16, parameter_validation=way != "ours")
    client = boto3.client("dynamodb", endpoint_url=endpoint, config=config)
    dynamodb = boto3.resource("dynamodb", endpoint_url=endpoint)
    for events in (client.meta.events, dynamodb.meta.client.meta.events):
        events.register("before-send.dynamodb", wait)
    meetings = Meetings(client, TABLE)
    client.put_item(TableName=TABLE, Item={"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": "SESSION"}})
    wanted = messages(session_id, count, PEOPLE - 1)
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, cpu = time.monotonic(), time.process_time()
    if way == "ours":
        written = meetings.write_messages(session_id, wanted)
    else:
        written = write_plainly(dynamodb.Table(TABLE), session_id, wanted)
    result = {
        "wall": time.monotonic() - started,
        "cpu": time.process_time() - cpu,
        "written": written,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rss_before_mib": before_mib,
    }
    if way == "ours":
        wanted = messages(session_id, count, PEOPLE)
        started = time.monotonic()
        result |= {"late_written": meetings.write_messages(session_id, wanted), "late_wall": time.monotonic() - started}
    print(json.dumps(result))


@app.command()
def run(
    count: Annotated[int, typer.Option(help="messages in the meeting")] = 50_000,
    rounds: int = 3,
    latency_ms: float = 0.0,
) -> None:
    """All ways in turn, and their medians."""
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with running_cloud(patched=False) as cloud:
        make_table(cloud.client("dynamodb"))
        for number in range(rounds):
            for way in WAYS:
                arguments = [way, cloud.endpoint, f"{way}-{number}", str(count), str(latency_ms)]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.table", "child", *arguments],
                    check=True,
                    stdout=subprocess.PIPE,
                    env=credentials(),
                )
                results[way].append(json.loads(done.stdout))
                print(way, {name: round(value, 2) for name, value in results[way][-1].items()}, flush=True)
    medians = {
        way: {name: statistics.median(one[name] for one in told) for name in told[0]} for way, told in results.items()
    }
    plain, ours = medians["batch_writer"], medians["ours"]
    print(f"\n{count:,} messages, medians of {rounds}, {latency_ms:g} ms latency")
    print(f"{'way':<14}{'wall s':>8}{'CPU s':>8}{'RSS MiB':>9}")
    for way, told in medians.items():
        print(f"{way:<14}{told['wall']:>8.2f}{told['cpu']:>8.2f}{told['rss_mib']:>9.0f}")
    print(f"ours / batch_writer: {ours['wall'] / plain['wall']:.2f} of the wall time")
    print(f"a late join rewrites {ours['late_written']:,.0f} of {count:,} items in {ours['late_wall']:.2f} s")


def make_table(client: Any) -> None:
    """The table as the template has it."""
    keys = (("pk", "HASH"), ("sk", "RANGE"))
    index_keys = (("gsi1pk", "HASH"), ("gsi1sk", "RANGE"))
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in (*keys, *index_keys)],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "SessionsIndex",
                "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in index_keys],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def credentials() -> dict[str, str]:
    """What the embedded cloud takes."""
    import os  # noqa: PLC0415 - the one place that hands an environment on

    aws = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | aws


if __name__ == "__main__":
    app()
