"""What the webhook's secret holds: that by which JaaS proves itself."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Credentials:
    """The signing secrets, and the values of the Authorization header, of which any will do.

    Several while they are rotated. Without `authorizations` that header proves nothing and is not looked at.
    """

    secrets: tuple[str, ...] = ()
    authorizations: tuple[str, ...] = ()

    def authorize(self, header: str) -> bool:
        """Whether the value of the Authorization header is one of ours; each is compared in constant time."""
        given = header.encode("utf-8", "replace")
        matches = sum(hmac.compare_digest(given, value.encode()) for value in self.authorizations)
        return matches > 0 or not self.authorizations


def read_credentials(text: str) -> Credentials:
    """Read the secret's text.

    It is `whsec_…`, several of them separated by white space or commas, or, where JaaS also sends an Authorization
    header, `{"secret": "whsec_…", "authorization": "Bearer …"}`, with a list of texts for several values of either.

    Raises:
        ValueError: it looks like JSON and is not of that form; the error's own text holds nothing of it.
    """
    if not text.lstrip().startswith(("{", "[", '"')):
        return Credentials(_words(text))
    try:
        document = json.loads(text)
    except ValueError:
        raise ValueError("the webhook secret is broken JSON") from None
    if not isinstance(document, dict) or not document.keys() <= {"secret", "authorization"}:
        raise ValueError('the webhook secret is JSON with something else than "secret" and "authorization"')
    secrets = tuple(word for text in _texts(document, "secret") for word in _words(text))
    return Credentials(secrets, tuple(text.strip() for text in _texts(document, "authorization")))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _texts(document: Mapping[str, Any], name: str) -> list[str]:
    if name not in document:
        return []
    value = document[name]
    texts = value if isinstance(value, list) else [value]
    # An empty value would let everybody in who sends none, an empty list everybody whatever they send.
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f'"{name}" in the webhook secret is neither a text nor a list of texts')
    return texts
