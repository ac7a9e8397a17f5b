"""Why nothing is run: every message about a workspace and its CLI, with its code, exit code and way out.

127: there is nothing to run. 126: there is a workspace CLI, and it cannot or
must not be used. A hint of several lines is printed as alternatives. A command
gives the same codes and sentences with its own exit codes (:func:`as_usage`).
"""

from __future__ import annotations

import os
import sys

from rawr_install.dispatch.program import Program
from rawr_install.dispatch.trust import Trust, trust_remedy
from rawr_install.dispatch.workspace import FALLBACK_VARIABLE, Discovery, Owner, cli_path
from rawr_install.errors import DispatchError, RefusedError, UsageError, os_error_name, os_error_reason
from rawr_install.files import is_owned_by_me

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Mapping

# -- 127: nothing to run ------------------------------------------------------------


def as_usage(error: DispatchError, hint: str = "") -> UsageError:
    """The same for a command, which cannot go on without a workspace."""
    return UsageError(error.message, code=error.code, hint=hint or error.hint)


def as_refused(error: DispatchError, code: str = "") -> RefusedError:
    """The same for a command, which declines to change anything."""
    return RefusedError(error.message, code=code or error.code, hint=error.hint, remedy=error.remedy)


def cwd_gone() -> DispatchError:
    return DispatchError(
        "The current folder no longer exists.", code="CWD_GONE", hint="go to a folder that exists: cd ~"
    )


def cannot_search(error: OSError) -> DispatchError:
    """For a search that ended early: a workspace may stand where nobody can look."""
    return DispatchError(
        f"The search for a workspace ended at {error.filename}, which cannot be looked at ({os_error_name(error)}).",
        code="CANNOT_SEARCH",
        hint="make the folders there searchable for you, or go to another folder",
    )


def bad_variable(found: Discovery, cwd: str, need_cli: bool = True) -> DispatchError:
    lacking = _lacking(os.path.join(cwd, found.refused or ""))
    needed = "package.json, plugins/ and apps/cli/bin/run.js" if need_cli else "package.json and plugins/"
    return DispatchError(
        f"{found.source} does not name a workspace: {found.refused} ({lacking}).",
        code="BAD_WORKSPACE_VARIABLE",
        hint=f"unset {found.source}\nor set it to a folder with {needed}",
    )


def _lacking(root: str) -> str:
    if not os.path.isdir(root):
        return "no such folder"
    if not os.path.isfile(os.path.join(root, "package.json")):
        return "no package.json file there"
    if not os.path.isdir(os.path.join(root, "plugins")):
        return "no plugins folder there"
    return f"no workspace CLI at {cli_path(root)}"


def no_workspace(cwd: str, lookalikes: tuple[str, ...] = ()) -> DispatchError:
    text = f"There is no workspace in {cwd} or any folder above it"
    if lookalikes:
        text += "; these look like one but have no workspace CLI: " + ", ".join(lookalikes)
    return DispatchError(
        text + ".",
        code="NO_WORKSPACE",
        hint="cd into a workspace\nor let the owner's CLI run outside workspaces: rawr-install fallback enable",
    )


_OWNER_TROUBLE = {
    "missing": "no owner has been chosen: there is no {}",
    "empty": "the owner file is empty: {}",
    "unreadable": "the owner file cannot be read, or it, its folder or HOME is not yours: {}",
    "invalid": "the owner file does not hold one absolute path: {}",
    "vanished": "the owner file {} names a folder that does not exist",
    "not-a-workspace": "the owner file {} names a folder that is not a workspace",
}


def bad_owner(owner: Owner, path: str) -> DispatchError:
    named = f" ({owner.raw[:200]})" if owner.raw else ""
    trouble = _OWNER_TROUBLE[owner.status].format(path) + named
    return DispatchError(
        f"No workspace here, and the owner fallback has nothing to run: {trouble}.",
        code="OWNER_" + owner.status.upper().replace("-", "_"),
        hint="choose an owner: rawr-install activate PATH\n"
        f"or stop asking for one: rawr-install fallback disable (and unset {FALLBACK_VARIABLE})",
    )


def owner_has_no_cli(root: str) -> DispatchError:
    return DispatchError(
        f"No workspace here, and the owner {root} has no workspace CLI at {cli_path(root)}.",
        code="OWNER_HAS_NO_CLI",
        hint="choose another owner: rawr-install activate PATH",
    )


# -- 126: a workspace CLI that is not run -----------------------------------------------


def _unusable(code: str, message: str, hint: str = "", remedy: tuple[str, ...] = ()) -> DispatchError:
    return DispatchError(message, code=code, exit_code=126, hint=hint, remedy=remedy)


def untrusted(root: str, found: Trust, environ: Mapping[str, str]) -> DispatchError:
    if found.of_cwd:
        return unsafe_folder(found.obstacle)
    real = os.path.realpath(root)
    hint, remedy = trust_remedy(real, environ)
    message = f"The workspace {real} is not run as you: {found.obstacle}."
    return _unusable("WORKSPACE_NOT_TRUSTED", message, hint, remedy)


def unsafe_folder(obstacle: str) -> DispatchError:
    message = f"Nothing is run here: {obstacle}, and Bun would load its .env and bunfig.toml."
    return _unusable("CWD_NOT_TRUSTED", message, "go to a folder of your own")


def loop(cli: str, times: int) -> DispatchError:
    message = f"{cli} has replaced itself by rawr {times} times without starting a new process."
    return _unusable("DISPATCH_LOOP", message, "let the workspace CLI call the program that was meant, not rawr")


# By the reason why a workspace CLI cannot be started (dispatch/program): its code, and what is said of the file.
_TROUBLE = {
    "missing": ("CLI_MISSING", "is not there"),
    "dangling": ("CLI_DANGLING", "is a link that leads nowhere"),
    "folder": ("CLI_IS_FOLDER", "is a folder"),
    "not-a-file": ("CLI_NOT_A_FILE", "is not a regular file"),
    "not-executable": ("CLI_NOT_EXECUTABLE", "is not executable"),
    "noexec": ("CLI_NOEXEC", "lies on a file system that is mounted noexec"),
    "own-entry": ("SELF_EXEC", "is rawr's own entry: it would run itself for ever"),
    "windows-line-end": ("CLI_WINDOWS_LINE_END", "has a Windows line end after its first line, which asks for {}"),
    "no-interpreter": ("CLI_INTERPRETER_MISSING", "is to be started by {}, which is not {}"),
    "no-shebang": ("CLI_NO_SHEBANG", "is neither a program nor a script: its first line does not start with #!"),
    "other-system": ("CLI_OTHER_SYSTEM", "is a program for another system than this one"),
}


def by_its_owner(path: str) -> str:
    """The way out for a user who may not change the file's mode."""
    from rawr_install.report import command_line  # an error may cost an import

    return f"have its owner make it executable for everybody: {command_line(('chmod', 'a+x', path))}"


def cannot_start(cli: Program) -> DispatchError:
    """For a workspace CLI whose ``reason`` says why it cannot be started."""
    code, trouble = _TROUBLE[cli.reason]
    message = f"The workspace CLI {cli.path} {trouble.format(cli.wanted, 'there' if '/' in cli.wanted else 'on PATH')}."
    if cli.reason == "not-executable" and os.geteuid() and not is_owned_by_me(cli.path):
        return _unusable(code, message, by_its_owner(cli.path))
    if cli.reason == "not-executable":
        return _unusable(code, message, remedy=("chmod", "+x", cli.path))
    if cli.reason == "noexec":
        return _unusable(code, message, "mount it without noexec, or move the workspace to another file system")
    if cli.reason == "windows-line-end":
        edit = ("sed", "-i") if sys.platform == "linux" else ("perl", "-pi", "-e")
        return _unusable(code, message, remedy=(*edit, r"s/\r$//", os.path.realpath(cli.path)))
    if cli.reason == "no-interpreter":
        bun = "install Bun (https://bun.sh), or put its folder on PATH"
        return _unusable(code, message, bun if cli.wanted == "bun" else f"install {cli.wanted}")
    if cli.reason == "no-shebang":
        return _unusable(code, message, "make its first line: #!/usr/bin/env bun")
    if cli.reason == "other-system":
        return _unusable(code, message, "build the workspace on this machine")
    restore = "restore apps/cli/bin/run.js from the workspace's version control, or build it"
    return _unusable(code, message, f"move it away, then {restore}" if cli.reason != "missing" else restore)


def exec_failed(cli: str, error: OSError) -> DispatchError:
    """For a start that the system refused, though nothing that was looked at forbade it."""
    if os_error_name(error) == "ENOEXEC":  # compiled for another processor
        return cannot_start(Program(cli, "other-system"))
    message = f"The workspace CLI {cli} cannot be started: {os_error_reason(error)}."
    return _unusable("CLI_EXEC_FAILED", message)


def newer_entry(protocol: str, known: str) -> DispatchError:
    message = f"This rawr hands over by protocol {protocol}, and the toolkit that it found knows {known}."
    hint = "update rawr-install, from where it came\nor let it write its own entry: rawr-install install"
    return _unusable("ENTRY_NEWER", message, hint)
