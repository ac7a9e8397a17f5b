"""What one look at the machine found: frozen values that checks and plans are functions of. Pure.

:mod:`rawr_install.probe` fills them in. Paths are as found; a ``real`` path
is None where nothing is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rawr_install.entry import Entry
from rawr_install.workspace import Owner


@dataclass(frozen=True)
class Cli:
    """The workspace CLI's file; ``shebang`` is the interpreter it asks for, ``interpreter`` where that was found."""

    path: str
    real: str | None
    exists: bool
    executable: bool
    shebang: str = ""
    interpreter: str | None = None


@dataclass(frozen=True)
class Instance:
    """The workspace that the report is about, and why this one.

    ``source`` is ``--workspace``, a variable's name, ``search`` or ``owner``;
    ``dependency_count`` counts ``workspace:`` ranges of the CLI package;
    ``shim_runs`` is the real path of the workspace that our shell entry would
    run for somebody who stands in ``root``.
    """

    root: str
    real: str
    source: str
    cli: Cli
    dependency_count: int = 0
    version: str | None = None
    trusted: bool = True
    shim_runs: str | None = None


@dataclass(frozen=True)
class Shell:
    """What another kind of shell would find; ``problem`` says why it could not be asked."""

    name: str
    path: str | None = None
    command: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class OnPath:
    """PATH, searched. ``entries`` are the distinct ``rawr`` in order.

    ``also_at`` maps an entry's path to further places of the same real file,
    ``versions`` to a version that could be read without running anything.
    ``pnpm_first``: a pnpm bin folder comes before Bun's; ``pnpm_first_wire``:
    the one that the wire knows does.
    """

    entries: tuple[Entry, ...] = ()
    also_at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    folders_skipped: int = 0
    has_bun: bool = False
    pnpm_first: bool = False
    pnpm_first_wire: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What else decides what runs.

    ``exposed``: files that others can write, with their modes; ``preloads``:
    modules that a ``bunfig.toml`` here loads; ``env_settings``: ``(file,
    variable)`` that a ``.env`` here sets; ``pnpm_shims``: those that exist.
    """

    pnpm_shims: tuple[str, ...] = ()
    fallback: bool = False
    exposed: tuple[tuple[str, int], ...] = ()
    preloads: tuple[str, ...] = ()
    env_settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Facts:
    """The machine as one user sees it from one folder.

    ``refused`` is a root variable with a value that names no workspace.
    ``crashes`` holds the parts of the look that failed in a way nobody foresaw.
    """

    home: str
    cwd: str | None
    bun_bin_dir: str
    bun_entry: Entry
    owner_file: str
    owner: Owner
    pnpm_wire: str
    path: OnPath = OnPath()
    around: Surroundings = Surroundings()
    instance: Instance | None = None
    refused: tuple[str, str] | None = None
    lookalikes: tuple[str, ...] = ()
    shells: tuple[Shell, ...] = ()
    crashes: tuple[tuple[str, str], ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every distinct ``rawr`` on PATH, in order."""
        return self.path.entries

    @property
    def command(self) -> Entry | None:
        """The entry that a shell with this PATH would run."""
        return next((entry for entry in self.entries if entry.executable), None)

    @property
    def installed_mode(self) -> str | None:
        """``bun-symlink`` or ``shim``, whichever entry of ours comes first; None when none is installed."""
        ours = (entry for entry in (*self.entries, self.bun_entry) if entry.kind in ("workspace-link", "shim"))
        first = next(ours, None)
        return None if first is None else {"workspace-link": "bun-symlink", "shim": "shim"}[first.kind]
