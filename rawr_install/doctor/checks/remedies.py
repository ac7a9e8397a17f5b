"""The commands that mend something, and what the machine would be after them. Pure.

A command for PATH appends to the file that the user's login shell reads, and holds for new login shells.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from rawr_install.errors import RefusedError
from rawr_install.machine.entry import SHIM, Entry
from rawr_install.machine.facts import Facts, Folder, distinct
from rawr_install.report import command_line

Effect = Callable[[Facts], "Facts | None"]


class Way(NamedTuple):
    """A way out: words for a person and, where a command does it, its arguments.

    ``fixable``: it can be undone, and takes nothing that was chosen, so ``--fix`` may run it unasked.
    ``later``: it holds for new login shells only.
    ``effect``: the facts after the command, None where it would be refused; not given where that need not be asked.
    """

    text: str
    argv: tuple[str, ...] = ()
    fixable: bool = False
    effect: Effect | None = None
    later: bool = False


def run(*argv: str, fixable: bool = False, effect: Effect | None = None) -> Way:
    """A command as a way out."""
    return Way(command_line(argv), argv, fixable, effect)


def toolkit(*words: str, fixable: bool = False) -> Way:
    """One of the toolkit's own commands."""
    planned = words[0] in ("install", "activate", "deactivate")
    return run(
        "rawr-install", *words, fixable=fixable, effect=(lambda facts: _planned(facts, *words)) if planned else None
    )


def _planned(facts: Facts, command: str, *words: str) -> Facts | None:
    """The facts after a command of the toolkit's, by its own plan; None where it would refuse."""
    from rawr_install.machine.outcome import after
    from rawr_install.machine.plan import Request, plan_activate, plan_install
    from rawr_install.machine.undo import plan_deactivate

    options = dict(pairwise(words))
    request = Request(options.get("--mode"), options.get("--bin-dir"), "--force" in words)
    stopped = facts.environment.exposed or facts.environment.unchangeable or facts.records.problems
    if not facts.seen or stopped or (request.bin_dir and f"{request.bin_dir}/rawr" not in facts.seen):
        return None
    about = facts if command == "activate" or "--workspace" in words else facts._replace(instance=None)
    try:
        if command == "deactivate":
            changes = plan_deactivate(facts).changes
        else:
            changes = (plan_activate if command == "activate" else plan_install)(about, request).changes
    except RefusedError:
        return None
    # The first thing that a changing command does is to end what was begun.
    ended = tuple(record for record in facts.records.history if record.status != "pending")
    return after(facts._replace(records=facts.records._replace(history=ended)), changes)


def in_turn(*commands: tuple[str, ...]) -> Way:
    """Commands of which each is run if the one before it succeeded."""
    text, script = (" && ".join(map(quoted, commands)) for quoted in (command_line, shlex.join))
    return Way(text, commands[0] if len(commands) == 1 else ("sh", "-c", script))


def steps(argv: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The commands of :func:`in_turn`, or the one that it is; no argument of theirs is ``&&`` alone."""
    if not argv:
        return []
    if argv[:2] != ("sh", "-c") or len(argv) > 3:
        return [argv]
    words = shlex.split(argv[2])
    ends = [-1, *(place for place, word in enumerate(words) if word == "&&"), len(words)]
    return [tuple(words[start + 1 : end]) for start, end in pairwise(ends)]


def both(first: Way, second: Way) -> Way:
    """One after the other."""

    def effect(facts: Facts) -> Facts | None:
        between = first.effect(facts) if first.effect else None
        return second.effect(between) if between and second.effect else None

    fixable = first.fixable and second.fixable
    way = in_turn(*steps(first.argv), *steps(second.argv))._replace(effect=effect, fixable=fixable)
    said = second.text != command_line(second.argv)
    return way._replace(text=f"{first.text}; then {second.text}") if said else way


def keeps_owner(facts: Facts) -> bool:
    """Whether :func:`set_up` leaves the owner alone; a transfer is the user's decision, never a fix."""
    ours = facts.instance is None or facts.owner.status != "valid" or facts.owner.real == facts.instance.root
    return facts.mode == SHIM or ours


def set_up(facts: Facts, *options: str) -> Way:
    """What makes the entry run the current instance, and keeps its kind.

    For a link that is ``activate`` where another instance is the owner.
    """
    if keeps_owner(facts) or facts.instance is None:
        return install(facts, *options)
    return toolkit("activate", facts.instance.root, *options)


def install(facts: Facts, *options: str) -> Way:
    """``install``, for the current instance where a link has to lead to one."""
    fixable = "--force" not in options and keeps_owner(facts)
    if facts.mode == SHIM:
        return toolkit("install", *options, fixable=fixable)
    if facts.instance is None:
        return Way("cd into a workspace, then: rawr-install install")
    return toolkit("install", "--workspace", facts.instance.root, *options, fixable=fixable)


def activate(facts: Facts) -> tuple[Way, ...]:
    """Make the current instance the owner; none where there is no instance."""
    return (toolkit("activate", facts.instance.root),) if facts.instance else ()


def move_aside(facts: Facts, *paths: str, fixable: bool = False) -> Way:
    """Rename what stands in the way, links to one place once; nothing is deleted, and no earlier one is overwritten.

    In words where the user may not: its folder is another user's, or its disk read-only.
    """
    fixed = (path for path in paths if path in facts.seen and facts.seen[path].problem in ("read-only", "not-writable"))
    if stuck := next(fixed, None):
        return Way(f"have {stuck} moved away: you cannot write to its folder")
    places = {
        facts.seen[path].set_aside if path in facts.seen else f"{path}.set-aside": path for path in reversed(paths)
    }
    moves = [("mv", "-n", "--", path, aside) for aside, path in reversed(places.items())]
    return in_turn(*moves)._replace(fixable=fixable, effect=lambda facts: _without(facts, list(places.values())))


def _without(facts: Facts, paths: Sequence[str]) -> Facts | None:
    from rawr_install.machine.outcome import after, moved_away

    if not all(path in facts.seen for path in paths):
        return None
    facts = after(facts, (change for path in paths for change in moved_away(facts, path)))
    shims = tuple(shim for shim in facts.environment.pnpm_shims if shim not in paths)
    return facts._replace(environment=facts.environment._replace(pnpm_shims=shims))


def executable(facts: Facts, real: str | None) -> Facts:
    """The facts after ``chmod u+x`` of a real path."""

    def of(entry: Entry) -> Entry:
        return entry._replace(executable=True) if entry.real == real else entry

    folders = tuple(each._replace(entry=of(each.entry)) for each in facts.path.folders)
    entries, also_at = distinct(folders)
    here = facts.instance
    if here and here.cli.real == real:
        here = here._replace(cli=here.cli._replace(executable=True))
    return facts._replace(
        path=facts.path._replace(folders=folders, entries=entries, also_at=also_at),
        bun_entry=of(facts.bun_entry),
        off_path=of(facts.off_path) if facts.off_path else None,
        seen={path: each._replace(entry=each.entry and of(each.entry)) for path, each in facts.seen.items()},
        instance=here,
    )


def folder_of(entry: Entry) -> str:
    """The folder that has to be on PATH for the entry to be found."""
    return entry.path.rpartition("/")[0] or "/"


_IN_SH = str.maketrans({char: "\\" + char for char in '\\"$`'})
_IN_FISH = str.maketrans({char: "\\" + char for char in "\\'"})
_ADD = 'mkdir -p "$(dirname "$2")" && printf "%s\\n" "$1" >> "$2"'


def to_profile(facts: Facts, folder: str) -> Way:
    """Put ``folder`` first on the PATH of new login shells, in words where the user cannot write their profile.

    Where it will be there anyway, say so.
    """
    if folder in facts.environment.system_path:
        return Way(f"open a new login shell: /etc/paths names {folder}")
    if facts.shell == "fish":
        line = f"fish_add_path --path --prepend --move '{folder.translate(_IN_FISH)}'"
    else:
        line = f'export PATH="{folder.translate(_IN_SH)}:$PATH"'
    profile = facts.environment.profile or "your shell's profile"
    shown = f"~{profile.removeprefix(facts.home)}" if profile.startswith(f"{facts.home}/") else profile
    argv = ("sh", "-c", _ADD, "sh", line, profile) if facts.environment.profile_writable else ()
    effect: Effect = lambda facts: _first_on_path(facts, folder)  # noqa: E731
    return Way(f"add to {shown}, and open a new login shell: {line}", argv, effect=effect, later=True)


def _first_on_path(facts: Facts, folder: str) -> Facts:
    found = [each for each in facts.path.folders if each.path == folder]
    known = next((entry for entry in (facts.off_path, facts.bun_entry) if entry and folder_of(entry) == folder), None)
    if not found and known:
        found = [Folder(folder, folder, known)]
    folders = (*found, *(each for each in facts.path.folders if each not in found))
    entries, also_at = distinct(folders)
    path = facts.path._replace(folders=folders, entries=entries, also_at=also_at)
    if folder == facts.bun_bin_dir:
        path = path._replace(has_bun=True, pnpm_first=False, pnpm_first_wire=False)
    return facts._replace(path=path, off_path=None if known == facts.off_path else facts.off_path)
