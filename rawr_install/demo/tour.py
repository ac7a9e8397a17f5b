"""The tour: the product's story told by running it, in a home that is thrown away.

Every step is a real command in a real process, and says beforehand how it must
end. A step that ends otherwise ends the tour: what it shows is true, or it
fails.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rawr_install.demo import sample
from rawr_install.dispatch import program
from rawr_install.dispatch.workspace import discover
from rawr_install.errors import RawrError, UsageError
from rawr_install.machine.entry import classify
from rawr_install.machine.origin import TOUR_PREFIX
from rawr_install.machine.toolkit import toolkit_program
from rawr_install.report import command_line

STEP_SECONDS = 60.0
WORKSPACES = ("alpha", "beta")


@dataclass(frozen=True)
class Step:
    """One command: what it shows, where it runs (below the home), and how it must end."""

    title: str
    argv: tuple[str, ...]
    shows: tuple[str, ...]
    code: int = 0
    folder: str = ""


@dataclass(frozen=True)
class Taken:
    """A step that was run; ``missing`` are the expected texts that its output lacks."""

    title: str
    folder: str
    argv: tuple[str, ...]
    exit_code: int
    expected_exit_code: int
    output: str
    missing: tuple[str, ...]
    pass_: bool

    @property
    def prompt(self) -> str:
        """The command as it would be typed."""
        return f"{self.folder} $ {command_line(self.argv)}"


def judge(step: Step, code: int, output: str) -> Taken:
    """``step`` with what it came to."""
    words = " ".join(output.split())  # wrapped lines count as one
    missing = tuple(text for text in step.shows if text not in words)
    folder = os.path.join("~", step.folder).rstrip("/")
    return Taken(step.title, folder, step.argv, code, step.code, output, missing, code == step.code and not missing)


def _toolkit(words: str) -> tuple[str, ...]:
    return ("rawr-install", *words.split())


GREET = ("rawr", "greet", "dear reader")
FOLLOWS = "rawr runs the workspace you are in."
STORY = (
    Step("in a workspace, rawr is its own CLI", GREET, ("workspace alpha.", "argument: dear reader"), folder="alpha"),
    Step("in another one, that one's", GREET, ("workspace beta.",), folder="beta/plugins/web"),
    Step("there is nothing to install", _toolkit("install"), ("Nothing to do:", "runs the workspace you are in")),
    Step("doctor agrees", _toolkit("doctor global --strict"), (FOLLOWS,), folder="alpha"),
    Step("outside, rawr runs nothing", GREET, ("NO_WORKSPACE", "rawr-install fallback enable"), 127),
    Step("you may choose an owner", _toolkit("activate alpha"), ("~/alpha is this machine's owner now.",)),
    Step("and let rawr use it outside", _toolkit("fallback enable"), ("Owner fallback: enabled.",)),
    Step("now it does, and says so", GREET, ("running the owner's CLI", "workspace alpha.")),
    Step("in a workspace nothing has changed", _toolkit("doctor global --strict"), (FOLLOWS,), folder="alpha"),
    Step("another workspace becomes the owner", _toolkit("activate beta"), ("it was ~/alpha.",)),
    Step("its folder moves", ("mv", "beta", "beta-moved"), ()),
    Step("so there is no owner to run", GREET, ("OWNER_VANISHED",), 127),
    Step("doctor finds out why", _toolkit("doctor global"), ("owner.vanished", "fallback.bad-owner")),
    Step("rollback undoes the last change", _toolkit("rollback"), ("Rolled back",)),
    Step("all is well again", _toolkit("doctor global --strict"), (FOLLOWS,)),
    Step("and the owner's CLI runs", GREET, ("workspace alpha.",)),
)


def prepare(parent: str | None = None) -> str:
    """Make the throw-away home with its workspaces, in ``parent`` or the temporary folder; returns its real path.

    Raises UsageError ``TOUR_NO_ROOM`` where that is impossible or would be inside a workspace.
    """
    import tempfile

    try:
        home = os.path.realpath(tempfile.mkdtemp(prefix=TOUR_PREFIX, dir=parent))
    except OSError as error:
        raise _no_room(f"No temporary folder can be made: {error}.") from None
    try:
        if around := discover(home, {}).root:
            raise _no_room(f"The temporary folder is inside the workspace {around}, so nothing there is outside one.")
        for name in WORKSPACES:
            sample.create(os.path.join(home, name), name)
    except BaseException as error:
        clear(home)
        if isinstance(error, OSError):
            raise _no_room(f"The sample workspaces cannot be made in {home}: {error}.") from None
        raise
    return home


def _no_room(message: str) -> UsageError:
    return UsageError(message, code="TOUR_NO_ROOM", hint="choose another temporary folder: TMPDIR=/some/folder")


def clear(home: str) -> bool:
    """Remove the throw-away home; False when something of it stays."""
    import shutil

    shutil.rmtree(home, ignore_errors=True)
    return not os.path.lexists(home)


def take(home: str, environ: Mapping[str, str]) -> Iterator[Taken]:
    """Run the story step by step, up to and including the first step that does not do what it says."""
    env = environment(home, scripts_folder(), environ)
    for step in STORY:
        taken = _run(step, home, env)
        yield taken
        if not taken.pass_:
            return


def environment(home: str, scripts: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The steps' environment: the throw-away home, a PATH of its own, and nothing that leads elsewhere."""
    dropped = ("RAWR_", "XDG_", "BUN_", "GIT_", "FORCE_COLOR")
    kept = {name: value for name, value in environ.items() if not name.startswith(dropped)}
    path = os.pathsep.join((scripts, os.path.join(home, ".bun", "bin"), os.defpath))
    return {**kept, "HOME": home, "PATH": path}


def scripts_folder() -> str:
    """The folder that holds both of this toolkit's commands; raises RawrError ``TOOLKIT_DAMAGED`` without one."""
    folder = os.path.dirname(toolkit_program())
    if classify(os.path.join(folder, "rawr")).kind != "shim":
        raise RawrError(
            f"The commands rawr and rawr-install are not beside {sys.executable}.",
            code="TOOLKIT_DAMAGED",
            hint="reinstall rawr-install",
        )
    return folder


def _run(step: Step, home: str, env: dict[str, str]) -> Taken:
    import subprocess

    started = program.find(step.argv[0], env["PATH"])  # all of whose folders are absolute: environment() made it
    try:
        done = subprocess.run(
            [started or step.argv[0], *step.argv[1:]],
            cwd=os.path.join(home, step.folder),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=STEP_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        return judge(step, 124, f"{_text(late.stdout)}(no end within {STEP_SECONDS:.0f} s)\n")
    except OSError as error:
        return judge(step, 127, f"{step.argv[0]} cannot be started: {error}\n")
    return judge(step, done.returncode, _text(done.stdout))


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
