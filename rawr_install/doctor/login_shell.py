"""What other kinds of shell would find: a login shell is asked, a desktop and cron are worked out.

The only part of the doctor that starts a program, and only on request. The
login shell is killed with all its children when the deadline passes; its
answer stands between two random marks, so whatever a profile prints around it
(banners, prompts, escape codes) does not matter.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rawr_install.dispatch import program
from rawr_install.errors import os_error_reason
from rawr_install.machine.entry import first_command, on_path
from rawr_install.machine.facts import Shell

if TYPE_CHECKING:
    from subprocess import Popen

SECONDS = 5.0
OUTPUT_LIMIT = 1 << 20
# launchd's and cron's own PATH; neither reads a profile.
GUI_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
CRON_PATH = "/usr/bin:/bin"


def ask(environ: Mapping[str, str], seconds: float = SECONDS) -> tuple[Shell, ...]:
    """The login shell's answer, and what a desktop program and a cron job find with their fixed PATH."""
    return (_login(environ, seconds), _fixed("gui", GUI_PATH), _fixed("cron", CRON_PATH))


def _fixed(name: str, path: str) -> Shell:
    found = first_command(on_path(path))
    return Shell(name, path, found.path if found else None)


def login_shell(environ: Mapping[str, str]) -> str:
    """The user's login shell: ``SHELL`` where that is an absolute path, else the account's, else sh."""
    named = environ.get("SHELL", "")
    if os.path.isabs(named):
        return named
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except (ImportError, KeyError):
        return "/bin/sh"


def _login(environ: Mapping[str, str], seconds: float) -> Shell:
    shell = login_shell(environ)
    mark = secrets.token_hex(8)
    # Understood by every Bourne-like shell and by fish; a login shell starts from a bare environment, so no PATH.
    script = f'printf "%s" "{mark}<$PATH"; printf "%s" "{mark}|"; command -v rawr; printf "%s" "{mark}>"'
    kept = ("HOME", "USER", "LOGNAME", "LANG", "TERM")
    bare = {name: environ[name] for name in kept if name in environ} | {"SHELL": shell}
    if (found := program.resolve(shell, None)) is None:
        return Shell("login", problem=f"({shell}) could not be started: it is not a program of yours or root's")
    try:
        output = _output([found, "-l", "-c", script], bare, seconds)
    except TimeoutError:
        return Shell("login", problem=f"({shell}) did not answer within {seconds:g} seconds")
    except OSError as error:
        return Shell("login", problem=f"({shell}) could not be started: {os_error_reason(error)}")
    return _parsed(shell, output, mark)


def _parsed(shell: str, output: str, mark: str) -> Shell:
    _, _, rest = output.partition(f"{mark}<")
    path, between, rest = rest.partition(f"{mark}|")
    command, end, _ = rest.partition(f"{mark}>")
    if not (between and end):
        return Shell("login", problem=f"({shell}) ended without an answer")
    return Shell("login", path, command.strip() or None)


def _output(argv: list[str], environ: Mapping[str, str], seconds: float) -> str:
    """The beginning of a program's stdout; kills the whole session and raises TimeoutError at the deadline."""
    import signal
    import subprocess

    process = subprocess.Popen(
        argv,
        cwd=os.sep,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return _read(process, seconds).decode("utf-8", "surrogateescape")
    finally:
        if process.poll() is None:  # what it started and left behind on purpose (an agent) lives on
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _read(process: Popen[bytes], seconds: float) -> bytes:
    import selectors
    import time

    assert process.stdout is not None
    end, data = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(data) < OUTPUT_LIMIT:
            if time.monotonic() >= end:
                raise TimeoutError
            if selector.select(0.05):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                data += chunk
            elif process.poll() is not None:
                break  # a job left behind by the profile may hold the pipe open for ever
    return data
