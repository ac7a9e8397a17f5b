"""A system call that fails, whichever it is, never looks like a bug of ours: words, a code, and 0 where all is done."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.commands import LINES, settled
from tests.conftest import Machine, Ran
from tests.support.steps import need_strace, trace

CALLS = (
    "openat,close,read,readlink,newfstatat,fstat,stat,lstat,getdents64,write,pread64,pwrite64,fsync,rename,unlink,flock,"
    "fcntl,getcwd,ioctl,lseek,ftruncate,fchmod,chmod,mkdir,symlink,link,access,statfs,fchown,rmdir"
)
ERRNOS = ("EIO", "ENOSPC", "EACCES", "ESTALE", "EMFILE", "ENOMEM", "EROFS")
TOLD = ("COMMITTED_NOT_DURABLE", "OUTPUT_FAILED", "GLOBAL_RAWR")
EXIT_CODES = (0, 1, 2, 126, 127)


@dataclass(frozen=True)
class Fault:
    """The ``number``-th ``call`` of a command answers ``errno``."""

    line: str
    call: str
    number: int
    errno: str

    @property
    def rule(self) -> tuple[str, ...]:
        return ("-e", f"trace={self.call}", "-e", f"inject={self.call}:error={self.errno}:when={self.number}")


def fresh(template: Path, folder: Path) -> Machine:
    """A copy of the settled machine, whose links and records name ``folder`` all the same."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder, symlinks=True)
    machine = Machine.__new__(Machine)
    machine.folder, machine.home = folder, folder / "home"
    machine.bun_bin = machine.home / ".bun/bin"
    machine.env = {"HOME": str(machine.home), "PATH": f"{machine.bun_bin}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    return machine


def outcome(machine: Machine) -> dict[str, str]:
    """What the commands are for: owner, entry, policy, state, plugin links; not what the toolkit notes for itself."""
    found = {}
    for path in (*machine.home.rglob(".rawr/*"), machine.entry, *(machine.folder / "ws/.rawr").rglob("state.json")):
        if path.is_symlink() or path.is_file():
            text = os.readlink(path) if path.is_symlink() else path.read_text()
            found[str(path)] = re.sub(r'"lastUpdatedAt": ".*?"', "", text)
    return found


def calls_of(log: str) -> Counter[str]:
    return Counter(re.findall(r"^\d+ +(\w+)\(", log, re.MULTILINE))


def is_in_words(ran: Ran, wrote: bool) -> bool:
    """``wrote``: the fault was not at the answer itself, so that there is one."""
    if "Traceback" in ran.err or "A bug in" in ran.out + ran.err or ran.code not in EXIT_CODES:
        return False
    if not wrote and ran.code == 1 and "[OUTPUT_FAILED]" in ran.err:
        return True
    document = json.loads(ran.out)
    return document["ok"] == (ran.code == 0) and (document["ok"] or bool(document["error"]["code"]))


@pytest.mark.slow
def test_no_failed_system_call_ends_as_a_bug_of_ours(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    need_strace()
    (tmp_path / "one").mkdir()
    settled(Machine(tmp_path / "one"))
    template = tmp_path / "template"
    shutil.copytree(tmp_path / "one", template, symlinks=True)
    lines = [f"{line} --json" for line in LINES]
    chance, known, strange = random.Random(), {}, []
    for number in range(count(120, 4000)):
        line = chance.choice(lines)
        machine = fresh(template, tmp_path / "one")
        if line not in known:
            before = outcome(machine)
            _, log = trace(line.split(), machine.folder / "ws", machine.env, "-e", f"trace={CALLS}")
            known[line] = calls_of(log), before, outcome(machine)
            machine = fresh(template, tmp_path / "one")
        made, before, after = known[line]
        call = chance.choice(sorted(made) if number % 2 else sorted(made.elements()))
        fault = Fault(line, call, chance.randint(1, made[call]), chance.choice(ERRNOS))
        ran, log = trace(line.split(), machine.folder / "ws", machine.env, *fault.rule)
        if not is_in_words(ran, wrote=call not in ("write", "lseek", "ioctl", "fstat", "newfstatat", "dup2")):
            strange.append((fault, [each for each in log.splitlines() if "INJECTED" in each], ran))
        elif ran.code and before != after == outcome(machine) and not any(code in ran.out + ran.err for code in TOLD):
            strange.append(("done", fault, [each for each in log.splitlines() if "INJECTED" in each], ran))
        elif not ran.code and before != after != outcome(machine):
            strange.append(("not done", fault, [each for each in log.splitlines() if "INJECTED" in each], ran))
    assert not strange, "\n\n".join(map(str, strange))
