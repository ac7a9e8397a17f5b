"""What git knows of a clone; nothing here changes one."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path


class GitError(Exception):
    """git refused, or knows too little."""


def git(repo: Path, *words: str) -> str:
    # A clone that another user made (a container's mount) is only read here.
    return _git(repo, *words).decode("utf-8", "replace").strip()


def _git(repo: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(repo), *words], capture_output=True)
    if done.returncode:
        raise GitError(f"git {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def revision(repo: Path, name: str) -> str:
    return git(repo, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")


def tree_name(repo: Path) -> str:
    """What is in the working tree: the commit, and whether something was changed since."""
    return revision(repo, "HEAD") + " with changes" * bool(git(repo, "status", "--porcelain"))


def base_of(repo: Path, head: str, named: str | None) -> str:
    """The commit to compare with: the newest release that ``head`` descends from, else the one that was named."""
    from packaging.version import Version

    if git(repo, "rev-parse", "--is-shallow-repository") == "true":
        raise GitError("a shallow clone does not know its releases; try: git fetch --unshallow --tags")
    released = [tag for tag in git(repo, "tag", "--merged", head).split() if re.fullmatch(r"v?\d+(\.\d+)+", tag)]
    if not released and not named:
        raise GitError("no release is tagged, and no commit to compare with was named; try: review_bundle BASE")
    return revision(repo, f"refs/tags/{max(released, key=Version)}" if released else str(named))


def checkout(repo: Path, commit: str, folder: Path) -> Path:
    """The commit's files, without touching the clone."""
    with tarfile.open(fileobj=io.BytesIO(_git(repo, "archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def changed_files(repo: Path, base: str, head: str | None) -> dict[str, str]:
    """Path -> added, modified or deleted; files that git does not know yet count as added."""
    names = {"A": "added", "D": "deleted"}
    words = git(repo, "diff", "--name-status", "--no-renames", "-z", base, *([head] if head else [])).split("\0")
    found = {path: names.get(status, "modified") for status, path in zip(words[::2], words[1::2], strict=False)}
    if not head:
        new = git(repo, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
        found |= {path: "added" for path in new if path}
    return dict(sorted(found.items()))


def reasons(repo: Path, base: str, head: str | None) -> dict[str, str]:
    """Path -> subject of the last commit that changed it."""
    log = git(repo, "log", "--format=%x01%s", "--name-only", "--no-renames", f"{base}..{head or 'HEAD'}")
    found: dict[str, str] = {}
    for entry in log.split("\x01")[1:]:
        subject, *paths = entry.splitlines()
        for path in filter(None, paths):
            found.setdefault(path, subject)
    return found
