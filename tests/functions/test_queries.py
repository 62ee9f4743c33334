"""The queries in README.md and docs/table.md, as they stand there."""

import json
import re
import shlex
from functools import reduce
from pathlib import Path
from typing import Any, cast

import jmespath
import pytest

from jaas_archive.archive import Archive
from jaas_archive.choices import EVERYTHING
from jaas_archive.enriching import Enricher
from jaas_archive.meetings import Meetings
from jaas_archive.messages import EventMessage
from tests.functions.conftest import ARCHIVE, TABLE, World
from tests.sample_meeting import SESSION_ID, START_MS, documents

ROOT = Path(__file__).parents[2]


def commands(page: str) -> list[str]:
    """The queries in a page's code blocks."""
    blocks = "\n\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL))
    plain = re.sub(r"^#.*\n", "", blocks, flags=re.MULTILINE).replace("\\\n", " ")
    return [command for block in plain.split("\n\n") if (command := block.strip()).startswith("aws dynamodb query")]


# The README's names for what the sample meeting is called.
OURS = {"weeklysync": "weekly-sync", "4be1f0a7-…": SESSION_ID}
ANSWERS = (
    [["2024-06-26T10:00:00.000Z", "9a441d60-ceaf-4eba-b0a8-a7d940a76e1b", "weekly-sync/2024-06-26_10-00-00Z_9a441d60"]],
    [["2024-06-26T10:00:00.000Z", "weekly-sync", "weekly-sync/2024-06-26_10-00-00Z_9a441d60"]],
    [["SESSION#2024-06-26T10:00:00.000Z", "weekly-sync", "1956", "auth0|ada"]],
    [["MESSAGE#2024-06-26T10:07:00.000Z", "speech", "a live chunk that the file has better"]],
    [
        ["Ada Nwosu", "a live chunk that the file has better", "user_id", "certain"],
        ["Tom\xe1s Ferreira", "One more thing, after the transcript ended.", "user_id", "certain"],
    ],
    None,
)
README_ANSWERS: tuple[list[list[str]], ...] = (
    [["2024-06-26T10:00:00.000Z", "weekly-sync/2024-06-26_10-00-00Z_9a441d60"]],
    [
        ["Ada Nwosu", "a live chunk that the file has better", "user_id"],
        ["Tom\xe1s Ferreira", "One more thing, after the transcript ended.", "user_id"],
    ],
    [],
)


def run(world: World, command: str) -> Any:
    """Do what the AWS CLI does with a query."""
    words = shlex.split(command.replace("$TABLE", TABLE))
    assert words[:3] == ["aws", "dynamodb", "query"]
    request: dict[str, Any] = {"ScanIndexForward": "--no-scan-index-forward" not in words}
    words = [word for word in words[3:] if word != "--no-scan-index-forward"]
    options = dict(zip(words[::2], words[1::2], strict=True))
    shown = options.pop("--query")
    assert options.pop("--output") == "text"
    for option, value in options.items():
        name = "".join(word.capitalize() for word in option.removeprefix("--").split("-"))
        request[name] = json.loads(value) if value.startswith("{") else value
    return jmespath.search(shown, cast("Any", world.dynamodb).query(**request))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        *zip(commands("docs/table.md"), ANSWERS, strict=True),
        *zip(commands("README.md"), README_ANSWERS, strict=True),
    ],
    ids="room day person words-of-a-person conversation there readme-room readme-conversation readme-open".split(),  # noqa: SIM905
)
def test_the_documented_queries_answer(world: World, command: str, answer: list[list[str]] | None) -> None:
    enricher = Enricher(Archive(lambda: world.s3, ARCHIVE), Meetings(world.dynamodb, TABLE), EVERYTHING)
    for document in documents():
        session_id = enricher.note(EventMessage(document, START_MS))
    enricher.update_record(session_id)
    found = run(world, reduce(lambda text, names: text.replace(*names), OURS.items(), command))
    assert found == answer if answer is not None else len(found) == 7
