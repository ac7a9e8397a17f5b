"""Where the running toolkit came from, and whether it stays there: ``uvx`` and ``pipx run`` start it from a cache.

What installed it is told by where it lies (:data:`rawr_install.machine.entry.INSTALLERS`). Its source is what
``direct_url.json`` beside its metadata records (PyPA's "Recording the Direct URL Origin"); a package from an index has
none, and then the way out is words: which index, and whether that is still the same toolkit, nobody here knows.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from rawr_install.dispatch.workspace import folders_up
from rawr_install.errors import RefusedError
from rawr_install.machine.entry import INSTALLERS

TOUR_PREFIX = "rawr-tour-"  # of the name of the tour's throw-away home
AGAIN = "install rawr-install again, from where it came"
_REINSTALL = {
    "pipx": ("pipx", "reinstall", "rawr-install"),
    "uv": ("uv", "tool", "upgrade", "--reinstall", "rawr-install"),
}


def not_installed(home: str, environ: Mapping[str, str]) -> RefusedError | None:
    """The refusal ``TOOLKIT_NOT_INSTALLED`` of a change that would name this toolkit, where it lies in a cache.

    None where it stays; and in the tour's own home, which goes before the toolkit does.
    """
    if not is_cached(sys.prefix, environ) or os.path.basename(home).startswith(TOUR_PREFIX):
        return None
    remedy = install_command(_metadata("direct_url.json"), _manager())
    hint = "" if remedy else "install rawr-install where it stays (pipx install, uv tool install), from where it came"
    return RefusedError(
        f"This rawr-install lies in a cache, {sys.prefix}, and an entry must not lead to what may go any day.",
        code="TOOLKIT_NOT_INSTALLED",
        hint=hint,
        remedy=remedy,
    )


def is_cached(folder: str, environ: Mapping[str, str]) -> bool:
    """Whether ``folder`` lies in a cache: one of the user's, or any that says so (bford.info/cachedir)."""
    named = filter(os.path.isabs, (environ.get(name, "") for name in ("XDG_CACHE_HOME", "UV_CACHE_DIR")))
    caches = {os.path.realpath(cache) for cache in named}
    above = list(folders_up(os.path.dirname(os.path.realpath(folder))))  # an environment may have a tag of its own
    return any(
        each in caches or os.path.basename(each) in (".cache", "Caches") or os.path.isfile(f"{each}/CACHEDIR.TAG")
        for each in above
    )


def install_command(direct_url: str, manager: str) -> tuple[str, ...]:
    """The command with which ``manager`` installs what ``direct_url`` (JSON) records; empty where it tells nothing."""
    try:
        found = json.loads(direct_url)
        source = _source(found, str(found["url"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return (*(("uv", "tool") if manager == "uv" else ("pipx",)), "install", *source) if source else ()


def _source(found: Mapping[str, Mapping[str, object]], url: str) -> tuple[str, ...]:
    from urllib.parse import unquote, urlsplit

    vcs, parts = found.get("vcs_info"), urlsplit(url)
    if vcs:
        return (f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}",)
    if parts.scheme != "file":
        return (url,)
    path = unquote(parts.path)
    if not os.path.exists(path):
        return ()
    return ("--editable", path) if found.get("dir_info", {}).get("editable") else (path,)


def _manager() -> str:
    return "uv" if _metadata("INSTALLER").strip() == "uv" and "pipx" not in sys.prefix.split(os.sep) else "pipx"


def _metadata(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution("rawr-install").read_text(name) or ""
    except (PackageNotFoundError, OSError, ValueError):
        return ""


def reinstall(toolkit: str) -> tuple[str, tuple[str, ...]]:
    """The hint and the command that install the toolkit at ``toolkit`` again, by what put it there."""
    manager = next((name for part, name in INSTALLERS if part in os.path.realpath(toolkit)), "")
    return ("", _REINSTALL[manager]) if manager else (AGAIN, ())
