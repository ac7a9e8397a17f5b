"""What the verifiers share: a throw-away home, a list of checks, one JSON document, the exit code.

A check is a function of a :class:`Home` that returns what it saw, as a
sentence, or raises :class:`AssertionError` with what is wrong. Exit code 0: all
pass; 1: one does not; 2: the package cannot be run at all.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
DEADLINE = 60  # seconds for one process: far more than any needs, so that a hang is a failure and not a wait
CLI = """#!/bin/sh
printf 'workspace %s\\n' "{name}"
printf 'argument %s\\n' "$@"
exit 7
"""


class Home:
    """A home folder of its own for one check; everything runs in it with the package under test."""

    def __init__(self, folder: str, package: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.home = self.folder / "home"
        self.home.mkdir()
        self.bun_bin = self.home / ".bun/bin"
        self.entry = self.bun_bin / "rawr"
        self.owner_file = self.home / ".rawr/global-rawr-owner-path"
        self.log = self.home / ".local/state/rawr/events.jsonl"
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{self.bun_bin}:/usr/bin:/bin",
            "PYTHONPATH": str(package),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
        }

    def workspace(self, name: str = "ws") -> Path:
        """A workspace whose CLI says its name and arguments and exits with 7."""
        root = self.folder / name
        (root / "plugins").mkdir(parents=True)
        (root / "package.json").write_text(json.dumps({"name": name, "private": True}) + "\n")
        (root / "apps/cli/bin").mkdir(parents=True)
        (root / "apps/cli/package.json").write_text('{"name": "@rawr/cli", "dependencies": {"a": "workspace:*"}}\n')
        script = root / "apps/cli/bin/run.js"
        script.write_text(CLI.replace("{name}", name))
        script.chmod(0o755)
        return root

    def start(self, *argv: str | Path, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        """Start a program; it talks through pipes."""
        return subprocess.Popen(
            [str(word) for word in argv],
            cwd=cwd or self.folder,
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )

    def run(self, *argv: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return finished(self.start(*argv, cwd=cwd, **env))

    def rawr(self, *words: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``rawr-install`` of the package under test."""
        return self.run(sys.executable, "-m", "rawr_install", *words, cwd=cwd, **env)

    def document(self, *words: str | Path, cwd: Path | None = None, **env: str) -> tuple[int, dict[str, Any]]:
        """Run ``rawr-install ... --json``: the exit code and the one document."""
        done = self.rawr(*words, "--json", cwd=cwd, **env)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            shown = f"{done.stdout[:300]}{done.stderr[-300:]}"
            raise AssertionError(f"rawr-install {words[0]} printed no single document: {shown}") from None

    def python(self, code: str, *argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program that uses the package under test as a library."""
        return self.run(sys.executable, "-c", code, *argv, **env)

    def events(self) -> list[dict[str, Any]]:
        """The event log, in order; each line must be an event."""
        text = "".join(path.read_text() for path in (Path(f"{self.log}.1"), self.log) if path.exists())
        return [json.loads(line) for line in text.splitlines()]

    def tree(self) -> dict[str, str]:
        """Everything in this folder, comparable; the event log is left out, for it is written beside the work."""
        return {
            str(path): f"{info.st_mode:o} {info.st_ino} {info.st_size} {info.st_mtime_ns}"
            for path in sorted(self.folder.rglob("*"))
            if "/.local" not in str(path)
            for info in [path.lstat()]
            if not path.is_dir()
        }


def finished(process: subprocess.Popen[str], feed: str = "") -> subprocess.CompletedProcess[str]:
    """Wait for a process; one that hangs is killed and fails the check."""
    try:
        out, err = process.communicate(feed, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        raise AssertionError(f"{process.args!r} did not end") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def expect(seen: object, wanted: object, what: str) -> None:
    """Fail the check with ``what`` unless ``seen`` is ``wanted``."""
    if seen != wanted:
        raise AssertionError(f"{what}: {seen!r} instead of {wanted!r}")


def require(condition: object, what: str) -> None:
    """Fail the check with ``what`` unless ``condition`` holds."""
    if not condition:
        raise AssertionError(what)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for what another process does; fail the check when it does not come."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen")
        time.sleep(0.005)


Check = Callable[[Home], str]


class Checklist:
    """The checks of one verifier, by id, in the order in which they are written."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}

    def __call__(self, identifier: str) -> Callable[[Check], Check]:
        """Decorator: add a check under a stable id."""

        def add(check: Check) -> Check:
            self.checks[identifier] = check
            return check

        return add

    def main(self, verifier: str, description: str) -> int:
        """Run the checks that the command line asks for, print the document, return the exit code."""
        options = self._options(description)
        package = Path(options.package).resolve()
        problem = self._precondition(package, options.check)
        if problem:
            print(json.dumps({"verifier": verifier, "ok": False, "error": problem, "checks": []}, indent=2))
            return 2
        names = options.check or list(self.checks)
        with ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(lambda name: self._run(name, package), names))
        good = all(result["pass"] for result in results)
        print(json.dumps({"verifier": verifier, "ok": good, "checks": results}, indent=2))
        return 0 if good else 1

    def _options(self, description: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--package", default=REPOSITORY, help="the folder that holds rawr_install/ (and shims/)")
        parser.add_argument("--check", action="append", metavar="ID", help="only this check; can be repeated")
        parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="checks that run at the same time")
        return parser.parse_args()

    def _precondition(self, package: Path, wanted: list[str] | None) -> str:
        if unknown := set(wanted or ()) - set(self.checks):
            return f"no such check: {', '.join(sorted(unknown))}; known: {', '.join(self.checks)}"
        place = "os.path.dirname(os.path.dirname(os.path.realpath(rawr_install.__file__)))"
        code = f"import os, rawr_install, rawr_install.cli.main; print({place})"
        env = {"PYTHONPATH": str(package), "PATH": os.environ.get("PATH", "")}
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd="/", capture_output=True, text=True)
        if done.returncode or done.stdout.strip() != str(package):
            return f"rawr_install was not loaded from {package}: {(done.stdout + done.stderr).strip()[-300:]}"
        return ""

    def _run(self, name: str, package: Path) -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="rawr-verify-", ignore_cleanup_errors=True) as folder:
            try:
                message, good = self.checks[name](Home(folder, package)), True
            except AssertionError as problem:
                message, good = str(problem), False
            except (OSError, ValueError, KeyError, IndexError, TypeError) as problem:
                # What a broken package gives in place of the expected file or document.
                message, good = f"{type(problem).__name__}: {problem}", False
        return {"id": name, "message": message, "pass": good}
