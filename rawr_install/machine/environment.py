"""What else decides what runs here: permissions, pnpm's leftovers, Bun's files in the current folder. Reads only.

Everything here may be hostile, so each read is bounded and opens without blocking.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from rawr_install.dispatch.workspace import fallback_enabled
from rawr_install.files import PATH_FOLDERS, read_bytes
from rawr_install.machine.entry import Entry
from rawr_install.machine.facts import Environment
from rawr_install.machine.ownership import exposed
from rawr_install.machine.toolkit import toolkits_gone
from rawr_install.paths import Paths

SMALL_LIMIT = 64 * 1024
ENV_FILES = (".env", ".env.development", ".env.local")
# Variables with which a .env file decides what runs, or what runs before it.
DECISIVE = ("RAWR_", "BUN_", "PATH=", "NODE_OPTIONS=")


def read_environment(
    paths: Paths, environ: Mapping[str, str], cwd: str | None, entries: tuple[Entry, ...]
) -> Environment:
    """The environment of somebody who stands in ``cwd``; ``entries`` are the ``rawr`` on PATH."""
    return Environment(
        tuple(shim for shim in paths.pnpm_shims if os.path.exists(shim)),
        fallback_enabled(paths.fallback_file, environ),
        exposed(paths),
        _preloads(cwd),
        _env_settings(cwd),
        toolkits_gone(entries, paths.home, environ.get("PATH", "")),
        tuple(_system_path()),
    )


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
