"""A program on a pseudo-terminal: type, wait for text, read what it showed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;?>=]*[A-Za-z]|\x1b[=>()][A-Z0-9]?|\x1b\][^\x07]*\x07|[\x07\r]")


class Terminal:
    """``with Terminal(argv, env, cwd) as shown: shown.type("ls\\n"); shown.wait("file")``."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # the child: nothing but exec, or leave
            try:
                os.chdir(cwd)
                os.execvpe(argv[0], list(argv), dict(env))
            finally:
                os._exit(127)
        self.raw = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_error: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw)

    def type(self, keys: str) -> None:
        self.raw = ""
        os.write(self.fd, keys.encode())

    def wait(self, text: str, seconds: float = 30) -> str:
        """Read until ``text`` is shown; fails with what was shown instead."""
        end = time.monotonic() + seconds
        while text not in self.text:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"no {text!r} within {seconds} s in: {self.text!r}")
            try:
                self.raw += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:  # EIO: the program ended
                raise AssertionError(f"ended before {text!r}: {self.text!r}") from None
        return self.text
