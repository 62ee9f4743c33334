"""The meetings table as DynamoDB gives and takes it: items read, written, and changed under conditions."""

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import batched, chain, islice
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from jaas_archive.aws import error_code, translated
from jaas_archive.errors import AwsUnavailableError
from jaas_archive.events import Json
from jaas_archive.items import Item, item_key, new_item, session_pk, typed

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRANSACTION_ITEMS = 90
_TRANSACTION_ATTEMPTS = 8
_PUT_ITEMS = 100
_PUT_BYTES = 4_000_000
"""DynamoDB: all items of a transaction together (4 MB)."""
_PUT_ATTEMPTS = 10
_WRITERS = 8
_LAST_KEY = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Table:
    """The table, one item collection a session."""

    client: "DynamoDBClient"
    name: str

    def get(self, session_id: str, sort_key: str) -> Item | None:
        """An item as it stands."""
        with translated("read an item"):
            answer = self.client.get_item(TableName=self.name, Key=item_key(session_id, sort_key), ConsistentRead=True)
        return answer.get("Item")

    def query(self, session_id: str, condition: str, values: Mapping[str, str]) -> Iterator[Item]:
        """The session's items whose sort key meets the condition, sorted by it."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression=f"pk = :pk AND {condition}",
            ExpressionAttributeValues={":pk": {"S": session_pk(session_id)}}
            | {name: {"S": value} for name, value in values.items()},
            ConsistentRead=True,
        )
        with translated("query a session"):
            for page in pages:
                yield from page["Items"]

    def put_new(self, item: Item) -> None:
        """Write an item that is not there yet.

        Raises:
            ConditionError: it is there.
        """
        with translated("write an item"), refused():
            self.client.put_item(
                TableName=self.name,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )

    def put_missing(self, items: Iterable[Item]) -> None:
        """Write those of the items that are not there yet."""
        with ThreadPoolExecutor(_WRITERS) as pool:
            for _ in pool.map(self._put_if_absent, items):
                pass

    def ensure(self, session_id: str, sort_key: str, values: Mapping[str, Json]) -> Item:
        """The item; those of the values that it has not yet are set."""
        with translated("write an item"):
            answer = self.client.update_item(
                TableName=self.name,
                Key=item_key(session_id, sort_key),
                UpdateExpression="SET " + ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in values),
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": typed(value) for name, value in values.items()},
                ReturnValues="ALL_NEW",
            )
        return answer["Attributes"]

    def update(
        self,
        session_id: str,
        sort_key: str,
        attributes: Mapping[str, Json],
        *,
        add: Mapping[str, int] | None = None,
        remove: Sequence[str] = (),
        condition: str = "",
        also: str = "",
        values: Mapping[str, str | int] | None = None,
    ) -> Item:
        """Set, add and remove attributes of an item that exists; returns it as it is afterwards.

        Raises:
            ConditionError: a condition does not hold.
        """
        add = add or {}
        clauses = [
            ("SET", [f"#{name} = :{name}" for name in attributes]),
            ("ADD", [f"#{name} :{name}" for name in add]),
            ("REMOVE", [f"#{name}" for name in remove]),
        ]
        names = {*attributes, *add, *remove} | ({"status"} if "#status" in condition else set())
        named = {f":{name}": typed(value) for name, value in {**attributes, **add}.items()}
        named |= {name: typed(value) for name, value in (values or {}).items()}
        some_values: Any = {"ExpressionAttributeValues": named} if named else {}
        with translated("update an item"), refused():
            answer = self.client.update_item(
                TableName=self.name,
                Key=item_key(session_id, sort_key),
                UpdateExpression=" ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts),
                ConditionExpression=" AND ".join(
                    f"({part})" for part in ("attribute_exists(pk)", condition, also) if part
                ),
                ExpressionAttributeNames={f"#{name}": name for name in names},
                **some_values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return answer["Attributes"]

    def write_news(self, session_id: str, news: Iterable["TransactWriteItemTypeDef"], counter: str) -> None:
        """Do the conditional writes whose conditions hold, and count the session's `counter` up if there are any."""
        for chunk in batched(news, _TRANSACTION_ITEMS, strict=False):
            self._write_chunk(session_id, list(chunk), counter)

    def write_changed(self, session_id: str, prefix: str, wanted: Mapping[str, Mapping[str, Json]]) -> int:
        """Write what differs from what is stored; both come by sort key, so neither has to be held as a whole."""
        written = 0

        def changed() -> Iterator[Item]:
            nonlocal written
            stored = self.query(session_id, "begins_with(sk, :prefix)", {":prefix": prefix})
            for wanted_item, stored_item in _side_by_side(
                (new_item(session_id, prefix + name, wanted[name]) for name in sorted(wanted)), stored
            ):
                item = wanted_item or _superseded(stored_item or {})
                if item != stored_item:
                    written += 1
                    yield item

        self.write(changed())
        return written

    def write(self, items: Iterable[Item]) -> None:
        """Write many at a time, in several threads, and never hold more of them in memory than that.

        In transactions, though the items do not belong together: BatchWriteItem costs half as many units, but its
        permission covers deletes, and no function may delete.
        """
        batches = iter(_groups(items))
        first = list(islice(batches, 2))
        if len(first) <= 1:
            for batch in first:
                self._put_all(batch)
            return
        with ThreadPoolExecutor(_WRITERS) as pool:
            under_way: deque[Future[None]] = deque()
            for batch in chain(first, batches):
                if len(under_way) >= 2 * _WRITERS:
                    under_way.popleft().result()
                under_way.append(pool.submit(self._put_all, batch))
            for writing in under_way:
                writing.result()

    def _put_if_absent(self, item: Item) -> None:
        with suppress(ConditionError):
            self.put_new(item)

    def _write_chunk(self, session_id: str, news: "list[TransactWriteItemTypeDef]", counter: str) -> None:
        """Write the news that is news, and count up, in one transaction."""
        for attempt in range(_TRANSACTION_ATTEMPTS):
            if not news:
                return
            counted: TransactWriteItemTypeDef = {
                "Update": {
                    "TableName": self.name,
                    "Key": item_key(session_id, "SESSION"),
                    "UpdateExpression": "ADD #counter :one",
                    "ExpressionAttributeNames": {"#counter": counter},
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            }
            try:
                with translated("write to the journal"), _cancelled():
                    self.client.transact_write_items(TransactItems=[*news, counted])
            except TransactionError as error:
                known = {number for number, code in enumerate(error.codes) if code == "ConditionalCheckFailed"}
                news = [write for number, write in enumerate(news) if number not in known]
                if not known:
                    # Another function writes to the same session at this moment.
                    time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - spreads load only
                continue
            return
        raise AwsUnavailableError("could not write to the journal: the session is too busy")

    def _put_all(self, items: Sequence[Item]) -> None:
        for attempt in range(_PUT_ATTEMPTS):
            try:
                with translated("write items"), _cancelled():
                    self.client.transact_write_items(
                        TransactItems=[{"Put": {"TableName": self.name, "Item": item}} for item in items]
                    )
            except TransactionError:
                # There are no conditions: it throttles, or another function writes to one of the items at this moment.
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - spreads load only
                continue
            return
        raise AwsUnavailableError("could not write items: DynamoDB throttles")


class ConditionError(Exception):
    """A condition on an item does not hold; `item` is what is there."""

    def __init__(self, item: Item) -> None:
        super().__init__("a condition on an item does not hold")
        self.item = item


class TransactionError(Exception):
    """A transaction was cancelled; `codes` says for each of its writes why."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__("a transaction was cancelled")
        self.codes = codes


@contextmanager
def refused() -> Iterator[None]:
    """Raise ConditionError where DynamoDB says that a condition does not hold."""
    try:
        yield
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            raise ConditionError(cast("Any", error.response).get("Item", {})) from error
        raise


@contextmanager
def _cancelled() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) == "TransactionCanceledException":
            reasons = cast("Any", error.response).get("CancellationReasons", [])
            raise TransactionError([reason.get("Code", "") for reason in reasons]) from error
        raise


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """As many items together as a transaction takes."""
    group: list[Item] = []
    size = 0
    for item in items:
        # What it takes to write the item down is more than its own size, were it all of letters of four bytes.
        item_size = 4 * len(str(item))
        if group and (len(group) == _PUT_ITEMS or size + item_size > _PUT_BYTES):
            yield group
            group, size = [], 0
        group.append(item)
        size += item_size
    if group:
        yield group


def _side_by_side(one: Iterable[Item], other: Iterable[Item]) -> Iterator[tuple[Item | None, Item | None]]:
    """The items of two sorted streams in pairs with the same sort key; None where one stream lacks it."""
    ones, others = iter(one), iter(other)
    left, right = next(ones, None), next(others, None)
    while left or right:
        left_key = left["sk"]["S"] if left else _LAST_KEY
        right_key = right["sk"]["S"] if right else _LAST_KEY
        yield left if left_key <= right_key else None, right if right_key <= left_key else None
        if left_key <= right_key:
            left = next(ones, None)
        if right_key <= left_key:
            right = next(others, None)


def _superseded(item: Item) -> Item:
    """An item that nothing speaks for any more, such as a line that an older version of the archive read otherwise."""
    kept = {name: value for name, value in item.items() if name not in ("gsi1pk", "gsi1sk")}
    return {"superseded_by": {"S": "another reading"}} | kept
