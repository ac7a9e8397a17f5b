"""A process that runs one ``rawr-install`` command a line, started at once when the line comes: a fair racer."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from importlib import import_module

from rawr_install.cli.main import main


def serve() -> None:
    """Read argument vectors (JSON, one a line), answer with exit code and output (JSON, one a line)."""
    import_module("rawr_install.cli.setup")  # now, not while the race runs
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(json.loads(line))
        print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), flush=True)


if __name__ == "__main__":
    serve()
