"""What a message may say in the log: not what the command was given, since that may be a secret."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator

_VARIABLES = ("RAWR_WORKSPACE_ROOT", "RAWR_HQ_ROOT")
# A user of a URL (RFC 3986, 3.2.1), and a query; either may come out of a file.
_SECRETS = re.compile(r"(?<=//)[^/\s]*@|\?[^\s'\"]*=[^\s'\"]*")


def redacted(message: str, command: str) -> str:
    """``message`` of ``command`` (its name as typed) with ``…`` for its arguments and the root variables' values."""
    named = set(command.split())
    given = [word for word in sys.argv[1:] if word not in named]
    given += [word.partition("=")[2] for word in given if word.startswith("-")]
    given += [os.environ.get(name, "") for name in _VARIABLES]
    for spelling in sorted(set(_spellings(given)), key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", "…", message)
    return _SECRETS.sub("…", message)


def _spellings(words: Iterable[str]) -> Iterator[str]:
    """Each word as a message may show it; nothing that is punctuation alone, or an option."""
    for word in words:
        for spelling in (word, word.strip(), os.path.normpath(word), repr(word)[1:-1]):
            if any(map(str.isalnum, spelling)) and not spelling.startswith("-"):
                yield spelling
