"""The one boundary at which known secrets are masked before anything is kept, shown or logged."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST_SECRET = 4  # masking shorter strings would eat ordinary text


class Redactor:
    """Masks the secrets it was told of, also in their URL-encoded and base64 forms.

    A vendor that echoes a secret in a reply, or a library that puts one into an exception, must not bring it into a
    log, result, artifact, audit record or traceback.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self._secrets: set[str] = set()
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Adds secrets that became known later, such as an access token."""
        self._secrets |= {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        forms = {form for secret in self._secrets for form in _forms_of(secret)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text with every known secret masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with every known secret masked, in keys too; the same object where there was none."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def knows(self, text: str) -> bool:
        """Whether the text holds a known secret."""
        return any(form in text for form in self._forms)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"


def _forms_of(secret: str) -> set[str]:
    packed = base64.b64encode(secret.encode()).decode()
    once = _escaped(secret)  # twice: JSON that stands inside JSON, as where a vendor repeats a request
    escaped = once.union(*map(_escaped, once))
    return {secret, *escaped, quote(secret), quote(secret, safe=""), quote_plus(secret), packed, packed.rstrip("=")}


def _escaped(text: str) -> set[str]:
    """The text as it stands between the quotes of JSON, pure ASCII or not, and of Python's `repr`."""
    return {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
