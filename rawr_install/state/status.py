"""A look at a workspace's state file and lock that changes nothing and loads little: the doctor must be quick.

It takes two seconds where a lock looks abandoned and only that time can show it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from rawr_install.errors import RawrError
from rawr_install.state.document import RepoState, default_repo_state, one_list_each, parse
from rawr_install.state.filesystem import volume_of
from rawr_install.state.snapshot import Snapshot

_PATIENCE = 3.0  # seconds; some proofs take two


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
        found = parse(snapshot.data, path)
        return "ok", "", "", one_list_each(found, found)
    except RawrError as error:
        return _STATUS[error.code], error.message, error.code, None


def _lock_status(folder: str) -> tuple[str, dict[str, object], float | None, str]:
    name = os.path.join(folder, "state.lock")
    if not os.path.lexists(name):
        return "free", {}, None, ""
    from rawr_install.state.lease import Place  # much code, and mostly there is no lock to judge
    from rawr_install.state.watch import Watch

    volume = volume_of(folder)
    watch = Watch(Place(folder, volume), "full" if volume.local else "old")
    found, proof = watch.prove(0.0)
    if found is not None and found.pid and not proof:
        found, proof = watch.prove(_PATIENCE)
    if found is None:
        return "free", {}, None, ""
    status = "unreadable" if not found.pid else "abandoned" if proof else "held"
    return status, found.describe(), max(0.0, found.age), proof


def _limits(path: str) -> tuple[str, ...]:
    return () if volume_of(os.path.dirname(path)).local else ("not a local file system",)
