"""The toolkit that puts a global ``rawr`` on a machine and keeps it honest.

The names of the public library stand in ``__init__.pyi``, for type checkers and
for this module. They are resolved on first use, so that importing the package
costs nothing: the dispatch path starts here.
"""

from __future__ import annotations

__version__ = "0.2.0"

_homes: dict[str, str] = {}


def __getattr__(name: str) -> object:
    """Import a public name's home module when the name is first asked for (PEP 562)."""
    homes = _homes or _read_homes()
    if name == "__all__":
        return list(homes)
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(homes[name]), name)


def _read_homes() -> dict[str, str]:
    """Public name -> its home: the stub's lines ``from HOME import (`` and ``NAME as NAME,``."""
    home = ""
    with open(__file__.rpartition(".")[0] + ".pyi", encoding="utf-8") as stub:
        for words in map(str.split, stub):
            if words[:1] == ["from"]:
                home = words[1]
            name = words[-3] if words[-2:-1] == ["as"] else ""
            if name:
                _homes[name] = home
    return _homes


def __dir__() -> list[str]:
    return sorted({*globals(), *_read_homes()})
