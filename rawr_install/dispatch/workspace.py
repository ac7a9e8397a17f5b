"""Workspaces and the files that say which of them may run.

Rules:

* A *workspace root* is a folder with a ``package.json`` file and a ``plugins``
  folder. To dispatch it must also hold the workspace CLI,
  ``apps/cli/bin/run.js``.
* The search asks ``RAWR_WORKSPACE_ROOT``, then ``RAWR_HQ_ROOT``, then the
  current folder and its parents. An empty variable is an unset one; a variable
  that names no workspace is an error, never ignored.
* The owner file has one grammar and this is its only parser.
* Two spellings of one real path, and two real paths of one folder, are one instance.

Whether one may run is :mod:`rawr_install.dispatch.trust`.
Standard library only, and of that ``errno``, ``os``, ``stat`` and ``sys``: the dispatch path loads it.
"""

from __future__ import annotations

import errno
import os
import stat

from rawr_install.ecmascript import trim
from rawr_install.encoding import from_wire
from rawr_install.files import is_ours, read_regular, same_folder

TYPE_CHECKING = False  # typing's own constant would cost importing typing, and collections.abc imports collections
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT_VARIABLES = ("RAWR_WORKSPACE_ROOT", "RAWR_HQ_ROOT")
FALLBACK_VARIABLE = "RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"
CLI_RELATIVE = "apps/cli/bin/run.js"
OWNER_FILE_LIMIT = 64 * 1024
POLICY_FILE_LIMIT = 16 * 1024 * 1024


def is_workspace(root: str) -> bool:
    """Whether ``root`` holds a ``package.json`` file and a ``plugins`` folder."""
    return os.path.isfile(os.path.join(root, "package.json")) and os.path.isdir(os.path.join(root, "plugins"))


def cli_path(root: str) -> str:
    """Where the workspace CLI of ``root`` is expected; nothing is looked at."""
    return os.path.join(root, *CLI_RELATIVE.split("/"))


def has_cli(root: str) -> bool:
    """Whether something, even a dangling link, stands at the workspace CLI's place."""
    return os.path.lexists(cli_path(root))


def current_folder() -> str | None:
    """The process's folder, physically; None when it was removed or may not be read."""
    try:
        return os.getcwd()
    except OSError:
        return None


def folders_up(start: str) -> Iterator[str]:
    """``start`` and each of its parents, up to the file-system root."""
    folder = start
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


class Discovery:
    """Where the search for a workspace ended, and what it passed on the way.

    ``root`` is the workspace or None; ``source`` the variable's name or
    ``"search"``; ``lookalikes`` the roots without a workspace CLI that were
    walked past; ``refused`` the value of a variable that names no workspace;
    ``unseen`` the error that ended the search: where one cannot look there may be a workspace.
    """

    __slots__ = ("lookalikes", "refused", "root", "source", "unseen")

    def __init__(
        self,
        root: str | None,
        source: str,
        lookalikes: tuple[str, ...] = (),
        refused: str | None = None,
        unseen: OSError | None = None,
    ) -> None:
        self.unseen = unseen
        self.root = root
        self.source = source
        self.lookalikes = lookalikes
        self.refused = refused


def discover(cwd: str, environ: Mapping[str, str], need_cli: bool = True) -> Discovery:
    """Find the workspace for ``cwd`` (a real path); ``need_cli`` is False for commands that only need a root."""
    for name in ROOT_VARIABLES:
        value = environ.get(name, "")
        if value:
            return _from_variable(os.path.join(cwd, value), value, name, need_cli)
    lookalikes: list[str] = []
    try:
        for folder in folders_up(cwd):
            if _holds_workspace(folder):
                if not need_cli or _stands(os.lstat, cli_path(folder)):
                    return Discovery(folder, "search", tuple(lookalikes))
                lookalikes.append(folder)
    except OSError as error:
        return Discovery(None, "search", tuple(lookalikes), unseen=error)
    return Discovery(None, "search", tuple(lookalikes))


def _holds_workspace(folder: str) -> bool:
    """As :func:`is_workspace`, but raises OSError where that cannot be seen: "I cannot look" is not "there is none"."""
    package = _stands(os.stat, os.path.join(folder, "package.json"))
    if package is None or not stat.S_ISREG(package.st_mode):
        return False
    plugins = _stands(os.stat, os.path.join(folder, "plugins"))
    return plugins is not None and stat.S_ISDIR(plugins.st_mode)


def _stands(look: Callable[[str], os.stat_result], path: str) -> os.stat_result | None:
    """What is at ``path``, None for nothing or a link that leads nowhere; raises every other OSError."""
    try:
        return look(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def _from_variable(root: str, value: str, name: str, need_cli: bool) -> Discovery:
    if is_workspace(root) and (not need_cli or has_cli(root)):
        # normpath is textual: of `link/..` it makes another folder than the system does.
        return Discovery(root if ".." in value else os.path.normpath(root), name)
    return Discovery(None, name, refused=value)


class Owner:
    """The owner file, read once.

    ``status`` is one of ``missing, empty, unreadable, invalid, vanished,
    not-a-workspace, valid``; ``exists`` is what the peers see (links followed);
    ``path`` is the normalized path that the file names and ``real`` its real
    path, both None where the file names none (``real`` also when it vanished);
    ``raw`` is the stripped text as found, for messages.
    """

    __slots__ = ("exists", "path", "raw", "real", "status")

    def __init__(
        self, status: str, exists: bool, path: str | None = None, real: str | None = None, raw: str = ""
    ) -> None:
        self.status = status
        self.exists = exists
        self.path = path
        self.real = real
        self.raw = raw

    def known_as(self, root: str | None) -> Owner:
        """The owner, with ``real`` spelled as ``root`` where both lead to one folder (:func:`same_folder`)."""
        if root is None or self.real is None or not same_folder(root, self.real):
            return self
        return Owner(self.status, self.exists, self.path, root, self.raw)


def read_owner(owner_file: str) -> Owner:
    """Read and judge the owner file; never raises, never blocks, reads at most 64 KiB."""
    try:
        data = read_regular(owner_file, OWNER_FILE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        # A link that leads nowhere is a broken owner file to us, none to the peers.
        return Owner("unreadable" if os.path.islink(owner_file) else "missing", exists=False)
    except OSError:
        return Owner("unreadable", exists=os.path.exists(owner_file))
    return parse_owner(data) if counts(owner_file) else Owner("unreadable", exists=True)


def parse_owner(data: bytes) -> Owner:
    """Judge the owner file's content."""
    try:
        text = trim(data.decode("utf-8"))
    except UnicodeDecodeError:
        return Owner("invalid", exists=True, raw=trim(data.decode("utf-8", "replace")))
    if not text:
        return Owner("empty", exists=True)
    if any(char in text for char in "\0\n\r") or not os.path.isabs(text):
        return Owner("invalid", exists=True, raw=text)
    path = os.path.normpath(from_wire(text))
    if not os.path.exists(path):
        return Owner("vanished", exists=True, path=path, raw=text)
    status = "valid" if is_workspace(path) else "not-a-workspace"
    return Owner(status, exists=True, path=path, real=os.path.realpath(path), raw=text)


def seam_status(owner: Owner, current_real: str | None) -> str:
    """The wire's ``aliasInstanceSeamStatus`` for the instance whose real path is ``current_real``."""
    if not owner.exists:
        return "owner-file-missing"
    if owner.status in ("empty", "unreadable"):
        return "owner-file-empty"
    if owner.real is not None and owner.real == current_real:
        return "owner-current-instance"
    return "owner-other-instance"


def read_lines(policy_file: str) -> tuple[str, ...]:
    """The non-empty lines of a policy file, line ends removed; none if absent, unreadable or not the user's."""
    if not counts(policy_file):
        return ()
    try:
        text = os.fsdecode(read_regular(policy_file, POLICY_FILE_LIMIT))
    except OSError:
        return ()
    return tuple(line for line in text.split("\n") if line)


def fallback_enabled(policy_file: str, environ: Mapping[str, str]) -> bool:
    """Whether the user has allowed the owner's CLI outside workspaces, by variable or policy file."""
    return environ.get(FALLBACK_VARIABLE, "") == "1" or read_lines(policy_file)[:1] == ("enabled",)


def home_file(environ: Mapping[str, str], name: str) -> str:
    """A file of ``~/.rawr``; without a usable HOME, a name that does not exist."""
    home = environ.get("HOME", "")
    return os.path.join(home, ".rawr", name) if os.path.isabs(home) else os.devnull + "/none"


def counts(file: str) -> bool:
    """Whether to believe a file of ``~/.rawr``: it, its folder and HOME are the user's or root's, no folder sticky.

    ``sudo`` may keep another user's HOME, and into a sticky folder others may have put files. Modes are the doctor's.
    """
    folder = os.path.dirname(file)
    try:
        folders = os.stat(folder), os.stat(os.path.dirname(folder))
        return all(map(is_ours, (os.stat(file), *folders))) and not any(info.st_mode & stat.S_ISVTX for info in folders)
    except OSError:
        return False
