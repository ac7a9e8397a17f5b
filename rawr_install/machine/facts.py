"""What one look at the machine found: frozen values that checks and plans are functions of. Pure.

Named tuples with evaluated annotations: a doctor is quick, and a dataclass takes ten times as long to define, one
with postponed annotations twice as long.

:mod:`rawr_install.machine.probe` fills them in. Paths are as found; a ``real`` path
is None where nothing is there.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rawr_install.dispatch.workspace import Owner
from rawr_install.errors import DispatchError, RefusedError
from rawr_install.machine.entry import Entry, mode_of_machine
from rawr_install.machine.requirements import MissingRequirement
from rawr_install.report import Remedy

if TYPE_CHECKING:
    from rawr_install.machine.change import PathState
    from rawr_install.machine.records import Item, Record


class Cli(NamedTuple):
    """The workspace CLI's file; ``shebang`` is the interpreter it asks for, ``interpreter`` where that was found.

    ``refusal`` is what ``rawr`` answers where the file cannot be started.
    """

    path: str
    real: str | None
    exists: bool
    executable: bool
    shebang: str = ""
    interpreter: str | None = None
    refusal: DispatchError | None = None


class State(NamedTuple):
    """The state file and its lock, as :func:`rawr_install.state.store.inspect` names their statuses.

    ``unwritable``: why nothing can be changed there, in words, and what to do; None where it can.
    """

    path: str
    file_status: str
    lock_status: str
    error: str = ""
    holder: Mapping[str, object] = MappingProxyType({})
    held_for: float | None = None
    degraded: tuple[str, ...] = ()
    lock_in_words: str = ""
    shared: tuple[str, str] | None = None
    unwritable: tuple[str, str] | None = None


class Instance(NamedTuple):
    """The workspace that the report is about, and why this one.

    ``root`` is its real path. ``source`` is ``--workspace``, a variable's name, ``search`` or ``owner``;
    ``dependency_count`` counts ``workspace:`` ranges of the CLI package;
    ``shim_runs`` is the real path of the workspace that our shell entry would
    run for a user who stands in ``root``; ``needs`` is what the checkout lacks;
    ``state`` is None where it could not be looked at.
    ``obstacle`` says why it is not trusted, ``writable`` what others could write to, and so decide what runs;
    ``trust_remedy`` what to do then, in words or as a command.
    """

    root: str
    source: str
    cli: Cli
    dependency_count: int = 0
    version: str | None = None
    obstacle: str = ""
    trust_remedy: tuple[str, tuple[str, ...]] = ("", ())
    writable: tuple[str, ...] = ()
    shim_runs: str | None = None
    needs: tuple[MissingRequirement, ...] = ()
    state: State | None = None

    @property
    def trusted(self) -> bool:
        """Whether it may run: nobody else owns a part of it, or a grant covers it."""
        return not self.obstacle


class Shell(NamedTuple):
    """What another kind of shell would find.

    ``name`` is ``login``, ``gui`` or ``cron``; ``path`` its PATH; ``command``
    what it would run for ``rawr``; ``problem`` why it could not be asked.
    """

    name: str
    path: str | None = None
    command: str | None = None
    problem: str | None = None


class Folder(NamedTuple):
    """One folder of PATH: as PATH spells it, its real path, and its ``rawr``."""

    path: str
    real: str
    entry: Entry


class OnPath(NamedTuple):
    """PATH, searched. ``entries`` are the distinct ``rawr`` in order (:func:`distinct`).

    ``also_at`` maps an entry's path to further places of the same real file,
    ``versions`` to a version that could be read without running anything.
    ``pnpm_first``: a pnpm bin folder comes before Bun's; ``pnpm_first_wire``:
    the one that the wire knows does.
    """

    folders: tuple[Folder, ...] = ()
    entries: tuple[Entry, ...] = ()
    also_at: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    versions: Mapping[str, str] = MappingProxyType({})
    folders_skipped: int = 0
    has_bun: bool = False
    pnpm_first: bool = False
    pnpm_first_wire: bool = False


def distinct(folders: Iterable[Folder]) -> tuple[tuple[Entry, ...], dict[str, tuple[str, ...]]]:
    """Every ``rawr`` of the folders, one for each real file, and the further places of those found twice."""
    seen: dict[str, Entry] = {}
    also: dict[str, tuple[str, ...]] = {}
    for folder in folders:
        found = folder.entry
        if found.kind == "missing":
            continue
        first = seen.setdefault(found.real or f"{folder.real}/rawr", found)
        if first is not found:
            also[first.path] = (*also.get(first.path, ()), found.path)
    return tuple(seen.values()), also


class PathFacts(NamedTuple):
    """What stands at a path that a change may touch.

    ``entry`` is None for what is not an entry; ``folder`` is its folder's real path, ``problem`` why no entry can be
    made in it: ``not-a-folder``, ``read-only``, ``not-writable``, ``noexec`` or "". ``backups`` are the set-asides of
    the records that are still there, ``backup_name`` is one that is free, ``set_aside`` one for whoever moves away by
    hand what stands at the path, or in place of its folder.
    """

    state: "PathState"
    entry: Entry | None = None
    folder: str = ""
    problem: str = ""
    backups: frozenset[str] = frozenset()
    backup_name: str = ""
    set_aside: str = ""

    @property
    def foreign(self) -> bool:
        """Whether it may not be removed: something that is not ours, or that cannot be put back as it was."""
        theirs = self.entry is not None and self.state.kind != "absent" and not self.entry.ours
        return theirs or self.state.kind == "kept"


class Environment(NamedTuple):
    """What else decides what runs.

    ``fallback``: what allows the fallback to the owner, the variable's name or the file's path;
    ``exposed``: files that others can write, with their modes; ``private_by``: how to end that where no command does;
    ``preloads``:
    modules that a ``bunfig.toml`` here loads; ``env_settings``: ``(file,
    variable)`` that a ``.env`` here sets; ``pnpm_shims``: those that exist;
    ``toolkits_gone``: shell entries of ours that can start no toolkit; ``system_path``:
    the folders that a Mac's login shells have on PATH whatever else they read;
    ``foreign_files``: those of the files that Bun loads here that belong to another user, and no grant covers;
    ``cached_toolkits``: shell entries of ours whose toolkit lies in a cache;
    ``unchangeable``: why the toolkit can change nothing here, in a sentence, and what to do; None where it can;
    ``unsafe_folder``: why others decide what a program started in the current folder loads, in a sentence;
    ``profile``: the file that the user's login shell reads, ``profile_writable`` whether a line can be added to it.
    """

    pnpm_shims: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    exposed: tuple[tuple[str, int], ...] = ()
    preloads: tuple[str, ...] = ()
    env_settings: tuple[tuple[str, str], ...] = ()
    toolkits_gone: tuple[str, ...] = ()
    system_path: tuple[str, ...] = ()
    unchangeable: tuple[str, str] | None = None
    foreign_files: tuple[str, ...] = ()
    cached_toolkits: tuple[str, ...] = ()
    private_by: str = ""
    unsafe_folder: str = ""
    profile: str = ""
    profile_writable: bool = False


class Problem(NamedTuple):
    """Something that could not be read: the check it belongs to, one sentence, and the way out."""

    id: str
    summary: str
    remedy: Remedy


class Records(NamedTuple):
    """The toolkit's own records; ``modified`` are items of the receipt that are no longer as installed, with what is
    wrong, ``problems`` the records that could not be read."""

    receipt: "tuple[Item, ...]" = ()
    history: "tuple[Record, ...]" = ()
    modified: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def installed(self) -> tuple[tuple[str, str], ...]:
        """The receipt's entries with their modes."""
        return tuple((item.path, item.mode) for item in self.receipt if item.role == "entry")

    @property
    def pending(self) -> tuple[str, ...]:
        """Changes that were begun and not ended."""
        return tuple(f"{record.command} of {record.at}" for record in self.history if record.status == "pending")


class Facts(NamedTuple):
    """The machine as one user sees it from one folder.

    ``owner_target`` is the owner file, or what the user's own link there leads to; ``local_entry`` is where a shim goes
    that Bun's folder does not take.
    ``off_path`` is an entry of ours that works, and whose folder PATH lacks.
    ``shell`` is the name of the user's login shell, empty where SHELL is not set.
    ``refused`` is a root variable with a value that names no workspace.
    ``crashes`` holds the parts of the look that failed in a way nobody foresaw.
    What plans need beyond that (:func:`rawr_install.machine.probe.probe_setup`): ``seen``, by path;
    ``shell_entry``, the shim as this toolkit makes it; ``not_installed``, why it must make none.
    """

    home: str
    cwd: str | None
    bun_bin_dir: str
    bun_entry: Entry
    owner_file: str
    owner: Owner
    pnpm_wire: str = ""
    local_entry: str = ""
    owner_target: str = ""
    receipt_file: str = ""
    path: OnPath = OnPath()
    environment: Environment = Environment()
    records: Records = Records()
    off_path: Entry | None = None
    instance: Instance | None = None
    refused: tuple[str, str] | None = None
    lookalikes: tuple[str, ...] = ()
    shell: str = ""
    shells: tuple[Shell, ...] = ()
    crashes: tuple[tuple[str, str], ...] = ()
    seen: Mapping[str, PathFacts] = MappingProxyType({})
    shell_entry: "PathState | None" = None
    not_installed: RefusedError | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every distinct ``rawr`` on PATH, in order."""
        return self.path.entries

    @property
    def command(self) -> Entry | None:
        """The entry that a shell with this PATH would run."""
        return next((entry for entry in self.entries if entry.executable), None)

    @property
    def runs_here(self) -> bool:
        """Whether our shell entry would run the instance from the current folder."""
        source = self.instance.source if self.instance else "owner"
        return bool(self.environment.fallback) if source == "owner" else source != "--workspace"

    @property
    def unsafe_folder(self) -> str:
        """Why others decide what is loaded here, in a sentence; "" where a grant for the instance would end that."""
        here = self.instance
        within = here and not here.trusted and f"{self.cwd}/".startswith(f"{here.root}/")
        return "" if within else self.environment.unsafe_folder

    @property
    def installed_mode(self) -> str | None:
        """``bun-symlink`` or ``shim``, whichever entry of ours comes first; None when none is installed."""
        working = (entry.mode for entry in (*self.entries, self.bun_entry) if entry.kind != "dangling")
        return next(filter(None, working), None)

    @property
    def mode(self) -> str:
        """The mode of the entry that install or activate would make or keep."""
        on_path = (entry for entry in self.entries if entry.path.startswith("/"))
        return mode_of_machine(on_path, [mode for _, mode in self.records.installed], self.bun_entry)
