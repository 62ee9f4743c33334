"""Which of the files that events announce the archive takes."""

from typing import Any

from jaas_archive.choices import EVERYTHING, Choice, chosen_kinds
from jaas_archive.events import read_event
from jaas_archive.kinds import KIND_NAMES, MAX_OTHER_FILES, announced_files, message_document
from jaas_archive.links import parse_origins

STORE = "https://objectstorage.eu-frankfurt-1.oraclecloud.com/p/token/n/ns/b/bucket/o/app/"
ORIGINS = parse_origins(["https://*.oraclecloud.com"])


def event(event_type: str, data: Any) -> Any:
    document = {"eventType": event_type, "sessionId": "s", "timestamp": 1782896401240, "fqn": "a/r", "data": data}
    return read_event(document, received_at_ms=0)


def files(event_type: str, data: Any, *, kinds: str = "all") -> list[str]:
    choice = Choice(chosen_kinds(kinds.split(",")), ORIGINS)
    return [file.link for file in choice.files_of(event(event_type, data))]


def test_an_undocumented_event_brings_every_link_that_is_allowed() -> None:
    data = {
        "preAuthenticatedLink": f"{STORE}1.mp4",
        "parts": [{"url": f" {STORE}2.mp4 "}, f"{STORE}3.mp4"],
        "avatar": "https://avatars.example.com/ada.png",
        "inside": "http://169.254.169.254/latest/meta-data/",
        "user": "https://user:password@objectstorage.oraclecloud.com/x",
        "text": f"see {STORE}4.mp4",
        "plain": "http://objectstorage.oraclecloud.com/x",
        "count": 7,
    }
    assert files("CERTIFIED_REC_UPLOADED", data) == [f"{STORE}{number}.mp4" for number in (1, 2, 3)]
    assert files("CERTIFIED_REC_UPLOADED", [f"{STORE}1.mp4"]) == [f"{STORE}1.mp4"]


def test_links_in_an_undocumented_event_are_followed_up_to_a_number() -> None:
    assert len(files("SOMETHING_NEW", [f"{STORE}{number}" for number in range(200)])) == MAX_OTHER_FILES


def test_a_documented_event_brings_no_other_file() -> None:
    assert files("PARTICIPANT_JOINED", {"avatar": f"{STORE}ada.png"}) == []


def test_a_known_file_is_taken_though_its_link_is_not_allowed_so_that_its_loss_shows() -> None:
    assert files("CHAT_UPLOADED", {"preAuthenticatedLink": "http://10.0.0.1/"}) == ["http://10.0.0.1/"]


def test_kinds_can_be_left_out() -> None:
    chat = {"preAuthenticatedLink": f"{STORE}chat.json"}
    assert files("CHAT_UPLOADED", chat, kinds="recording,other") == []
    assert files("CHAT_UPLOADED", chat, kinds="recording,chat") != []
    assert files("SOMETHING_NEW", chat, kinds="recording,chat") == []
    assert EVERYTHING.kinds == KIND_NAMES == chosen_kinds(["all"])


def test_a_link_put_back_announces_the_same_file() -> None:
    for data in ({"a": {"b": f"{STORE}1.mp4"}, "c": f"{STORE}2.mp4"}, [f"{STORE}1.mp4"]):
        told = event("SOMETHING_NEW", data)
        for file in announced_files(told):
            alone = read_event(message_document(told, file), received_at_ms=0)
            assert [(one.id, one.link) for one in announced_files(alone)] == [(file.id, file.link)]
