"""The status of a workspace's state file and lock: changes nothing and loads little, since the doctor must be quick.

It takes two seconds where a lock looks abandoned and only that time can show it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from rawr_install.errors import RawrError
from rawr_install.files import read_json
from rawr_install.state.document import RepoState, default_repo_state, one_list_each, parse
from rawr_install.state.snapshot import use
from rawr_install.state.system import filesystem_of, this_host

_PATIENCE = 3.0  # seconds; some proofs take two
_CODES = {"STATE_CORRUPT": "corrupt", "STATE_VERSION_UNSUPPORTED": "version", "STATE_UNREADABLE": "unreadable"}


class Status(NamedTuple):
    """What stands in the state directory.

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


def read_status(path: str) -> Status:
    """The status of the state file ``path`` (below a real path) and of the lock beside it; raises nothing."""
    directory = os.path.dirname(path)
    file_status, error, code, state = _file_status(path)
    degraded = () if filesystem_of(directory).local else ("not a local file system",)
    shared = _read_shared(directory)
    status = Status(path, file_status, "free", error, code, shared=shared, degraded=degraded, state=state)
    return _with_lock(status, directory) if os.path.lexists(f"{directory}/state.lock") else status


def _file_status(path: str) -> tuple[str, str, str, RepoState | None]:
    try:
        found = use(path, lambda data: None if data is None else parse(data, path))
        return ("ok", "", "", one_list_each(found, found)) if found else ("missing", "", "", default_repo_state())
    except RawrError as error:
        return _CODES[error.code], error.message, error.code, None


def _with_lock(status: Status, directory: str) -> Status:
    from rawr_install.state.directory import Directory  # much code, and mostly there is no lock to look at
    from rawr_install.state.holder import in_words
    from rawr_install.state.takeover import Watch

    watch = Watch(Directory.at(directory))
    holder, proof = watch.prove(0.0)
    if holder is not None and holder.pid and not proof:
        holder.close()
        holder, proof = watch.prove(_PATIENCE)
    if holder is None:
        return status
    try:
        described = watch.describe(holder, proof)
        return status._replace(
            lock_status="unreadable" if not holder.pid else "abandoned" if proof else "held",
            holder=described,
            held_for=max(0.0, holder.age),
            proof=proof,
            lock_in_words=in_words(described),
            shared=(holder.host, holder.acquired_at) if holder.host else status.shared,
        )
    finally:
        holder.close()


# -- word of other kernels -----------------------------------------------------------
#
# Nothing but a lease met there tells that another host, or a VM by this one's name, changes the state, and that lease
# is gone in a moment. So whoever meets one leaves a note in the directory, where both sides find it.

_AGAIN = 86_400.0  # seconds after which a note is written anew
_FOR = 30 * 86_400.0  # seconds for which it counts


def note_shared(directory: str, host: str) -> None:
    """Leave word that a lease of ``host`` was met in ``directory``; a failure fails nothing."""
    from rawr_install.atomic import write_file
    from rawr_install.ecmascript import now

    path = f"{directory}/state.shared"
    said = {"at": now(), "host": host, "by": this_host()}
    try:
        if not os.path.exists(path) or time.time() - os.stat(path).st_mtime >= _AGAIN:
            write_file(path, (json.dumps(said) + "\n").encode(), 0o644, durable=False)
    except OSError:
        pass


def _read_shared(directory: str) -> tuple[str, str] | None:
    """With whom the directory is shared, and when that was last seen, if it was noted within the last thirty days."""
    path = f"{directory}/state.shared"
    said = read_json(path)
    host, at = said.get("by" if said.get("host") == this_host() else "host"), said.get("at")
    if not (isinstance(host, str) and isinstance(at, str)):
        return None
    try:
        return (host, at) if time.time() - os.stat(path).st_mtime < _FOR else None
    except OSError:
        return None
