"""Items of the meetings table, in the shape in which DynamoDB sends and takes them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from jaas_archive.events import Json

type Item = dict[str, Any]
"""An item as DynamoDB sends it: each value under its type."""

OPEN_FILE_SHARDS = 8
"""Partitions of the index of open files: one alone would cap all writes at 1,000 a second."""

_plain = TypeDeserializer().deserialize


def session_pk(session_id: str) -> str:
    """The partition of a session."""
    return f"SESSION#{session_id}"


def shard_of(session_id: str) -> int:
    """Where in OpenFilesIndex a session's entries are."""
    return hashlib.sha256(session_id.encode()).digest()[0] % OPEN_FILE_SHARDS


def item_key(session_id: str, sort_key: str) -> Item:
    """The primary key of a session's item."""
    return {"pk": {"S": session_pk(session_id)}, "sk": {"S": sort_key}}


def new_item(session_id: str, sort_key: str, values: Mapping[str, Json]) -> Item:
    """A session's item; values that are None or empty are left out."""
    return item_key(session_id, sort_key) | {
        name: typed(value) for name, value in values.items() if value is not None and value != ""
    }


def typed(value: Json) -> Any:
    """A value under its type."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case list() | tuple():
            return {"L": [typed(element) for element in value]}
    raise TypeError(f"the table holds no {type(value).__name__}")


def plain_values(item: Item) -> dict[str, Any]:
    """An item's values without their types."""
    return {name: _plain(value) for name, value in item.items()}


def whole_number(value: Any) -> int | None:
    """DynamoDB's decimal as an integer."""
    return None if value is None else int(value)
