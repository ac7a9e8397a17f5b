"""The protocol of the state lock, checked exhaustively: every order of system calls, kills and pauses (SPIN).

``lock.pml`` is the model; its head says what it leaves out. A change of the protocol changes the model first.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest

needs_spin = pytest.mark.skipif(not (shutil.which("spin") and shutil.which("cc")), reason="needs spin and a C compiler")
MODEL = Path(__file__).with_name("lock.pml")
BUILD = ("-O2", "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=8000")

# What excuses a lost update: the peers' own removals by name (see the flags in the model).
PEERS = "EXCUSE=7"
ALL = "P_EVICT=1 P_WINDOW=1 P_LEMMA=1"
GHOSTS = {"nothing": 0, "a dead peer's": 1, "an empty": 2, "a dead one of ours": 3}

HOLDS = {
    **{f"2+0, {name} lease": f"NO=2 NT=0 MAXC=2 HOLDOLD=1 GHOST={n} {ALL}" for name, n in GHOSTS.items()},
    **{f"1+1, {name} lease": f"NO=1 NT=1 MAXC=2 HOLDOLD=1 GHOST={n} {ALL}" for name, n in GHOSTS.items()},
    **{f"2+1, {name} lease": f"NO=2 NT=1 MAXC=1 HOLDOLD=1 GHOST={n} {ALL}" for name, n in GHOSTS.items()},
    "3+0, no turn": f"NO=3 NT=0 MAXC=1 HOLDOLD=1 GHOST=3 NOGUARD=1 {ALL}",
    "1+2, but for what two peers do to each other": f"NO=1 NT=2 MAXC=1 HOLDOLD=1 GHOST=1 P_EVICT=1 {PEERS}",
    "2+0 in two pid namespaces": f"NO=2 NT=0 MAXC=2 HOLDOLD=1 GHOST=1 ENVC=1 {ALL}",
    "2+1 in two pid namespaces": f"NO=2 NT=1 MAXC=1 GHOST=1 ENVC=1 {ALL}",
    "1+1 in two pid namespaces, held for minutes": f"NO=1 NT=1 MAXC=1 HOLDOLD=1 GHOST=1 ENVC=1 {ALL} EXCUSE=2",
    "2+0 on two kernels": f"NO=2 NT=0 MAXC=2 GHOST=3 ENVB=1 {ALL}",
    "2+0 on two kernels, held for minutes": "NO=2 NT=0 MAXC=1 HOLDOLD=1 GHOST=3 ENVB=1 P_WINDOW=1 EXCUSE=8",
    "1+1 on two kernels": f"NO=1 NT=1 MAXC=1 GHOST=1 ENVB=1 {ALL}",
    "1+1, a peer that is slow to remove": "NO=1 NT=1 MAXC=1 HOLDOLD=1 GHOST=1 SLOW=1 P_WINDOW=1 P_LEMMA=1 EXCUSE=255",
    "2+1, a peer that is slow to remove": "NO=2 NT=1 HOLDOLD=1 GHOST=1 SLOW=1 P_WINDOW=1 P_RESTORE=1 EXCUSE=255",
}
_SLOW_PEER = "NO=2 NT=1 MAXC=1 HOLDOLD=1 GHOST=1 SLOW=1 P_EVICT=1 EXCUSE=255"
_SLOW_PAIR = "NO=1 NT=1 MAXC=1 HOLDOLD=1 GHOST=1 SLOW=1 P_WINDOW=1 P_LEMMA=1 EXCUSE=255"
BREAKS = {
    "not restored": f"MUT=1 {_SLOW_PEER}",
    "unlinked by name": "MUT=2 NO=1 NT=1 GHOST=1 P_EVICT=1",
    "not compared before the rename": "MUT=3 NO=3 NT=0 GHOST=3 NOGUARD=1 P_EVICT=1",
    "taken without proof": "MUT=4 NO=2 NT=0",
    "taken by age": "MUT=5 NO=1 NT=1 HOLDOLD=1 P_EVICT=1",
    "not compared after the rename": f"MUT=6 {_SLOW_PEER}",
    "published over what stands there": "MUT=7 NO=2 NT=0",
    "no stand-back": "MUT=8 NO=1 NT=1 GHOST=1",
    "no time to settle": "MUT=9 NO=1 NT=1 GHOST=1",
    "no first check": f"MUT=11 {_SLOW_PAIR}",
    "no look at the file before the rename": f"MUT=12 {_SLOW_PAIR}",
    "no second check": f"MUT=13 {_SLOW_PAIR}",
    "unreadable is gone": "MUT=14 NO=1 NT=1 P_EVICT=1",
    "the liveness lock free before the name": "MUT=15 NO=2 NT=1 MAXC=1 HOLDOLD=1 GHOST=1",
    "two takers at once": "MUT=16 NO=3 NT=0 GHOST=3 NOGUARD=1",
    "closed is gone": "MUT=17 NO=1 NT=1 P_EVICT=1",
    "restored for one who has gone": f"MUT=19 {_SLOW_PEER} P_RESTORE=1",
    "no time to settle after another's touch": "MUT=18 NO=2 NT=1 MAXC=1 GHOST=1",
}


def errors(folder: Path, switches: str, *options: str) -> int:
    """Run the model with these switches; how many errors SPIN has found, all states seen unless there is one."""
    definitions = [f"-D{switch}" for switch in switches.split()]
    subprocess.run(["spin", "-a", *definitions, str(MODEL)], cwd=folder, check=True, capture_output=True)
    subprocess.run(["cc", *BUILD, "-o", "pan", "pan.c"], cwd=folder, check=True)
    done = subprocess.run(["./pan", "-m2000000", *options], cwd=folder, capture_output=True, text=True)
    assert "search depth too small" not in done.stdout and "out of memory" not in done.stdout, done.stdout
    counted = done.stdout.partition("errors: ")[2].split()
    assert counted, done.stdout + done.stderr
    return int(counted[0])


@pytest.mark.full
@needs_spin
@pytest.mark.parametrize("run", HOLDS)
def test_the_protocol_loses_nothing_and_evicts_nobody(tmp_path: Path, run: str) -> None:
    assert errors(tmp_path, HOLDS[run], "-E") == 0  # -E: whoever waits for ever is no error


@pytest.mark.full
@needs_spin
@pytest.mark.parametrize("broken", BREAKS)
def test_a_protocol_that_lacks_a_step_is_found_out(tmp_path: Path, broken: str) -> None:
    assert errors(tmp_path, BREAKS[broken], "-E") == 1


def test_each_step_of_the_model_names_a_function_that_exists() -> None:
    named = set(
        re.findall(r"(?<![\w.])([a-z]+)\.((?:\w+\.)*\w+)", "".join(re.findall(r"/\*.*?\*/", MODEL.read_text())))
    )
    rooms = {path.stem for path in (MODEL.parents[2] / "rawr_install/state").glob("*.py")}
    steps = {(room, name) for room, name in named if room in rooms}
    assert len(steps) >= 20
    for room, name in steps:
        attrgetter(name)(import_module(f"rawr_install.state.{room}"))
