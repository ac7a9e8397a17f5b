"""For pasting in public: the home folder is shown as ``~``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping


class Redaction:
    """Replaces the home folder, under each of its names, by ``~`` wherever a path below it appears."""

    def __init__(self, *homes: str) -> None:
        names = [re.escape(home) for home in homes if home.strip("/")]
        # A path ends at a separator or at something that no further name could continue.
        self._home = re.compile(f"(?:{'|'.join(names)})(?![\\w.-])") if names else None

    def text(self, text: str) -> str:
        return self._home.sub("~", text) if self._home else text

    def document(self, value: object) -> object:
        """A document, redacted in its keys and values."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.document(item) for key, item in value.items()}
        return [self.document(item) for item in value] if isinstance(value, (list, tuple)) else value
