from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from jaas_archive.items import Item
from jaas_archive.table import Table

_LIMIT_ITEMS, _LIMIT_BYTES = 100, 4 * 1024 * 1024


class Client:
    """A DynamoDB that cancels the first transactions."""

    def __init__(self, cancels: int = 0, reason: str = "ThrottlingError") -> None:
        self.cancels, self.reason = cancels, reason
        self.transactions: list[list[Item]] = []

    def transact_write_items(self, **request: Any) -> None:
        items = [one["Put"]["Item"] for one in request["TransactItems"]]
        if self.cancels:
            self.cancels -= 1
            codes: Any = {
                "CancellationReasons": [{"Code": self.reason}],
                "Error": {"Code": "TransactionCanceledException"},
            }
            raise ClientError(codes, "TransactWriteItems")
        self.transactions.append(items)


def table(client: Client) -> Table:
    return Table(cast("Any", client), "meetings")


def items(count: int, text: str) -> list[Item]:
    return [
        {"pk": {"S": "SESSION#s"}, "sk": {"S": f"MESSAGE#{number}"}, "content": {"S": text}} for number in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "text"), [(1, ""), (100, "x"), (101, "x"), (250, "x" * 300_000), (40, "🙂" * 75_000)]
)
def test_no_transaction_is_larger_than_dynamodb_takes(count: int, text: str) -> None:
    client = Client()
    table(client).write(items(count, text))
    assert sum(map(len, client.transactions)) == count
    for written in client.transactions:
        size = sum(len(name) + len(value["S"].encode()) for item in written for name, value in item.items())
        assert len(written) <= _LIMIT_ITEMS
        assert size <= _LIMIT_BYTES


@pytest.mark.parametrize("reason", ["ThrottlingError", "TransactionConflict"])
def test_a_cancelled_transaction_is_written_again(reason: str) -> None:
    client = Client(cancels=2, reason=reason)
    table(client).write(items(3, "x"))
    assert len(client.transactions) == 1


def test_nothing_to_write_is_no_request() -> None:
    client = Client()
    table(client).write([])
    assert client.transactions == []
