"""The toolkit that a shell entry leads back to, and the shell entry as this toolkit makes it. Reads only."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping

from rawr_install.dispatch.program import absolute, examine, is_put_by_us
from rawr_install.errors import RawrError
from rawr_install.files import read_bytes
from rawr_install.machine.entry import UNFILLED, Entry
from rawr_install.machine.origin import TOUR_PREFIX, is_cached, reinstall

SHIM_LIMIT = 16 * 1024


def shell_entry() -> bytes:
    """The shell entry as this toolkit installs it: our script, with the way back filled in.

    Raises RawrError ``TOOLKIT_DAMAGED`` when the package lacks it.
    """
    with open(shipped_file("shell-entry", "shims", "rawr"), "rb") as file:
        return fill_toolkit(file.read(), toolkit_program())


def shipped_file(name: str, folder: str, original: str = "") -> str:
    """A file of the package, or its original in the checkout that an editable install runs in.

    Raises RawrError ``TOOLKIT_DAMAGED`` where there is neither.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = (os.path.join(package, name), os.path.join(os.path.dirname(package), folder, original or name))
    path = next(filter(os.path.isfile, found), None)
    if path is None:
        hint, remedy = reinstall(package)
        raise RawrError(f"{found[0]} is missing.", code="TOOLKIT_DAMAGED", hint=hint, remedy=remedy)
    return path


def fill_toolkit(script: bytes, program: str) -> bytes:
    """The script with its ``toolkit=''`` line naming ``program``, quoted for sh."""
    return script.replace(UNFILLED, b"\ntoolkit=" + os.fsencode(shlex.quote(program)) + b"\n", 1)


def toolkit_program() -> str:
    """The absolute path of the running toolkit's ``rawr-install``; empty where there is none."""
    import sysconfig

    asked = os.path.abspath(sys.argv[0]) if os.path.basename(sys.argv[0]).startswith("rawr-install") else ""
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))  # the latter: pip install --user
    own, of_user = (os.path.join(sysconfig.get_path("scripts", scheme), "rawr-install") for scheme in schemes)
    return next((path for path in (own, asked, of_user) if path and os.path.isfile(path)), "")


def toolkits_gone(entries: Iterable[Entry], home: str, path_variable: str) -> tuple[str, ...]:
    """Our shell entries that find no toolkit that could start."""
    shims = (entry.path for entry in entries if entry.kind == "shim")
    return tuple(shim for shim in shims if toolkit_of(shim, home, path_variable) is None)


def cached_toolkits(entries: Iterable[Entry], home: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Our shell entries whose toolkit lies in a cache, from which it may go any day; none in the tour's own home."""
    if os.path.basename(home).startswith(TOUR_PREFIX):
        return ()
    shims = (entry.path for entry in entries if entry.kind == "shim")
    found = ((shim, toolkit_of(shim, home, environ.get("PATH", ""))) for shim in shims)
    return tuple(shim for shim, toolkit in found if toolkit and is_cached(_environment_of(toolkit), environ))


def _environment_of(toolkit: str) -> str:
    return os.path.dirname(os.path.dirname(os.path.realpath(toolkit)))


def toolkit_of(shim: str, home: str, path_variable: str) -> str | None:
    """The ``rawr-install`` that a shell entry would start: beside it, recorded in it, on PATH, in ``~/.local/bin``."""
    candidates = (
        os.path.join(os.path.dirname(shim), "rawr-install"),
        _recorded(shim),
        *(os.path.join(folder, "rawr-install") for folder in absolute(path_variable)),
        os.path.join(home, ".local", "bin", "rawr-install"),
    )
    return next(
        (path for path in candidates if path and is_put_by_us(path) and not examine(path, path_variable).reason), None
    )


def _recorded(shim: str) -> str | None:
    """The value of the line ``toolkit=...`` that installing the shell entry fills in, quoted for sh."""
    lines = read_bytes(shim, SHIM_LIMIT).decode("utf-8", "surrogateescape").splitlines()
    value = next((line.removeprefix("toolkit=") for line in lines if line.startswith("toolkit=")), "")
    try:
        return "".join(shlex.split(value)) or None
    except ValueError:
        return None


def version_of_toolkit(toolkit: str) -> str | None:
    """The toolkit's version, read from the name of its metadata folder; None where that is laid out otherwise."""
    library = os.path.join(_environment_of(toolkit), "lib")
    for python in _names(library, "python"):
        for name in _names(os.path.join(library, python, "site-packages"), "rawr_install-"):
            if name.endswith(".dist-info"):
                return name.removeprefix("rawr_install-").removesuffix(".dist-info")
    return None


def _names(folder: str, start: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.startswith(start)]
    except OSError:
        return []
