"""The shell entry as this toolkit installs it: our script, with the way back to ``rawr-install`` filled in."""

from __future__ import annotations

import os
import shlex
import sys

from rawr_install.errors import RawrError


def contents() -> bytes:
    """The script's bytes for this toolkit; raises RawrError ``TOOLKIT_DAMAGED`` when the package lacks it."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for path in (os.path.join(here, "shell-entry"), os.path.join(os.path.dirname(here), "shims", "rawr")):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return fill_toolkit(file.read(), _toolkit_program())
    raise RawrError(f"The shell entry is missing from {here}.", code="TOOLKIT_DAMAGED", hint="reinstall rawr-install")


def fill_toolkit(script: bytes, program: str) -> bytes:
    """The script with its ``toolkit=''`` line naming ``program``, quoted for sh."""
    return script.replace(b"\ntoolkit=''\n", b"\ntoolkit=" + os.fsencode(shlex.quote(program)) + b"\n", 1)


def _toolkit_program() -> str:
    """The absolute path of the running toolkit's ``rawr-install``; empty where there is none."""
    import sysconfig

    asked = os.path.abspath(sys.argv[0]) if os.path.basename(sys.argv[0]).startswith("rawr-install") else ""
    named = (os.path.join(sysconfig.get_path("scripts"), "rawr-install"), asked)
    return next((path for path in named if path and os.path.isfile(path)), "")
