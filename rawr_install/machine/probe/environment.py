"""What else decides what runs here: permissions, pnpm's leftovers, Bun's files in the current folder. Reads only.

Everything here may be hostile, so each read is bounded and opens without blocking.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping

from rawr_install.dispatch.trust import is_granted, unsafe_folder, user_name
from rawr_install.dispatch.workspace import FALLBACK_VARIABLE, fallback_enabled, folders_up
from rawr_install.files import PATH_FOLDERS, is_ours, read_bytes
from rawr_install.machine.entry import Entry
from rawr_install.machine.facts import Environment
from rawr_install.machine.ownership import exposed, not_yours, private_by
from rawr_install.machine.toolkit import cached_toolkits, toolkits_gone
from rawr_install.paths import Paths

SMALL_LIMIT = 64 * 1024
ENV_FILES = (".env", ".env.development", ".env.local")
# Variables with which a .env file decides what runs, or what runs before it.
DECISIVE = ("RAWR_", "BUN_", "PATH=", "NODE_OPTIONS=")


def read_environment(
    paths: Paths, environ: Mapping[str, str], cwd: str | None, entries: tuple[Entry, ...]
) -> Environment:
    """The environment of a user who stands in ``cwd``; ``entries`` are the ``rawr`` on PATH."""
    writable, profile = exposed(paths), _profile(paths.home, environ)
    return Environment(
        tuple(shim for shim in paths.pnpm_shims if os.path.exists(shim)),
        tuple(_fallback(paths, environ)),
        writable,
        _preloads(cwd),
        _env_settings(cwd),
        toolkits_gone(entries, paths.home, environ.get("PATH", "")),
        tuple(_system_path()),
        _unchangeable(paths),
        _foreign_files(cwd, environ),
        cached_toolkits(entries, paths.home, environ),
        private_by(paths, writable),
        ((cwd and unsafe_folder(cwd, environ)) or ("", ""))[1],
        profile,
        _can_append(profile),
    )


def _can_append(file: str) -> bool:
    place = next(filter(os.path.lexists, folders_up(file)))
    return os.access(place, os.W_OK) and (place != file or os.path.isfile(file))


def _profile(home: str, environ: Mapping[str, str]) -> str:
    """The file that a login shell of the user's reads.

    Not zsh's .zshenv: on macOS /etc/zprofile comes after it, and has path_helper(8) put the system's folders first
    again. bash reads the first of three that is there.
    """
    of_bash = (os.path.join(home, name) for name in (".bash_profile", ".bash_login"))
    profile = os.path.join(home, ".profile")
    return {
        "zsh": os.path.join(home, environ.get("ZDOTDIR", ""), ".zprofile"),
        "bash": next((file for file in of_bash if os.access(file, os.R_OK)), profile),
        "yash": os.path.join(home, ".yash_profile"),
        "fish": os.path.join(home, environ.get("XDG_CONFIG_HOME") or ".config", "fish", "config.fish"),
    }.get(os.path.basename(environ.get("SHELL", "")), profile)


def _foreign_files(cwd: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    files = (os.path.join(cwd, name) for name in ("bunfig.toml", *ENV_FILES)) if cwd else ()
    found = tuple(file for file in files if os.path.exists(file) and not is_ours(file))
    return () if cwd and found and is_granted(os.path.realpath(cwd), environ) else found


def _fallback(paths: Paths, environ: Mapping[str, str]) -> Iterator[str]:
    if fallback_enabled(os.devnull + "/none", environ):
        yield FALLBACK_VARIABLE
    if fallback_enabled(paths.fallback_file, {}):
        yield paths.fallback_file


def _unchangeable(paths: Paths) -> tuple[str, str] | None:
    if (whose := not_yours(paths)) is not None:
        return whose, "make it yours or move it away; under sudo, run the command without it"
    for wanted in (paths.state_dir, paths.dot_rawr):
        path = next(folder for folder in folders_up(wanted) if os.path.lexists(folder))
        problem = unwritable(path)
        if problem:
            return f"{path} {problem[0]}", problem[1]
    return None


def unwritable(path: str) -> tuple[str, str] | None:
    """Why nothing can be made in the folder ``path``, and what to do."""
    if not os.path.isdir(path):
        return "is not a folder", "move it away"
    try:
        system = os.statvfs(path)
    except OSError:
        return None  # whoever changes something will say why it cannot
    free, names = (system.f_bfree, system.f_ffree) if os.geteuid() == 0 else (system.f_bavail, system.f_favail)
    if system.f_flag & os.ST_RDONLY:
        return "is on a file system that is mounted read-only", "mount it writable, or set HOME to another folder"
    if not os.access(path, os.W_OK | os.X_OK):
        uid, place = os.stat(path).st_uid, shlex.quote(path)
        if uid == os.geteuid():
            return "is not writable for you", f"make it writable: chmod u+rwx {place}"
        return f"belongs to {user_name(uid)}", f'make it yours: sudo chown -R "$(id -un)" {place}'
    if system.f_blocks and not free:
        return "is on a file system that is full", f"make room there; df {shlex.quote(path)} shows how much is left"
    if system.f_files and not names:
        return "is on a file system without a free inode", f"remove files there; see df -i {shlex.quote(path)}"
    return None


def _system_path() -> Iterator[str]:
    """What macOS' path_helper(8) gives every login shell: the lines of /etc/paths and of the files in /etc/paths.d."""
    try:
        more = sorted(os.listdir("/etc/paths.d"))[:PATH_FOLDERS]
    except OSError:
        more = []
    for file in ("/etc/paths", *(os.path.join("/etc/paths.d", name) for name in more)):
        yield from filter(None, map(os.fsdecode, read_bytes(file, SMALL_LIMIT).splitlines()))


def _preloads(cwd: str | None) -> tuple[str, ...]:
    """The modules that a ``bunfig.toml`` in the current folder makes Bun load first."""
    data = read_bytes(os.path.join(cwd, "bunfig.toml"), SMALL_LIMIT) if cwd else b""
    if b"preload" not in data:
        return ()
    import tomllib

    try:
        wanted = tomllib.loads(data.decode("utf-8")).get("preload")
    except (ValueError, RecursionError):
        return ()
    listed = wanted if isinstance(wanted, list) else [wanted]
    return tuple(item for item in listed if isinstance(item, str))


def _env_settings(cwd: str | None) -> tuple[tuple[str, str], ...]:
    """``(file, variable)`` for each decisive variable that Bun would read from the current folder."""
    return tuple(
        (os.path.join(cwd, name), variable)
        for name in ENV_FILES
        if cwd
        for variable in _variables(read_bytes(os.path.join(cwd, name), SMALL_LIMIT))
        if f"{variable}=".startswith(DECISIVE)
    )


def _variables(data: bytes) -> Iterator[str]:
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, _ = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            yield name.strip()
