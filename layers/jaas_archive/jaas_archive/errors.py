"""The errors of JaaS Archive, named for what the caller should do about them.

ArchiveError
├── RequestError                 the sender must change something; carries the HTTP status
│   ├── NotAnEventError              400  JaaS signed what is no event: kept, and answered so
│   ├── SignatureError               401  nothing proves that JaaS sent it
│   ├── NotAllowedError              403  signed, but of an app or from an address that is not served
│   └── NotReadyError                503  our fault: the sender should try again
├── TryLaterError                passing trouble: leave the message in its queue
│   ├── AwsUnavailableError          an AWS service did not do what it was asked
│   ├── SourceUnavailableError       the link does not give the file now
│   │   ├── LinkDeadError            it answers as it does for a dead link
│   │   ├── NotAFileError            it gives something else, such as an error page
│   │   └── MismatchError            it gives a file that is not what was announced
│   └── InProgressError              another invocation is at work on the same thing
└── NeverError                   trying again cannot help: dead-letter queue, reason in the table
    ├── InvalidMessageError          not one of our own messages
    └── FileLostError                the file will never come: link refused, not a file, or expired
        └── LinkRefusedError         the link is not one that we may fetch
"""

from http import HTTPStatus
from typing import ClassVar


class ArchiveError(Exception):
    """Base of all errors raised on purpose; its text may be logged and holds no link, secret or personal data."""


class RequestError(ArchiveError):
    """A webhook request that is answered with something else than success; its text is the answer."""

    status: ClassVar[HTTPStatus]
    metric: ClassVar[str]
    """What counts these requests."""


class NotAnEventError(RequestError):
    """The body can never be an event."""

    status = HTTPStatus.BAD_REQUEST
    metric = "EventMalformed"


class SignatureError(RequestError):
    """Nothing in the request proves that JaaS sent it."""

    status = HTTPStatus.UNAUTHORIZED
    metric = "SignatureRejected"


class NotAllowedError(RequestError):
    """JaaS signed it, but the admin allows neither this app nor this address."""

    status = HTTPStatus.FORBIDDEN
    metric = "EventRefused"


class NotReadyError(RequestError):
    """The archive cannot take the event now; JaaS keeps it and tries again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    metric = "ReceiverNotReady"


class TryLaterError(ArchiveError):
    """Passing trouble; `pause_seconds` says when to look again, None leaves it to the growing pause.

    `longest_pause_seconds` limits that pause: whoever works against a deadline sets it.
    """

    def __init__(self, reason: str, *, pause_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.pause_seconds = pause_seconds
        self.longest_pause_seconds: int | None = None


class AwsUnavailableError(TryLaterError):
    """An AWS service refused or failed."""


class SourceUnavailableError(TryLaterError):
    """The link does not give the whole file now; `pause_seconds` is the shortest pause that the source asks for."""


class LinkDeadError(SourceUnavailableError):
    """The source answers as it does for a dead link; before the deadline that may be passing trouble."""


class NotAFileError(SourceUnavailableError):
    """The link gives something else than the file, such as an error page."""


class MismatchError(SourceUnavailableError):
    """What came is not the file that was announced: a checksum, the structure or the duration differs."""


class InProgressError(TryLaterError):
    """Another invocation holds the lease."""


class NeverError(ArchiveError):
    """Trying again cannot help."""


class InvalidMessageError(NeverError):
    """A queue holds something that this archive never sent."""


class FileLostError(NeverError):
    """The file will never come; its status and the reason stand in the table."""


class LinkRefusedError(FileLostError):
    """The link is not one that the archive may fetch."""
