"""A look at a workspace's state file and lock that changes nothing and loads little: the doctor must be quick."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from rawr_install.errors import RawrError
from rawr_install.state.document import RepoState, default_repo_state, parse
from rawr_install.state.filesystem import is_local
from rawr_install.state.snapshot import Snapshot


class Inspection(NamedTuple):
    """What stands in the state folder, looked at without changing anything.

    ``file_status``: ``missing, ok, corrupt, version, unreadable``; ``lock_status``:
    ``free, held, abandoned, unreadable``; ``held_for`` in seconds by the holder's own record.
    """

    path: str
    file_status: str
    lock_status: str
    error: str = ""
    error_code: str = ""
    holder: Mapping[str, object] = MappingProxyType({})
    held_for: float | None = None
    proof: str = ""
    degraded: tuple[str, ...] = ()
    state: RepoState | None = None


def look(path: str) -> Inspection:
    """Look at the state file ``path`` (below a real path) and at the lock beside it; raises nothing."""
    file_status, error, code, state = _file_status(path)
    lock_status, holder, held_for, proof = _lock_status(os.path.dirname(path))
    return Inspection(path, file_status, lock_status, error, code, holder, held_for, proof, _limits(path), state)


_STATUS = {"STATE_CORRUPT": "corrupt", "STATE_VERSION_UNSUPPORTED": "version", "STATE_UNREADABLE": "unreadable"}


def _file_status(path: str) -> tuple[str, str, str, RepoState | None]:
    try:
        snapshot = Snapshot(path)
        snapshot.close()
        if snapshot.data is None:
            return "missing", "", "", default_repo_state()
        return "ok", "", "", parse(snapshot.data, path)
    except RawrError as error:
        return _STATUS[error.code], error.message, error.code, None


def _lock_status(folder: str) -> tuple[str, dict[str, object], float | None, str]:
    name = os.path.join(folder, "state.lock")
    if not os.path.lexists(name):
        return "free", {}, None, ""
    from rawr_install.state import holder as judgement  # much code, and mostly there is no lock to judge

    found = judgement.look(name)
    if found is None:
        return "free", {}, None, ""
    try:
        proof = judgement.judge(found, 0.0, is_local(folder))
        status = "abandoned" if proof else "held" if found.pid else "unreadable"
        return status, found.describe(), max(0.0, found.age), proof
    finally:
        found.close()


def _limits(path: str) -> tuple[str, ...]:
    return () if is_local(os.path.dirname(path)) else ("not a local file system",)
