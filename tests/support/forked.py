"""``rawr-install`` without its start-up: a server that has paid the imports forks a process for each command.

The child gets the caller's environment, folder, arguments and descriptors, and runs ``rawr_install.__main__.main`` as
``python -m rawr_install`` does. What Python reads of the environment while it starts (locale, ``PYTHON*``), and
what goes wrong before ``main`` are not to be had this way: see :func:`can_fork`.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import ctypes
import functools
import gc
import json
import os
import pkgutil
import re
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).parents[2]
# Where the server is started; a child has these until it takes its caller's.
PLAIN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether Python, started in ``env``, would start as the server did."""
    return env.get("LANG") == PLAIN["LANG"] and not any(name.startswith(("LC_", "PYTHON")) for name in env)


# -- the tests' side ------------------------------------------------------------------


@dataclass
class Command:
    """A command that was started; ``wait`` gives its exit code, negative for a signal."""

    pid: int
    _answer: IO[bytes]

    def wait(self) -> int:
        with self._answer:
            try:
                return int(self._answer.readline())
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                raise


class Server:
    """Starts at once and ends with the process that made it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], env=PLAIN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.address = self.process.stdout.readline().removesuffix("\n")

    def stop(self) -> None:
        self.process.communicate()

    def start(
        self,
        words: Sequence[str | Path],
        cwd: Path,
        env: Mapping[str, str],
        stdout: IO[Any],
        stderr: IO[Any],
        *,
        stopped: bool = False,
        user: int | None = None,
    ) -> Command:
        """Run ``rawr-install WORDS`` on an empty stdin; ``stopped``: it waits for SIGCONT, for a tracer to come.

        ``user``: as that user, in a group of the same number alone; only for root.
        """
        request = {"words": [str(word) for word in words], "cwd": str(cwd), "env": dict(env)}
        request |= {"stopped": stopped, "user": user}
        with socket.socket(socket.AF_UNIX) as connection, open(os.devnull, "rb") as stdin:
            connection.settimeout(120)
            connection.connect(self.address)
            socket.send_fds(connection, [b"\0"], [stdin.fileno(), stdout.fileno(), stderr.fileno()])
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb")
        return Command(int(answer.readline()), answer)


@functools.cache
def server() -> Server:
    """This process's own."""
    made = Server()
    atexit.register(made.stop)
    return made


def run(
    words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], user: int | None = None
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = server().start(words, cwd, env, out, err, user=user).wait()
        return code, text_of(out), text_of(err)


def text_of(file: IO[bytes]) -> str:
    """All of it, wherever the descriptor stands after a child wrote."""
    file.seek(0)
    return file.read().decode(errors="surrogateescape")


# -- the server's side ----------------------------------------------------------------


def serve(listener: socket.socket) -> None:
    """Answer until stdin ends: with it the tests' process has ended, however it did."""
    while select.select([listener, 0], [], [])[0] == [listener]:
        connection, _ = listener.accept()
        with connection:
            if os.fork() == 0:
                if os.fork() == 0:  # a grandchild, so that the server has no child to wait for
                    attend(connection)
                os._exit(0)
            os.wait()


def attend(connection: socket.socket) -> None:
    """Run the one command that was asked for, and say its process id and how it ended."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as file:
        request = json.load(file)
    pid = os.fork()
    if pid == 0:
        connection.close()
        become(request, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    if request["stopped"]:
        os.waitpid(pid, os.WUNTRACED)
    connection.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be the command."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(request["env"])
        if request["user"]:
            os.setgroups([])
            os.setgid(request["user"])
            os.setuid(request["user"])
        os.chdir(request["cwd"])
        sys.path[0] = request["cwd"]
        sys.argv = [str(PROJECT / "rawr_install/__main__.py"), *request["words"]]
        sys.orig_argv = [sys.executable, "-m", "rawr_install", *request["words"]]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request["stopped"]:
            let_anybody_trace()
            os.kill(os.getpid(), signal.SIGSTOP)
        code = import_module("rawr_install.__main__").main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            code = 120  # as Python ends
        os._exit(code)


def let_anybody_trace() -> None:
    """Where only ancestors may (Yama's ptrace_scope 1): PR_SET_PTRACER, PR_SET_PTRACER_ANY."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))


def pay_the_imports() -> None:
    """Load what any command may load, and keep the collector from touching it: pages stay shared with the children."""
    sys.path[0] = str(PROJECT)
    package = import_module("rawr_install")
    for module in pkgutil.walk_packages(package.__path__, "rawr_install."):
        source = Path(import_module(module.name).__file__ or "").read_text()
        # What is imported inside functions, too: another user may not read this Python.
        for name in re.findall(r"^ +(?:import|from) ([a-z][\w.]*)", source, re.MULTILINE):
            with contextlib.suppress(ImportError):
                import_module(name)
    codecs.lookup("unicode_escape")
    sysconfig.get_config_vars()
    gc.freeze()


if __name__ == "__main__":
    pay_the_imports()
    with tempfile.TemporaryDirectory(prefix="rawr-forked-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        print(listener.getsockname(), flush=True)
        serve(listener)
