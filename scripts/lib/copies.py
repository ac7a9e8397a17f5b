"""A checkout around a named copy of the package, and an interpreter whose every process imports that copy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "*cache*", "node_modules")


class CannotVerifyError(Exception):
    """There is nothing that could be judged."""


def interpreter(folder: Path, package: Path) -> Path:
    """An interpreter whose every process imports ``package`` first, and else what this one has; returns its path."""
    if not (package / "rawr_install/__init__.py").is_file():
        raise CannotVerifyError(f"{package} holds no rawr_install package")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    here = sysconfig.get_paths()
    # Lines of a .pth file go behind each other, and those of the folders that they name are not read.
    lines = dict.fromkeys([str(package), here["purelib"], here["platlib"]])
    (folder / "lib" / version / "site-packages/named-copy.pth").write_text("".join(f"{line}\n" for line in lines))
    command = folder / "bin/rawr-install"  # as pip would write it
    command.write_text(f"#!{python}\nfrom rawr_install.__main__ import main\n\nraise SystemExit(main())\n")
    command.chmod(0o755)
    code = "import os, rawr_install; print(os.path.realpath(os.path.dirname(rawr_install.__file__)))"
    asked = subprocess.run([python, "-P", "-c", code], cwd="/", capture_output=True, text=True, timeout=60)
    if asked.stdout.strip() != os.path.realpath(package / "rawr_install"):
        found = asked.stdout.strip() or asked.stderr.strip()[-300:]
        raise CannotVerifyError(f"the package of {package} is not what is imported: {found}")
    return python


def checkout(folder: Path, package: Path | None = None) -> Path:
    """The tests and what they stand on, around a link to the named package or a copy of this one."""
    shutil.copytree(REPOSITORY, folder, symlinks=True, ignore=LEFT_OUT)
    if package is None:
        return folder
    shutil.rmtree(folder / "rawr_install")
    (folder / "rawr_install").symlink_to(package / "rawr_install")
    entry = package / "rawr_install/shell-entry"
    if not entry.is_file():
        entry = package / "shims/rawr"
    if entry.is_file():
        shutil.copy(entry, folder / "shims/rawr")
    return folder


def run(argv: Sequence[str], folder: Path, seconds: float) -> int | None:
    """The exit code of a program; None if it had no end within ``seconds``. What it prints goes to stderr."""
    process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:  # what it started ends with it
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
