"""Documents that people of an invented meeting hand round, under whatever names, and delete again."""

import re
from collections.abc import Sequence

from local.chaos.draft import Draft
from local.chaos.meetings import DOCUMENT, HOUR_MS, SECOND_MS, Deletion, File, Person
from local.jaas.meeting import APP_ID, new_uuid
from local.jaas.small_files import make_pdf

_COUNTS = (0, 0, 1, 2, 4)
_TWIN_SHARE = 0.5
_DELETED_SHARE = 0.4
_HASH = "[0-9a-f]{8}"
_NAMES = (
    ("Plan.pdf", "Plan", ".pdf"),
    ("plan.PDF", "plan", ".PDF"),
    ("Minutes of May.tar.gz", rf"Minutes-of-May\.tar-{_HASH}", ".gz"),
    ("Q3 road map \u2013 draft (2).pdf", f"Q3-road-map-draft-2-{_HASH}", ".pdf"),
    ("\u00dcbersicht.txt", "\u00dcbersicht", ".txt"),
    ("U\u0308bersicht.txt", f"\u00dcbersicht-{_HASH}", ".txt"),
    ("\u0939\u093f\u0928\u094d\u0926\u0940.pdf", "\u0939\u093f\u0928\u094d\u0926\u0940", ".pdf"),
    ("\U0001f389.pdf", _HASH, ".pdf"),
    ("../../whiteboard.pdf", "whiteboard", ".pdf"),
    ("..", _HASH, ".pdf"),
    ("C:\\Users\\ada\\notes.txt", "notes", ".txt"),
    ("con.txt", "_con", ".txt"),
    ("LPT1", "_LPT1", ".pdf"),
    ("meeting.json", "meeting", ".json"),
    (".env", f"env-{_HASH}", ".pdf"),
    ("\u00e9" * 300 + ".pdf", f"\u00e9{{50,80}}-{_HASH}", ".pdf"),
)
"""What people call a document; what the archive makes of that, as a pattern; and the extension, theirs or a PDF's."""


def hand_round(draft: Draft, people: Sequence[Person]) -> None:
    """Some documents, now and then two of one name."""
    rng = draft.rng
    names = rng.sample(_NAMES, rng.choice(_COUNTS))
    twins = names[:1] if rng.random() < _TWIN_SHARE else []
    for name in (*names, *twins):
        _hand_round(draft, people, *name, has_twin=name in twins)


def _hand_round(
    draft: Draft, people: Sequence[Person], file_name: str, stem: str, extension: str, *, has_twin: bool
) -> None:
    rng, file_id, owner = draft.rng, new_uuid(draft.rng), draft.rng.choice(people)
    at_ms = rng.randint(draft.starts_ms, draft.ends_ms)
    told = {"fileName": file_name, "fileId": file_id, "initiatorId": owner.user_id}
    file = File(
        DOCUMENT,
        f"{APP_ID}/{draft.session_id}/{file_id}",
        make_pdf(file_id),
        rf"documents/{stem}{f'(_{file_id})?' if has_twin else ''}{re.escape(extension)}",
        at_ms,
        at_ms + rng.randint(20, 24) * HOUR_MS,
        title=file_name,
        by=owner.name,
        deletion=_delete(draft, people, at_ms, told) if rng.random() < _DELETED_SHARE else None,
    )
    draft.announce(file, told | {"fileSize": len(file.content), "fileCreatedAt": at_ms - 400})


def _delete(draft: Draft, people: Sequence[Person], added_at_ms: int, told: dict[str, str]) -> Deletion:
    """Somebody deletes it, perhaps one of whom JaaS told nothing."""
    rng = draft.rng
    at_ms = added_at_ms + rng.randint(1, 20) * SECOND_MS
    by = rng.choice([*people, None])
    user_id = by.user_id if by else f"auth0|{rng.getrandbits(96):024x}"
    draft.tell("DOCUMENT_DELETED", at_ms, told | {"initiatorId": user_id})
    return Deletion(at_ms, by.name if by else "")
