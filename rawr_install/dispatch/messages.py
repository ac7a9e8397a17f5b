"""Why ``rawr`` runs nothing: every message of the dispatcher, with its code, exit code and way out.

127: there is nothing to run. 126: there is a workspace CLI, and it cannot or
must not be used. A hint of several lines is printed as alternatives.
"""

from __future__ import annotations

import errno
import os

from rawr_install.dispatch.locate import UNSEEN_HINT, unseen_text
from rawr_install.dispatch.trust import Trust, trust_remedy
from rawr_install.dispatch.workspace import FALLBACK_VARIABLE, Discovery, Owner, cli_path
from rawr_install.errors import DispatchError

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Mapping

# -- 127: nothing to run ------------------------------------------------------------


def cwd_gone() -> DispatchError:
    return DispatchError(
        "The current folder no longer exists, so there is nowhere to search from.",
        code="CWD_GONE",
        hint="go to a folder that exists: cd ~",
    )


def cannot_search(error: OSError) -> DispatchError:
    return DispatchError(unseen_text(error), code="CANNOT_SEARCH", hint=UNSEEN_HINT)


def bad_variable(found: Discovery, cwd: str) -> DispatchError:
    lacking = _lacking(os.path.join(cwd, found.refused or ""))
    return DispatchError(
        f"{found.source} names no workspace: {found.refused} ({lacking}).",
        code="BAD_WORKSPACE_VARIABLE",
        hint=f"unset {found.source}\nor set it to a folder with package.json, plugins/ and apps/cli/bin/run.js",
    )


def _lacking(root: str) -> str:
    if not os.path.isdir(root):
        return "no such folder"
    if not os.path.isfile(os.path.join(root, "package.json")):
        return "no package.json file there"
    if not os.path.isdir(os.path.join(root, "plugins")):
        return "no plugins folder there"
    return f"no workspace CLI at {cli_path(root)}"


def no_workspace(found: Discovery, cwd: str) -> DispatchError:
    text = f"No workspace (package.json, plugins/ and apps/cli/bin/run.js) in {cwd} or any folder above it"
    if found.lookalikes:
        text += "; these look like one but have no workspace CLI: " + ", ".join(found.lookalikes)
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
    "not-a-workspace": "the owner file {} names a folder that is no workspace",
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

_RESTORE = "restore the workspace CLI, for example: git checkout -- apps/cli/bin/run.js"


def _unusable(code: str, message: str, hint: str = "", remedy: tuple[str, ...] = ()) -> DispatchError:
    return DispatchError(message, code=code, exit_code=126, hint=hint, remedy=remedy)


def untrusted(root: str, found: Trust, environ: Mapping[str, str]) -> DispatchError:
    if found.of_cwd:
        message = f"Nothing is run here: {found.obstacle}, and Bun would load its .env and bunfig.toml."
        return _unusable("CWD_NOT_TRUSTED", message, "go to a folder of your own")
    real = os.path.realpath(root)
    hint, remedy = trust_remedy(real, environ)
    message = f"The workspace {real} is not run as you: {found.obstacle}."
    return _unusable("WORKSPACE_NOT_TRUSTED", message, hint, remedy)


def loop(cli: str, times: int) -> DispatchError:
    message = f"{cli} has replaced itself by rawr {times} times without starting a new process."
    return _unusable("DISPATCH_LOOP", message, "let the workspace CLI call the program that was meant, not rawr")


def self_exec(cli: str) -> DispatchError:
    return _unusable("SELF_EXEC", f"{cli} is rawr's own entry: it would run itself for ever.", _RESTORE)


def bad_file(cli: str) -> DispatchError:
    """For a ``cli`` that is no executable regular file."""
    if not os.path.exists(cli):
        return _unusable("CLI_DANGLING", f"The workspace CLI {cli} is a link that leads nowhere.", _RESTORE)
    if os.path.isdir(cli):
        return _unusable("CLI_IS_FOLDER", f"The workspace CLI {cli} is a folder.", _RESTORE)
    if not os.path.isfile(cli):
        return _unusable("CLI_NOT_A_FILE", f"The workspace CLI {cli} is not a regular file.", _RESTORE)
    return _unusable("CLI_NOT_EXECUTABLE", f"The workspace CLI {cli} is not executable.", remedy=("chmod", "+x", cli))


def no_interpreter(cli: str, program: str) -> DispatchError:
    where = "is not there" if "/" in program else "is not on PATH"
    message = f"The workspace CLI {cli} is to be started by {program}, which {where}."
    if program.endswith("\r"):
        hint = "the file has Windows line ends: convert it to LF"
    else:
        hint = "install Bun: https://bun.sh" if program == "bun" else f"install {program}"
    return _unusable("CLI_INTERPRETER_MISSING", message, hint)


def newer_entry(protocol: str, known: str) -> DispatchError:
    message = f"This rawr hands over by protocol {protocol}, and the toolkit that it found knows {known}."
    hint = "update rawr-install, from where it came\nor let it write its own entry: rawr-install install"
    return _unusable("ENTRY_NEWER", message, hint)


def exec_failed(cli: str, error: OSError) -> DispatchError:
    name = errno.errorcode.get(error.errno or 0, "error")
    if name == "ENOEXEC":
        message = f"The workspace CLI {cli} is neither a program nor a script: its first line does not start with #!."
        return _unusable("CLI_NO_SHEBANG", message, "make its first line: #!/usr/bin/env bun")
    return _unusable("CLI_EXEC_FAILED", f"The workspace CLI {cli} cannot be started ({name}: {error.strerror}).")
