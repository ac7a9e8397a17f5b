"""Which workspace a command is about, and where one stands: one answer for every command.

The dispatcher asks :func:`~rawr_install.dispatch.workspace.discover` itself, since it runs what it finds: a command can
also be about a workspace without a CLI, and then the one that has a CLI wins, as it does for ``rawr``.
"""

from __future__ import annotations

import os

from rawr_install.dispatch import messages
from rawr_install.dispatch.workspace import current_folder, discover, folders_up, is_workspace
from rawr_install.errors import UsageError
from rawr_install.files import real_path

TYPE_CHECKING = False  # typing's own constant would cost importing typing
if TYPE_CHECKING:
    from collections.abc import Mapping


def find_workspace(named: str | None, environ: Mapping[str, str]) -> str:
    """The real path of the workspace that is named, else of the one that the variables or the current folder give.

    Raises UsageError: ``NOT_A_WORKSPACE`` for one that is named and is none, ``BAD_WORKSPACE_VARIABLE``,
    ``NO_WORKSPACE``, ``CANNOT_SEARCH``, ``CWD_GONE``.
    """
    if named is not None:
        return named_workspace(named)
    cwd = existing_folder()
    found = discover(cwd, environ)
    # A look-alike, or a variable's folder without a CLI, will do where nothing better is found.
    alike = os.path.join(cwd, found.refused) if found.refused else next(iter(found.lookalikes), "")
    if found.unseen:
        raise messages.as_usage(messages.cannot_search(found.unseen))
    if found.root or is_workspace(alike):
        return real_path(found.root or alike)
    if found.refused:
        raise messages.as_usage(messages.bad_variable(found, cwd, need_cli=False))
    raise messages.as_usage(messages.no_workspace(cwd), "cd into a workspace, or name one")


def named_workspace(named: str) -> str:
    """The real path of the workspace at ``named``; raises UsageError ``NOT_A_WORKSPACE`` or ``CWD_GONE``."""
    root = real_path(absolute(named)) if named and "\0" not in named else ""
    if root and is_workspace(root):
        return root
    above = next((folder for folder in folders_up(root) if is_workspace(folder)), None) if root else None
    from rawr_install.report import command_line  # an error may cost an import

    raise UsageError(
        f"{root or repr(named)} is not a workspace: it needs a package.json file and a plugins folder.",
        code="NOT_A_WORKSPACE",
        hint=f"name the workspace's root: {command_line((above,))}" if above else "name the root folder of a workspace",
    )


def existing_folder() -> str:
    """The process's folder; raises UsageError ``CWD_GONE`` where it was removed."""
    cwd = current_folder()
    if cwd is None:
        raise messages.as_usage(messages.cwd_gone())
    return cwd


def absolute(path: str) -> str:
    """``path``, seen from the current folder; raises UsageError ``CWD_GONE`` where it needs one that was removed."""
    return path if os.path.isabs(path) else os.path.join(existing_folder(), path)
