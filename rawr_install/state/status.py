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
from rawr_install.state.snapshot import use

_PATIENCE = 3.0  # seconds; some proofs take two


class Inspection(NamedTuple):
    """What stands in the state folder, looked at without changing anything.

    ``file_status``: ``missing, ok, corrupt, version, unreadable``; ``lock_status``:
    ``free, held, abandoned, unreadable``; ``held_for`` in seconds by the lock's time stamp; ``lock_in_words``
    follows "the lock is"; ``shared``: which other host or kernel changes this state, too, and when that was seen.
    """

    path: str
    file_status: str
    lock_status: str
    error: str = ""
    error_code: str = ""
    holder: Mapping[str, object] = MappingProxyType({})
    held_for: float | None = None
    proof: str = ""
    lock_in_words: str = "free"
    shared: tuple[str, str] | None = None
    degraded: tuple[str, ...] = ()
    state: RepoState | None = None


def look(path: str) -> Inspection:
    """Look at the state file ``path`` (below a real path) and at the lock beside it; raises nothing."""
    folder = os.path.dirname(path)
    file_status, error, code, state = _file_status(path)
    seen = Inspection(path, file_status, "free", error, code, state=state, degraded=_limits(folder))
    seen = seen._replace(shared=_shared(folder))
    return _with_lock(seen, folder) if os.path.lexists(os.path.join(folder, "state.lock")) else seen


_STATUS = {"STATE_CORRUPT": "corrupt", "STATE_VERSION_UNSUPPORTED": "version", "STATE_UNREADABLE": "unreadable"}


def _file_status(path: str) -> tuple[str, str, str, RepoState | None]:
    try:
        found = use(path, lambda data: None if data is None else parse(data, path))
        return ("ok", "", "", one_list_each(found, found)) if found else ("missing", "", "", default_repo_state())
    except RawrError as error:
        return _STATUS[error.code], error.message, error.code, None


def _with_lock(seen: Inspection, folder: str) -> Inspection:
    from rawr_install.state.holder import in_words  # much code, and mostly there is no lock to judge
    from rawr_install.state.lease import Place
    from rawr_install.state.watch import Watch

    watch = Watch(Place(folder, volume_of(folder)))
    found, proof = watch.prove(0.0)
    if found is not None and found.pid and not proof:
        found.close()
        found, proof = watch.prove(_PATIENCE)
    if found is None:
        return seen
    try:
        holder = watch.describe(found, proof)
        return seen._replace(
            lock_status="unreadable" if not found.pid else "abandoned" if proof else "held",
            holder=holder,
            held_for=max(0.0, found.age),
            proof=proof,
            lock_in_words=in_words(holder),
            shared=(found.host, found.acquired_at) if found.host else seen.shared,
        )
    finally:
        found.close()


def _shared(folder: str) -> tuple[str, str] | None:
    if not os.path.lexists(os.path.join(folder, "state.shared")):
        return None
    from rawr_install.state import shared

    return shared.read(folder)


def _limits(folder: str) -> tuple[str, ...]:
    return () if volume_of(folder).local else ("not a local file system",)
