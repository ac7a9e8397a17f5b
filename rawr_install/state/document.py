"""The state file's format: bytes <-> :class:`RepoState`. Pure.

Reading:

* UTF-8 JSON without a byte order mark, one object, ``version`` 1. Another
  number as version is :class:`StateVersionError`; everything else that is not a state
  is :class:`StateCorruptError`. Nothing is repaired silently.
* ``enabled`` and ``disabled`` hold strings: trimmed as JavaScript trims,
  non-empty, unique, sorted by UTF-16 code unit as JavaScript sorts. A missing
  list is an empty one; an empty ``disabled`` is left out.
* Unknown keys are kept, at every level. What a read could not keep is refused:
  a key that occurs twice, a number beyond the range of a double, nesting
  deeper than the parser goes.

Writing gives the bytes of ``JSON.stringify(state, null, 2) + "\\n"``: the peers
write that, so whoever writes last leaves no diff. One deliberate difference:
an integer beyond 2**53 keeps its digits, which JavaScript would round away.
"""

from __future__ import annotations

import json
import math
from typing import Any, NotRequired, TypedDict, cast

from rawr_install.ecmascript import code_units, stringify, trim
from rawr_install.errors import StateCorruptError, StateVersionError

VERSION = 1
NEVER = "1970-01-01T00:00:00.000Z"
_TOP, _INNER = frozenset(("version", "plugins")), frozenset(("enabled", "disabled", "lastUpdatedAt"))


class PluginLists(TypedDict):
    """``state["plugins"]``. ``lastUpdatedAt`` is ISO 8601 in UTC with milliseconds and ``Z``."""

    enabled: list[str]
    disabled: NotRequired[list[str]]
    lastUpdatedAt: str


class RepoState(TypedDict):
    """A workspace's state: a plain dictionary, which may carry further keys."""

    version: int
    plugins: PluginLists


class Malformed(ValueError):  # noqa: N818 - a reason, turned into the error that fits the place
    """Why a value is not a state, as the end of a sentence."""


class UnknownVersion(Malformed):
    """The value would be a state, of another version."""


def default_repo_state() -> RepoState:
    """The state of a workspace without a state file: nothing enabled, never updated."""
    return {"version": VERSION, "plugins": {"enabled": [], "lastUpdatedAt": NEVER}}


def parse(data: bytes, where: str) -> RepoState:
    """The state in ``data``; raises StateCorruptError or StateVersionError that name ``where``."""
    try:
        return normalised(_DECODER.decode(data.decode("utf-8")))
    except UnknownVersion as reason:
        raise StateVersionError(
            f"{where} {reason}.", hint="upgrade rawr-install, or ask the program that wrote the file"
        ) from None
    except Malformed as reason:
        raise _corrupt(where, str(reason)) from None
    except RecursionError:
        raise _corrupt(where, "is nested too deeply") from None
    except ValueError as reason:
        raise _corrupt(where, f"is not JSON ({reason})" if data.strip() else "is empty") from None


def _corrupt(where: str, reason: str) -> StateCorruptError:
    return StateCorruptError(
        f"{where} {reason}; it was left untouched.", remedy=("rawr-install", "state", "recover", "--dry-run")
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("has a key twice in one object")
    return made


def _finite(token: str) -> float:
    number = float(token)
    if math.isinf(number):
        raise Malformed(f"holds a number that no program can represent ({token[:20]})")
    return number


def _no_constant(token: str) -> None:
    raise Malformed(f"is not JSON ({token})")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)


def normalised(document: object) -> RepoState:
    """A state of its own with tidy lists and the known keys first; raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed("is not a JSON object")
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, (int, float)):
        raise Malformed("has no version number")
    if version != VERSION:
        raise UnknownVersion(f"has version {stringify(version)}, this toolkit knows {VERSION}")
    plugins = _normalised_plugins(document.get("plugins", {}))
    return cast(RepoState, {"version": VERSION, "plugins": plugins, **_others(document, _TOP)})


def _normalised_plugins(plugins: object) -> dict[str, Any]:
    if not isinstance(plugins, dict):
        raise Malformed("has plugins that are not an object")
    updated = plugins.get("lastUpdatedAt", NEVER)
    if not isinstance(updated, str):
        raise Malformed("has a plugins.lastUpdatedAt that is not a string")
    made: dict[str, Any] = {"enabled": _tidy(plugins.get("enabled", []), "enabled")}
    disabled = _tidy(plugins.get("disabled", []), "disabled")
    if disabled:
        made["disabled"] = disabled
    made["lastUpdatedAt"] = updated
    return {**made, **_others(plugins, _INNER)}


def _tidy(ids: object, name: str) -> list[str]:
    if not isinstance(ids, (list, tuple)) or not set(map(type, ids)) <= {str}:
        raise Malformed(f"has a plugins.{name} that is not a list of strings")
    if not ids:
        return []
    text = "".join(ids)
    if text.isascii() and text.isprintable():  # then the space is the only white space, and code points are code units
        # Sorted before made unique: a list that is in order already costs no more than a comparison.
        return _unique_of(sorted(map(str.strip, ids) if " " in text else ids))
    return _unique_of(sorted(map(trim, ids), key=code_units))


def _unique_of(names: list[str]) -> list[str]:
    return [*dict.fromkeys(names[names.count("") :])]  # the empty ones come first


def fresh(state: RepoState) -> RepoState:
    """A copy of a normalised state that the caller may change."""
    return cast(RepoState, _copy(state))


def _others(document: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    if document.keys() <= known:
        return {}
    return {key: _copy(value) for key, value in document.items() if key not in known}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) if isinstance(item, (dict, list)) else item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [*value] if set(map(type, value)) == {str} else [_copy(item) for item in value]
    return value


def one_list_each(state: RepoState, before: RepoState) -> RepoState:
    """``state`` with no id in both lists (the peers' ``enable`` leaves it in the other one).

    Such an id stays where the mutation from ``before`` put it; if that does
    not tell, it is enabled, as it is for the peers.
    """
    plugins = state["plugins"]
    both = set(plugins["enabled"]).intersection(plugins["disabled"]) if "disabled" in plugins else None
    if both:
        newly_off = both.difference(before["plugins"].get("disabled", ())).intersection(before["plugins"]["enabled"])
        plugins["enabled"] = [name for name in plugins["enabled"] if name not in newly_off]
        plugins["disabled"] = [name for name in plugins["disabled"] if name not in both - newly_off]
        if not plugins["disabled"]:
            del plugins["disabled"]
    return state


def dated(state: RepoState, before: RepoState, now: str) -> RepoState:
    """``state`` with ``lastUpdatedAt`` now, unless the mutator set a time of its own."""
    if state["plugins"]["lastUpdatedAt"].strip() in ("", NEVER, before["plugins"]["lastUpdatedAt"]):
        state["plugins"]["lastUpdatedAt"] = now
    return state


def same(one: RepoState, other: RepoState) -> bool:
    """Whether two normalised states are the same file (``1`` and ``true``, equal to Python, are not)."""
    if one != other:
        return False
    plain = one.keys() <= _TOP and one["plugins"].keys() <= _INNER
    return plain or dump(one) == dump(other)


def dump(state: RepoState) -> bytes:
    """The file's bytes; raises Malformed for a value that JSON does not have."""
    try:
        return f"{stringify(state)}\n".encode()
    except (RecursionError, ValueError) as reason:
        raise Malformed(f"cannot be written as JSON ({reason})") from None
