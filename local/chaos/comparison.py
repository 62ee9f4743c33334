"""The archive against the model of what JaaS sent."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from local.chaos.meetings import SCREENSHOT, SCREENSHOTS, File, Line, Meeting, PictureList, sorted_lines
from local.chaos.publication import Answers
from local.chaos.snapshot import Item, Snapshot

_RECORD_NAMES = {"journal.jsonl.gz", "meeting.html", "meeting.json"}


class Sort(StrEnum):
    """What is wrong with what the archive holds."""

    LOST = "lost"
    DOUBLED = "doubled"
    WRONG_NAME = "wrong name"
    LEFT_OVER = "left over"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it must be."""

    sort: Sort
    session_id: str
    what: str


def differences(meetings: Iterable[Meeting], answers: Answers, archive: Snapshot) -> list[Difference]:
    """Everything in which the archive is not what it must be, where lists gave these `answers`."""
    found: list[Difference] = []
    accounted: set[str] = set()
    for meeting in meetings:
        comparison = _Comparison(meeting, answers, archive)
        found += comparison.run()
        accounted |= comparison.keys
    found += [Difference(Sort.LEFT_OVER, "", f"object {key}") for key in sorted(set(archive.objects) - accounted)]
    if archive.unfinished_uploads:
        found.append(Difference(Sort.LEFT_OVER, "", f"{archive.unfinished_uploads} unfinished uploads"))
    if archive.dead_letters:
        found.append(Difference(Sort.LEFT_OVER, "", f"{archive.dead_letters} dead letters"))
    return found


class _Comparison:
    """One meeting."""

    def __init__(self, meeting: Meeting, answers: Answers, archive: Snapshot) -> None:
        self._meeting = meeting
        self._answers = answers
        self._archive = archive
        items = archive.items.get(meeting.session_id, [])
        self._items = {str(item["sk"]): item for item in items}
        self._session = self._items.get("SESSION", {})
        self._folder: str = self._session.get("folder", "")
        self.keys: set[str] = {key for key in archive.objects if self._folder and key.startswith(f"{self._folder}/")}
        self._found = {key.removeprefix(f"{self._folder}/"): archive.objects[key] for key in self.keys}

    def run(self) -> list[Difference]:
        if not self._session:
            return [self._differs(Sort.LOST, "the whole session")]
        return [
            *self._folder_name(),
            *self._objects(),
            *self._lists(),
            *self._events(),
            *self._files(),
            *self._lines("the table", self._table_lines()),
            *self._connections(),
            *self._document(),
        ]

    def _folder_name(self) -> Iterator[Difference]:
        room = re.sub(r"[^\w.-]+", "-", self._meeting.room).strip(".-")
        digest = "" if room == self._meeting.room else "-[0-9a-f]{8}"
        session = self._meeting.session_id[:8]
        pattern = rf"{re.escape(room)}{digest}/\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\dZ_{session}"
        if not re.fullmatch(pattern, self._folder):
            yield self._differs(Sort.WRONG_NAME, f"the folder is {self._folder}")

    def _objects(self) -> Iterator[Difference]:
        """Each file once, under a name of its own, and the record beside it."""
        places: defaultdict[str, list[str]] = defaultdict(list)
        for name, sha256 in self._found.items():
            places[sha256].append(name)
        accounted = _RECORD_NAMES.union(*(self._pages(one) + self._parts(one) for one in self._meeting.lists))
        for file in self._meeting.files:
            names = places[file.sha256]
            yield from self._places(file, names)
            accounted |= set(names)
            if file in self._meeting.captioned and names:
                accounted.add(str(PurePosixPath(names[0]).with_suffix(".vtt")))
        for name in sorted(accounted - set(self._found)):
            yield self._differs(Sort.LOST, name)
        for name in sorted(set(self._found) - accounted):
            yield self._differs(Sort.LEFT_OVER, name)

    def _places(self, file: File, names: Sequence[str]) -> Iterator[Difference]:
        if not names:
            yield self._differs(Sort.LOST, f"{file.kind.name} {file.object_name}")
        for name in names[1:]:
            yield self._differs(Sort.DOUBLED, f"{names[0]} as {name}")
        for name in names:
            if not re.fullmatch(file.name, name):
                yield self._differs(Sort.WRONG_NAME, f"{file.kind.name} is called {name}")

    def _lists(self) -> Iterator[Difference]:
        """Each page as the list gave it, and together they tell of every picture."""
        for one in self._meeting.lists:
            pages, answers = self._pages(one), self._answers.get(one.object_name, {})
            if not pages:
                yield self._differs(Sort.LOST, one.object_name)
            for name in pages + self._parts(one):
                if self._found[name] not in answers:
                    yield self._differs(Sort.LOST, f"{name} is not what the list said")
            told = b"".join(answers.get(self._found[name], b"") for name in pages)
            for picture in one.pictures:
                if picture.object_name.encode() not in told:
                    yield self._differs(Sort.LOST, f"no page of {one.object_name} tells of {picture.object_name}")

    def _pages(self, one: PictureList) -> list[str]:
        """The names of what is archived of a list."""
        return [name for name in self._found if re.fullmatch(f"{one.name}|{one.name_of_more}", name)]

    def _parts(self, one: PictureList) -> list[str]:
        """The names of what came of a list before it was whole."""
        return [name for name in self._found if re.fullmatch(one.name_of_part, name)]

    def _events(self) -> Iterator[Difference]:
        wanted = Counter(event.key for event in self._meeting.events)
        found = Counter(str(json.loads(item["event"])["idempotencyKey"]) for item in self._of_kind("EVENT#"))
        yield from self._counts("event", wanted, found)

    def _files(self) -> Iterator[Difference]:
        items = self._of_kind("FILE#")
        found = (
            (item["kind"], item["status"], int(item.get("size", 0)), self._archive.objects.get(item.get("key", "")))
            for item in items
        )
        wanted = [*map(_as_archived, self._meeting.files), *self._lists_as_archived()]
        yield from self._counts("file item", Counter(wanted), Counter(found))
        yield from self._deadlines(items)
        for item in items:
            if item.get("key") not in self._archive.objects:
                yield self._differs(Sort.LOST, f"{item['sk']} names the object {item.get('key')}")
            if "link" in item:
                yield self._differs(Sort.LEFT_OVER, f"the link of {item['sk']}")

    def _deadlines(self, items: Iterable[Item]) -> Iterator[Difference]:
        """Of a picture, any of the lists that tell of it decides."""
        wanted = [(one.kind.name, one.deadline_ms) for one in self._meeting.announced]
        wanted += [(SCREENSHOTS.name, one.deadline_ms) for one in self._meeting.lists]
        found = ((item["kind"], int(item["deadline"])) for item in items if item["kind"] != SCREENSHOT.name)
        yield from self._counts("deadline", Counter(wanted), Counter(found))

    def _table_lines(self) -> list[Line]:
        return [
            Line(
                int(item["timestamp"]),
                item["source"],
                item["content"],
                item.get("name", ""),
                item.get("email", ""),
                item.get("user_id", ""),
            )
            for item in self._of_kind("MESSAGE#")
            if "superseded_by" not in item
        ]

    def _lines(self, where: str, found: Sequence[Line]) -> Iterator[Difference]:
        def words(lines: Iterable[Line]) -> Counter[tuple[Any, ...]]:
            return Counter((line.timestamp_ms, line.source, line.content) for line in lines)

        counts = list(self._counts(f"line in {where}", words(self._meeting.lines), words(found)))
        yield from counts
        if not counts:
            for wanted, line in zip(self._meeting.lines, sorted_lines(found), strict=True):
                if wanted != line:
                    yield self._differs(Sort.WRONG_NAME, f"in {where}: {line} instead of {wanted}")

    def _connections(self) -> Iterator[Difference]:
        found = Counter((item["jid"], item.get("name", "")) for item in self._of_kind("PARTICIPANT#"))
        yield from self._counts("connection", Counter(self._meeting.jids.items()), found)

    def _document(self) -> Iterator[Difference]:
        document = self._archive.documents.get(f"{self._folder}/meeting.json")
        if document is None:
            return  # the comparison of objects has said so
        if document["version"] != self._session["version"]:
            yield self._differs(Sort.LOST, f"meeting.json is of version {document['version']}")
        lines = [
            Line(
                _milliseconds(entry["at"]),
                *(entry.get(name, "") for name in ("source", "content", "name", "email", "user_id")),
            )
            for entry in document["messages"]
        ]
        yield from self._lines("meeting.json", lines)
        wanted = Counter(
            [*map(_as_told, self._meeting.files), *((*one, "", "", "", 0) for one in self._lists_as_archived())]
        )
        yield from self._counts("file in meeting.json", wanted, Counter(map(self._told, document["files"])))
        types = Counter(event.document["eventType"] for event in self._meeting.events)
        yield from self._counts("event in meeting.json", types, Counter(one["type"] for one in document["events"]))

    def _told(self, entry: Item) -> tuple[Any, ...]:
        """What meeting.json says of a file."""
        deleted_at = entry.get("deleted_at")
        return (
            *(entry["kind"], entry["status"], entry.get("size", 0), self._found.get(entry.get("name", ""))),
            *(entry.get(name, "") for name in ("title", "by", "deleted_by")),
            _milliseconds(deleted_at) if deleted_at else 0,
        )

    def _lists_as_archived(self) -> Iterator[tuple[Any, ...]]:
        """A list goes by its first page."""
        for one in self._meeting.lists:
            sha256 = next((self._found[name] for name in self._pages(one) if re.fullmatch(one.name, name)), "")
            content = self._answers.get(one.object_name, {}).get(sha256, b"")
            yield SCREENSHOTS.name, "archived", len(content), sha256

    def _counts(self, what: str, wanted: Mapping[Any, int], found: Mapping[Any, int]) -> Iterator[Difference]:
        for one in sorted({*wanted, *found}, key=repr):
            missing = wanted.get(one, 0) - found.get(one, 0)
            if missing > 0:
                yield self._differs(Sort.LOST, f"{missing} x {what} {one}")
            elif missing < 0:
                yield self._differs(Sort.DOUBLED, f"{-missing} x {what} {one}")

    def _of_kind(self, prefix: str) -> list[Item]:
        return [item for name, item in self._items.items() if name.startswith(prefix)]

    def _differs(self, sort: Sort, what: str) -> Difference:
        return Difference(sort, self._meeting.session_id, what)


def _as_archived(file: File) -> tuple[Any, ...]:
    return file.kind.name, "archived", len(file.content), file.sha256


def _as_told(file: File) -> tuple[Any, ...]:
    deletion = (file.deletion.by, file.deletion.at_ms) if file.deletion else ("", 0)
    return *_as_archived(file), file.title, file.by, *deletion


def _milliseconds(iso_time: str) -> int:
    return round(datetime.fromisoformat(iso_time).timestamp() * 1000)
