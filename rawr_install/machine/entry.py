"""What a file named ``rawr`` is: the kinds of entry, told apart by looking.

Kinds:

* ``missing`` / ``directory`` / ``dangling`` (a link that leads nowhere)
* ``workspace-link``: a symbolic link to a workspace CLI (the ``bun-symlink`` mode); ours
* ``shim``: a copy of, or a link to, our shell entry; ours
* ``pnpm-shim``, ``npm-shim``: left by a package manager
* ``version-manager``: a shim of mise, asdf, volta, ...
* ``foreign``: anything else
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rawr_install.dispatch.program import mounted_noexec, read_head, shell_entry_version
from rawr_install.dispatch.workspace import CLI_RELATIVE, cli_path, is_workspace

SHIM, LINK = "shim", "bun-symlink"  # the two modes
UNFILLED = b"\ntoolkit=''\n"  # the line of the shell entry that a copy's way back to its toolkit goes into
INSTALLERS = (("/pipx/venvs/", "pipx"), ("/uv/tools/", "uv"))


class Entry(NamedTuple):
    """One ``rawr`` as found: ``real`` is None when it leads nowhere, ``instance`` the workspace it is linked to.

    ``version`` is the toolkit's that a ``shim`` is a copy of; "" for one from before entries had a version.
    ``noexec``: it cannot be started for the way in which its file system is mounted; ``fixed``: it cannot be executed,
    and the user is not the one who can change that.
    """

    path: str
    kind: str
    real: str | None = None
    link: str | None = None
    instance: str | None = None
    executable: bool = False
    version: str | None = None
    noexec: bool = False
    fixed: bool = False

    @property
    def ours(self) -> bool:
        """Whether the toolkit may replace or remove it."""
        return self.kind in ("workspace-link", "shim") or (self.kind == "dangling" and _names_a_cli(self.link))

    @property
    def mode(self) -> str | None:
        """The mode of an entry of ours; None for any other."""
        return None if not self.ours else SHIM if self.kind == "shim" else LINK

    @property
    def installer(self) -> str | None:
        """The program that manages the place where the entry leads, where the place tells."""
        return next((name for part, name in INSTALLERS if self.real and part in self.real), None)

    @property
    def managed(self) -> bool:
        """Whether a package manager put it there: a link into an environment of its own, which it keeps up to date."""
        return self.link is not None and (self.kind == "shim" or self.installer is not None)


def mode_of_machine(on_path: Iterable[Entry], installed: Sequence[str], bun_entry: Entry) -> str:
    """The mode that the machine has; ``shim`` where it has none, since a link decides for every folder.

    That of the first ``rawr`` on PATH that is ours, else of the last in the receipt (``installed``), else of Bun's.
    """
    ours = next((entry.mode for entry in on_path if entry.ours), None)
    return ours or next(reversed(installed), None) or bun_entry.mode or SHIM


def classify(path: str) -> Entry:
    """Classify what stands at ``path``; never raises, reads at most 4 KiB."""
    link = _read_link(path)
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return Entry(path, "missing" if link is None else "dangling", link=link)
    real = os.path.realpath(path)
    if stat.S_ISDIR(info.st_mode):
        return Entry(path, "directory", real, link)
    executable = stat.S_ISREG(info.st_mode) and os.access(path, os.X_OK)
    instance = (linked_instance(real) or _named_instance(path, link)) if link is not None else None
    version = None if instance or not stat.S_ISREG(info.st_mode) else shell_entry_version(read_head(real) or b"")
    kind = "workspace-link" if instance else _kind_of_file(path, real, version)
    noexec = stat.S_ISREG(info.st_mode) and not executable and mounted_noexec(real)
    fixed = not executable and os.geteuid() not in (0, info.st_uid)
    return Entry(path, kind, real, link, instance, executable, version, noexec, fixed)


def linked_instance(real: str) -> str | None:
    """The workspace whose CLI is at the real path ``real``, or None."""
    parts = real.split(os.sep)
    tail = CLI_RELATIVE.split("/")
    root = os.sep.join(parts[: -len(tail)]) or os.sep
    if parts[-len(tail) :] == tail and is_workspace(root) and os.path.realpath(cli_path(root)) == real:
        return root
    return None


def _named_instance(path: str, link: str) -> str | None:
    # A workspace may link its CLI to a build output; the link's text then names the place that the real path left.
    cli = os.path.normpath(os.path.join(os.path.dirname(path), link))
    root = os.path.realpath(cli.removesuffix(CLI_RELATIVE))
    return root if cli.endswith("/" + CLI_RELATIVE) and is_workspace(root) else None


def _kind_of_file(path: str, real: str, version: str | None) -> str:
    return "shim" if version is not None else _manager(path) or _manager(real) or "foreign"


_MANAGERS = (
    ("/shims/", "version-manager"),  # mise, asdf, pyenv, nodenv, proto, ...
    ("/.volta/bin/", "version-manager"),
    ("/Library/pnpm/", "pnpm-shim"),
    ("/share/pnpm/", "pnpm-shim"),
    ("/node_modules/", "npm-shim"),
)


def _manager(path: str) -> str | None:
    return next((kind for part, kind in _MANAGERS if part in path.replace(os.sep, "/")), None)


def _names_a_cli(link: str | None) -> bool:
    return link is not None and link.replace(os.sep, "/").endswith("/" + CLI_RELATIVE)


def _read_link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None


def on_path(path_variable: str | None, name: str = "rawr") -> Iterator[Entry]:
    """Every ``rawr`` that a search of PATH meets, in order; an empty PATH element is the current folder (POSIX)."""
    for folder in (path_variable or "").split(os.pathsep) if path_variable else ():
        found = classify(os.path.join(folder or ".", name))
        if found.kind != "missing":
            yield found


def first_command(entries: Iterator[Entry]) -> Entry | None:
    """The entry that a shell would run: the first executable regular file."""
    return next((entry for entry in entries if entry.executable), None)
