"""Which kind of entry a command makes, and where: what the machine has is kept, and nothing is chosen for the user."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rawr_install.machine.entry import LINK, Entry, first_command, look, mode_of_machine
from rawr_install.machine.records import Receipt
from rawr_install.paths import Paths


def path_folders(paths: Paths) -> tuple[str, ...]:
    """PATH's folders in order. A relative one is left out: what it holds depends on where one stands."""
    return tuple(filter(os.path.isabs, (paths.variable("PATH") or "").split(os.pathsep)))


def entries_in(folders: Iterable[str]) -> tuple[Entry, ...]:
    """Every ``rawr`` in the folders, in their order."""
    found = (look(os.path.join(folder, "rawr")) for folder in folders)
    return tuple(entry for entry in found if entry.kind != "missing")


def mode_and_path(
    paths: Paths, mode: str | None, bin_dir: str | None, on_path: Sequence[Entry], items: Receipt
) -> tuple[str, str]:
    """The entry's mode and path: as asked for, else as the machine has them, else their defaults."""
    installed = [item for item in items if item.role == "entry"]
    mode = mode or mode_of_machine(on_path, [item.mode for item in installed], look(paths.bun_entry))
    if bin_dir:
        return mode, os.path.join(bin_dir, "rawr")
    if mode == LINK:
        links = [item.path for item in installed if item.mode == LINK]
        return mode, paths.bun_entry if paths.bun_entry in links or not links else links[-1]
    return mode, _shim_path(paths, on_path, [item.path for item in installed])


def _shim_path(paths: Paths, on_path: Sequence[Entry], installed: Sequence[str]) -> str:
    first = first_command(iter(on_path))
    # What comes first of ours is what a shim has to take the place of, or it would not be the one that runs.
    ours = first if first and first.kind == "shim" else next((entry for entry in on_path if entry.ours), None)
    if ours:
        return _known_name(ours.path, (*installed, paths.bun_entry))
    if installed:
        return installed[-1]
    bun = os.path.realpath(paths.bun_bin_dir)
    folders = map(os.path.realpath, path_folders(paths))
    return paths.bun_entry if bun in folders else os.path.join(paths.local_bin, "rawr")


def _known_name(path: str, known: Iterable[str]) -> str:
    """The name under which a place is known: PATH may spell its folder in another way than the receipt."""
    folder = os.path.realpath(os.path.dirname(path))
    return next((name for name in known if os.path.realpath(os.path.dirname(name)) == folder), path)
