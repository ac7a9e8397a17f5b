"""The doctor's screens as a real terminal shows them (tmux), kept as golden files in ``tests/screens``.

To accept a change: run with ``RAWR_UPDATE_SCREENS=1`` and look at the difference.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawr_install import __version__
from tests.conftest import Machine
from tests.support.machines import MARK, Lab

SCREENS = Path(__file__).parent / "screens"
WIDTHS = (60, 80, 140)
END = "=END="
SERIAL = itertools.count()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A machine whose paths are as long on every run, since the lines are wrapped."""
    with tempfile.TemporaryDirectory(prefix="rawr-", dir="/tmp") as folder:
        yield Lab(Machine(Path(folder)))


def healthy(lab: Lab) -> str:
    return "doctor global"


def failing(lab: Lab) -> str:
    """One failure, several warnings, and what only --verbose shows."""
    lab.program(lab.first_on_path(lab.home / "bin") / "rawr")
    lab.program(lab.home / "Library/pnpm/rawr")
    lab.machine.own(lab.machine.folder / "src/gone")
    lab.machine.owner_file.chmod(0o666)
    return "doctor global"


def verbose(lab: Lab) -> str:
    lab.program(lab.home / "late/rawr", f"#!/bin/sh\n# {MARK}\n")
    lab.machine.env["PATH"] += f":{lab.home}/late"
    return "doctor global --verbose"


def fixing(lab: Lab) -> str:
    lab.machine.entry.unlink()
    lab.machine.owner_file.parent.chmod(0o777)
    return "doctor global --fix --dry-run"


def which(lab: Lab) -> str:
    return "which plugins list"


SCENES: list[Callable[[Lab], str]] = [healthy, failing, verbose, fixing, which]


def capture(lab: Lab, words: str, width: int, **env: str) -> str:
    """What stands on a terminal of this width after the command: colours as ``<SGR>``, folder and version masked.

    Lines that the terminal had to break (``-J``: long commands, never prose) are joined again.
    """
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    # A server of its own each time: one that is told to go still answers for a moment.
    socket = str(lab.machine.folder / f"tmux-{next(SERIAL)}")
    settings = {**lab.machine.env, "TERM": "screen-256color", **env}
    tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
    show = f"{shlex.quote(str(lab.tools / 'rawr-install'))} {words}; echo {END}; sleep 60"
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    pane = f"exec env -i {exports} /bin/sh -c {shlex.quote(show)}"
    size = ["-x", str(width), "-y", "120"]
    try:
        assert lab.machine.run(*tmux, "new-session", "-d", *size, "-c", str(lab.cwd), pane).code == 0
        screen, deadline = "", time.monotonic() + 60
        while END not in screen and time.monotonic() < deadline:  # it is shown a moment after it was written
            screen = lab.machine.run(*tmux, "capture-pane", "-p", "-e", "-J").out
    finally:
        lab.machine.run(*tmux, "kill-server")
    screen = screen.partition(END)[0]
    screen = re.sub("\x1b\\[([\\d;]*)m", r"<\1>", screen).replace("<0><39><49>", "<0>")
    lines = [line.rstrip() for line in screen.rstrip().split("\n")]
    masked = "\n".join(lines).replace(lab.machine.folder.name, "rawr-________").replace(__version__, "VERSION")
    return f"{masked}\n"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_screen_is_the_one_that_was_looked_at(lab: Lab, scene: Callable[[Lab], str], width: int) -> None:
    screen = capture(lab, scene(lab), width)
    golden = SCREENS / f"{scene.__name__}-{width}.txt"
    if os.environ.get("RAWR_UPDATE_SCREENS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(screen)
    assert screen == golden.read_text()


def test_no_color_leaves_the_terminal_as_it_is(lab: Lab) -> None:
    words = failing(lab)
    coloured = capture(lab, words, 80)
    assert "<1>" in coloured or "<1;31>" in coloured
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert re.sub("<[\\d;]*>", "", coloured) == capture(lab, words, 80, **env)


def test_without_a_terminal_there_is_no_colour(lab: Lab) -> None:
    assert "\x1b" not in lab.machine.rawr_install(*failing(lab).split(), cwd=lab.cwd).out


def test_a_plain_ascii_locale_can_print_every_screen(lab: Lab) -> None:
    plain = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    lab.machine.own("/größe/日本")
    for words in ("doctor global", "doctor global --verbose", "which"):
        shown = lab.machine.rawr_install(*words.split(), cwd=lab.cwd, env=plain)
        assert (shown.out.isascii(), shown.err) == (True, "")
    assert "\\xf6" in lab.machine.rawr_install("doctor", "global", cwd=lab.cwd, env=plain).out
