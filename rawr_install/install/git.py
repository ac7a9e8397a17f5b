"""The few questions that `refresh` asks git. Starts git, changes nothing, takes no lock of its index.

A repository's own config names programs that git starts (a file system monitor, hooks, filters, a diff, a pager), and
where the user has set ``safe.directory=*`` git obeys another user's. So the questions are about commits and the index
alone, by plumbing commands, with the rest turned off. ``safe.directory`` is left as the user has it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rawr_install.dispatch import program

GIT_SECONDS = 30.0
# A hook runs with these set for its own repository, some as relative paths;
# asking about a folder must not be answered for another (gitignored worktrees,
# a workspace below the top level).
_STARTS_NOTHING = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")
_OWN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


def toplevel(folder: str, environ: Mapping[str, str]) -> str | None:
    """The real path of the work tree that ``folder`` is in; None outside one, or without git."""
    shown = _ask(folder, environ, "rev-parse", "--show-toplevel")
    return os.path.realpath(os.fsdecode(shown.removesuffix(b"\n"))) if shown else None


def commit(folder: str, name: str, environ: Mapping[str, str]) -> str | None:
    """The full id of the commit that ``name`` means; None where it means none (the null id, an unborn branch)."""
    shown = _ask(folder, environ, "rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    return shown.decode("ascii").strip() if shown else None


def changed(
    folder: str, old: str, new: str | None, paths: tuple[str, ...], environ: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Which of ``paths`` (pathspecs relative to ``folder``) differ between two commits, or, with ``new`` None, between
    ``old`` and the index; None when git can't tell (a commit that is gone)."""
    commits = (old,) if new is None else (old, new)
    what = ("diff-tree", "-r") if new else ("diff-index", "--cached")
    options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--relative")
    shown = _ask(folder, environ, *what, *options, *commits, "--", *paths)
    return None if shown is None else tuple(os.fsdecode(name) for name in shown.split(b"\0") if name)


def _ask(folder: str, environ: Mapping[str, str], *words: str) -> bytes | None:
    """git's answer, or None for a refusal."""
    import subprocess

    git = program.resolve("git", environ.get("PATH"))
    if git is None:
        return None
    env = {name: value for name, value in environ.items() if name not in _OWN} | {"GIT_NO_LAZY_FETCH": "1"}
    try:
        done = subprocess.run(
            [git, "--no-optional-locks", "--no-pager", *_STARTS_NOTHING, *words],
            cwd=folder,
            env=program.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
