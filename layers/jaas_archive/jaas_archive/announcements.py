"""Announcements: the messages that announced files, links included, kept until the files are archived or given up.

A link is a credential, so the table does not hold it. The queue does, and the claim bucket: out of what lies there the
auditor makes a message again that its queue lost, or one that goes ahead of all others.
"""

import hashlib
from dataclasses import dataclass

from jaas_archive.messages import EventMessage, encode
from jaas_archive.queues import ClaimBucket, unfold_event


@dataclass(frozen=True, slots=True)
class Announcements:
    """Objects of the claim bucket, one for each file at most."""

    claims: ClaimBucket

    def keep(self, session_id: str, sort_key: str, message: EventMessage) -> str:
        """Store what announced a file, instead of what did so before; returns its key."""
        key = _key(session_id, sort_key)
        self.claims.put(key, encode(message))
        return key

    def forget(self, session_id: str, sort_key: str) -> None:
        """Leave an empty object, since no function may delete one; the bucket keeps no versions."""
        self.claims.put(_key(session_id, sort_key), "")

    def find(self, key: str) -> EventMessage:
        """The message that announced a file.

        Raises:
            InvalidMessageError: it was forgotten.
        """
        return unfold_event(self.claims.get(key), self.claims)


def _key(session_id: str, sort_key: str) -> str:
    """Names from outside may be of any length and hold anything; S3 need not know them."""
    return f"announcements/{hashlib.sha256(f'{session_id}\n{sort_key}'.encode()).hexdigest()}.json"
