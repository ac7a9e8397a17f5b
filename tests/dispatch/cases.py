"""The table of dispatch cases: what each builds, and what ``rawr`` must then do, whoever decides it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.dispatch.scene import CLI, TOOLKIT, Scene

Build = Callable[[Scene], object]


@dataclass(frozen=True)
class Case:
    """``runs`` is the workspace whose CLI runs (with ``words``), ``error`` the code of a refusal.

    ``by_twin`` marks the successes that the shell entry leaves to its twin,
    ``entry_only`` what the twin, called by itself, cannot tell; ``raw_bytes``
    what yash, which knows only characters of the locale, cannot hold.
    """

    name: str
    build: Build
    runs: str | None = None
    words: tuple[str, ...] | None = None
    error: str = ""
    code: int = 0
    out: str | None = ""
    begins: bool = False
    root: bool = False
    entry_only: bool = False
    by_twin: bool = False
    raw_bytes: bool = False

    def expected_out(self, scene: Scene) -> str | None:
        if self.runs is None:
            return self.out
        words = scene.argv if self.words is None else self.words
        return f"workspace {self.runs}\n" + "".join(f"<{word}>" for word in words)


@dataclass
class Table:
    cases: list[Case] = field(default_factory=list)

    def runs(self, name: str, runs: str = "ws", **more: object) -> Callable[[Build], Build]:
        return self._add(name, runs=runs, **more)

    def fails(self, name: str, error: str, code: int = 127, **more: object) -> Callable[[Build], Build]:
        return self._add(name, error=error, code=code, **more)

    def says(self, name: str, out: str | None = None, **more: object) -> Callable[[Build], Build]:
        return self._add(name, out=out, **more)

    def _add(self, name: str, **more: object) -> Callable[[Build], Build]:
        def add(build: Build) -> Build:
            self.cases.append(Case(name, build, **more))  # type: ignore[arg-type]
            return build

        return add


T = Table()

# -- depth and spelling of the current folder -------------------------------------------

for depth in (0, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 35, 40):

    @T.runs(f"{depth} folders below the root")
    def _(s: Scene, depth: int = depth) -> None:
        s.stand(s.workspace("ws").joinpath(*[f"d{n}" for n in range(depth)]))


ODD_NAMES = {
    "a space": "my work space",
    "a newline": "two\nlines",
    "a final newline": "ends\n",
    "glob characters": "a*[b]?c",
    "a backslash": "back\\slash\\n",
    "quotes and a dollar": 'it\'s "$HOME" `x`',
    "a leading dash": "-rf",
    "a percent and a hash": "100%s#1",
    "letters beyond ASCII": "grüße-日本",
    "a byte that is not UTF-8": os.fsdecode(b"latin-\xe9"),
    "a trailing space": "trail ",
    "a tilde": "~root",
}
for about, odd in ODD_NAMES.items():

    @T.runs(f"a path with {about}", raw_bytes="UTF-8" in about)
    def _(s: Scene, odd: str = odd) -> None:
        s.stand(s.workspace(f"{odd}/ws") / odd / "sub")


@T.runs("a current folder reached through a link to the workspace")
def _(s: Scene) -> None:
    (s.folder / "link").symlink_to(s.workspace("ws"))
    s.stand(s.folder / "link")
    s.env["PWD"] = str(s.folder / "link")


@T.runs("a folder that a link brings into another workspace belongs to where it really is")
def _(s: Scene) -> None:
    inner = s.workspace("ws") / "pkg"
    inner.mkdir()
    other = s.workspace("other")
    (other / "borrowed").symlink_to(inner)
    s.stand(other / "borrowed")
    s.env["PWD"] = str(other / "borrowed")


@T.runs("a workspace whose package.json and plugins are links")
def _(s: Scene) -> None:
    root = s.workspace("ws")
    for name in ("package.json", "plugins"):
        (root / name).rename(s.folder / name)
        (root / name).symlink_to(s.folder / name)
    s.stand(root / "sub")


@T.runs("a workspace CLI that is a link to a file elsewhere", by_twin=True)
def _(s: Scene) -> None:
    root = s.workspace("ws")
    s.cli(root).rename(s.folder / "real-cli")
    s.cli(root).symlink_to(s.folder / "real-cli")
    s.stand(root)


WRONG_PWD = {
    "another workspace": "{other}",
    "a folder that does not exist": "/no/such/folder",
    "a relative path": "sub",
    "a path with dots": "{ws}/sub/../sub",
    "an empty string": "",
    "a newline": "\n",
}
for about, wrong in WRONG_PWD.items():

    @T.runs(f"PWD is {about}")
    def _(s: Scene, wrong: str = wrong) -> None:
        s.stand(s.workspace("ws") / "sub")
        s.env["PWD"] = wrong.replace("{other}", str(s.workspace("other"))).replace("{ws}", str(s.folder / "ws"))


@T.runs("variables that scripts like to use are set and exported")
def _(s: Scene) -> None:
    s.stand(s.workspace("ws") / "sub")
    s.env |= {"CDPATH": str(s.folder), "IFS": "/", "ENV": "/no", "OLDPWD": "/", "POSIXLY_CORRECT": "1", "root": "x"}


@T.fails("the current folder no longer exists", "CWD_GONE")
def _(s: Scene) -> None:
    s.stand(s.workspace("ws") / "gone")
    s.vanishes = True


@T.runs("a parent of the workspace cannot be listed", root=True, by_twin=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("locked/ws") / "sub")
    (s.folder / "locked").chmod(0o711)
    s.give_away(*(path for path in (s.folder / "locked/ws").rglob("*")), s.folder / "locked/ws")
    s.user = 65534


@T.fails("the folder between here and the workspace cannot be entered", "CANNOT_SEARCH", root=True)
def _(s: Scene) -> None:
    root = s.workspace("ws")
    s.stand(root / "a/b")
    s.give_away(*(path for path in root.rglob("*")), root)
    root.chmod(0)
    s.user = 65534


# -- nested workspaces and look-alikes ---------------------------------------------------


@T.runs("the nearest of two workspaces wins", "inner")
def _(s: Scene) -> None:
    s.workspace("outer")
    s.stand(s.workspace("outer/packages/inner") / "sub")


@T.runs("a look-alike between here and the workspace is walked past")
def _(s: Scene) -> None:
    s.workspace("ws")
    s.stand(s.workspace("ws/vendor/alike", cli=None) / "src")


@T.runs("three look-alikes are walked past")
def _(s: Scene) -> None:
    s.workspace("ws")
    for name in ("ws/a", "ws/a/b", "ws/a/b/c"):
        s.stand(s.workspace(name, cli=None))


@T.fails("only look-alikes", "NO_WORKSPACE")
def _(s: Scene) -> None:
    s.workspace("alike", cli=None)
    s.stand(s.workspace("alike/inner", cli=None) / "src")


@T.fails("a package.json that is a folder", "NO_WORKSPACE")
def _(s: Scene) -> None:
    root = s.workspace("ws")
    (root / "package.json").unlink()
    s.stand(root / "package.json")


@T.fails("a plugins file instead of a folder", "NO_WORKSPACE")
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws"))
    (root / "plugins").rmdir()
    (root / "plugins").write_text("")


@T.fails("no workspace at all", "NO_WORKSPACE")
def _(s: Scene) -> None:
    s.stand(s.folder / "plain/sub")


@T.fails("the file-system root", "NO_WORKSPACE")
def _(s: Scene) -> None:
    s.cwd = Path("/")


# -- the workspace CLI -------------------------------------------------------------------


@T.fails("the CLI is not executable", "CLI_NOT_EXECUTABLE", 126)
def _(s: Scene) -> None:
    s.cli(s.stand(s.workspace("ws"))).chmod(0o644)


@T.fails("the CLI is a link that leads nowhere", "CLI_DANGLING", 126)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws", cli=None))
    s.cli(root).symlink_to("gone.js")


@T.fails("a link that leads nowhere is no look-alike, even inside another workspace", "CLI_DANGLING", 126)
def _(s: Scene) -> None:
    s.workspace("outer")
    root = s.stand(s.workspace("outer/ws", cli=None))
    s.cli(root).symlink_to("gone.js")


@T.fails("the CLI is a link to itself", "CLI_DANGLING", 126)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws", cli=None))
    s.cli(root).symlink_to("run.js")


@T.fails("the CLI is a folder", "CLI_IS_FOLDER", 126)
def _(s: Scene) -> None:
    s.cli(s.stand(s.workspace("ws", cli=None))).mkdir()


@T.fails("the CLI is a FIFO", "CLI_NOT_A_FILE", 126)
def _(s: Scene) -> None:
    os.mkfifo(s.cli(s.stand(s.workspace("ws", cli=None))), 0o755)


BAD_FIRST_LINES = {
    "an interpreter that is missing": ("#!/no/such/bun", "CLI_INTERPRETER_MISSING"),
    "an interpreter that is a folder": ("#!/usr", "CLI_INTERPRETER_MISSING"),
    "an interpreter that is not executable": ("#!/etc/passwd", "CLI_INTERPRETER_MISSING"),
    "a Windows line end": ("#!/bin/sh\r", "CLI_WINDOWS_LINE_END"),
    "an option and a Windows line end": ("#!/bin/sh -u\r", "CLI_WINDOWS_LINE_END"),
    "env and a program that is not on PATH": ("#!/usr/bin/env no-such-bun", "CLI_INTERPRETER_MISSING"),
    "env -S and a program that is not on PATH": ("#!/usr/bin/env -S no-such-bun --smol", "CLI_INTERPRETER_MISSING"),
    "env and a program with a Windows line end": ("#!/usr/bin/env sh\r", "CLI_WINDOWS_LINE_END"),
    "nothing after the mark": ("#!", "CLI_NO_SHEBANG"),
    "env and a path that is missing": ("#!/usr/bin/env /no/such/bun", "CLI_INTERPRETER_MISSING"),
    "no interpreter line": ("echo hello", "CLI_NO_SHEBANG"),
}
for about, (line, error) in BAD_FIRST_LINES.items():

    @T.fails(f"the CLI has {about}", error, 126)
    def _(s: Scene, line: str = line) -> None:
        s.stand(s.workspace("ws", cli=f"{line}\necho {{name}}\n"))


@T.fails("the CLI is empty", "CLI_NO_SHEBANG", 126)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws", cli=""))


GOOD_FIRST_LINES = {
    "a space after the mark": "#! /bin/sh",
    "a tab after the mark": "#!\t/bin/sh\t",
    "an option": "#!/bin/sh -u",
    "env": "#!/usr/bin/env sh",
    "a space, then env": "#! /usr/bin/env sh",
    "env -S": "#!/usr/bin/env -S sh -u",
    "env -S, which splits at a Windows line end": "#!/usr/bin/env -S sh\r",
    "env and a variable": "#!/usr/bin/env -S RAWR_X=1 sh",
}
for about, line in GOOD_FIRST_LINES.items():

    @T.runs(f"an interpreter line with {about}", by_twin=line.endswith("\r"))
    def _(s: Scene, line: str = line) -> None:
        s.stand(s.workspace("ws", cli=CLI.replace("#!/bin/sh", line)))


@T.fails("the CLI is compiled for another system", "CLI_OTHER_SYSTEM", 126)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws", cli=None))
    s.cli(root).write_bytes(bytes.fromhex("cffaedfe0c000001") + bytes(100))
    s.cli(root).chmod(0o755)


@T.says("the CLI is a compiled program", "build --fast\n")
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws", cli=None))
    s.cli(root).write_bytes(Path("/bin/echo").read_bytes())
    s.cli(root).chmod(0o755)


# -- owner file, fallback ----------------------------------------------------------------


def outside(s: Scene, owner: bytes | str | Path | None, by: str = "variable") -> None:
    s.stand(s.folder / "outside")
    if owner is not None:
        s.own(owner)
    if by == "variable":
        s.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"
    else:
        s.dot_rawr("global-owner-fallback", by)


@T.runs("the owner runs outside when the variable allows it", "owner")
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))


for policy in ("enabled\n", "enabled", "\nenabled\n"):

    @T.runs(f"the owner runs outside when the policy file allows it ({policy!r})", "owner", by_twin=policy[0] == "\n")
    def _(s: Scene, policy: str = policy) -> None:
        outside(s, s.workspace("owner"), by=policy)


for policy in ("disabled\n", "", "enabled \n", "ENABLED\n", "no\nenabled\n"):

    @T.fails(f"a policy file that does not say enabled ({policy!r})", "NO_WORKSPACE")
    def _(s: Scene, policy: str = policy) -> None:
        outside(s, s.workspace("owner"), by=policy)


for value in ("0", "", "true", "yes", " 1"):

    @T.fails(f"a fallback variable that is not 1 ({value!r})", "NO_WORKSPACE")
    def _(s: Scene, value: str = value) -> None:
        outside(s, s.workspace("owner"))
        s.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = value


@T.fails("an owner alone allows nothing", "NO_WORKSPACE")
def _(s: Scene) -> None:
    s.stand(s.folder / "outside")
    s.own(s.workspace("owner"))


@T.runs("the local workspace wins over an allowed owner")
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    s.stand(s.workspace("ws"))


for about, content, error in (
    ("an empty owner file", "", "OWNER_EMPTY"),
    ("a blank owner file", " \n\t\n", "OWNER_EMPTY"),
    ("an owner path that is relative", "some/ws\n", "OWNER_INVALID"),
    ("an owner path with a tilde", "~/ws\n", "OWNER_INVALID"),
    ("two owner paths", "/a\n/b\n", "OWNER_INVALID"),
    ("an owner file with a NUL", b"/a\0b\n", "OWNER_INVALID"),
    ("an owner file that is not UTF-8", b"/\xff\xfe\n", "OWNER_INVALID"),
    ("an owner that vanished", "/no/such/ws\n", "OWNER_VANISHED"),
    ("an owner that is no workspace", "/usr\n", "OWNER_NOT_A_WORKSPACE"),
    ("an owner file that is too large", "/" + "x" * 70000, "OWNER_UNREADABLE"),
):

    @T.fails(about, error)
    def _(s: Scene, content: bytes | str = content) -> None:
        outside(s, content)


@T.fails("no owner file", "OWNER_MISSING")
def _(s: Scene) -> None:
    outside(s, None)


@T.fails("no home", "OWNER_MISSING")
def _(s: Scene) -> None:
    outside(s, None)
    del s.env["HOME"]


@T.fails("an owner file that is a folder", "OWNER_UNREADABLE")
def _(s: Scene) -> None:
    outside(s, "")
    (s.home / ".rawr/global-rawr-owner-path").unlink()
    (s.home / ".rawr/global-rawr-owner-path").mkdir()


@T.fails("an owner file that is a link to nowhere", "OWNER_UNREADABLE")
def _(s: Scene) -> None:
    outside(s, "")
    (s.home / ".rawr/global-rawr-owner-path").unlink()
    (s.home / ".rawr/global-rawr-owner-path").symlink_to("nowhere")


@T.fails("an owner file that is a FIFO", "OWNER_UNREADABLE")
def _(s: Scene) -> None:
    outside(s, "")
    (s.home / ".rawr/global-rawr-owner-path").unlink()
    os.mkfifo(s.home / ".rawr/global-rawr-owner-path")


@T.runs("an owner file with a byte order mark and CRLF", "owner", by_twin=True)
def _(s: Scene) -> None:
    outside(s, f"\ufeff{s.workspace('owner')}\r\n")


@T.runs("an owner that is named through a link", "owner", by_twin=True)
def _(s: Scene) -> None:
    (s.folder / "link").symlink_to(s.workspace("owner"))
    outside(s, s.folder / "link")


@T.fails("an owner without a CLI", "OWNER_HAS_NO_CLI")
def _(s: Scene) -> None:
    outside(s, s.workspace("owner", cli=None))


@T.fails("an owner whose CLI is not executable", "CLI_NOT_EXECUTABLE", 126)
def _(s: Scene) -> None:
    owner = s.workspace("owner")
    s.cli(owner).chmod(0o600)
    outside(s, owner)


# -- trust ---------------------------------------------------------------------------------


def foreign(s: Scene, listed: str | None, name: str = "ws") -> Path:
    root = s.stand(s.workspace(name))
    s.give_away(root, s.cli(root))
    if listed is not None:
        s.dot_rawr("trusted-workspaces", listed.replace("{root}", str(root)))
    return root


@T.fails("a workspace of another user", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    foreign(s, None)


for about, listed in (
    ("listed", "{root}\n"),
    ("listed without a line end", "{root}"),
    ("listed among others", "/a\n\n/b\n{root}\n/c\n"),
):

    @T.runs(f"a workspace of another user that is {about}", root=True)
    def _(s: Scene, listed: str = listed) -> None:
        foreign(s, listed)


for about, listed in (
    ("listed with a slash", "{root}/\n"),
    ("above a listed one", "{root}/sub\n"),
    ("listed by a pattern", "/*\n"),
    ("listed with a space", " {root}\n"),
):

    @T.fails(f"a workspace of another user that is {about}", "WORKSPACE_NOT_TRUSTED", 126, root=True)
    def _(s: Scene, listed: str = listed) -> None:
        foreign(s, listed)


@T.fails("only the CLI is another user's", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    s.give_away(s.cli(s.stand(s.workspace("ws"))))


@T.fails("only the folder is another user's", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    s.give_away(s.stand(s.workspace("ws")))


@T.fails("another user's workspace that trusts itself", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = foreign(s, None)
    (root / ".rawr").mkdir()
    (root / ".rawr/trusted-workspaces").write_text(f"{root}\n")


@T.fails("a trust list that another user owns", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    foreign(s, "{root}\n")
    s.give_away(s.home / ".rawr/trusted-workspaces")


@T.fails("another user's workspace as the owner", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = foreign(s, None)
    outside(s, root)


@T.runs("a trusted workspace of another user named by a variable through a link", root=True, by_twin=True)
def _(s: Scene) -> None:
    root = foreign(s, "{root}\n")
    (s.folder / "link").symlink_to(root)
    s.stand(s.folder / "outside")
    s.env["RAWR_WORKSPACE_ROOT"] = str(s.folder / "link")


@T.fails("a link to another user's workspace whose spelling alone is listed", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = foreign(s, None)
    (s.folder / "link").symlink_to(root)
    s.dot_rawr("trusted-workspaces", f"{s.folder / 'link'}\n")
    s.env["RAWR_WORKSPACE_ROOT"] = str(s.folder / "link")


@T.fails("another user's workspace without a home for the list", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    foreign(s, "{root}\n")
    s.env["HOME"] = ""


for home in ("", "."):

    @T.fails(f"a home that is no absolute path ({home!r}) does not make this folder the home", "NO_WORKSPACE")
    def _(s: Scene, home: str = home) -> None:
        outside(s, s.workspace("owner"), by="enabled\n")
        s.stand(s.home)
        s.env["HOME"] = home

    @T.fails(f"such a home ({home!r}) lets no list here grant trust", "WORKSPACE_NOT_TRUSTED", 126, root=True)
    def _(s: Scene, home: str = home) -> None:
        root = foreign(s, "{root}\n")
        (s.home / ".rawr").rename(root / ".rawr")
        s.env["HOME"] = home


# Whose each thing is, and what is sticky: what decides which code runs must be the user's or root's.


def of_others(s: Scene, *names: str) -> Path:
    root = s.stand(s.workspace("ws"))
    s.give_away(*(root / name for name in names))
    return root


for name in ("apps", "apps/cli", "apps/cli/bin"):

    @T.fails(f"only {name} is another user's", "WORKSPACE_NOT_TRUSTED", 126, root=True)
    def _(s: Scene, name: str = name) -> None:
        of_others(s, name)


for name in (".", "apps", "apps/cli", "apps/cli/bin"):

    @T.fails(f"{name} is sticky", "WORKSPACE_NOT_TRUSTED", 126)
    def _(s: Scene, name: str = name) -> None:
        root = s.workspace("ws")
        (root / name).chmod(0o1777)
        s.stand(root / "sub")


@T.fails("a folder above the workspace is another user's", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("theirs/mine/ws"))
    s.give_away(s.folder / "theirs")


@T.runs("a folder above is sticky and the user's or root's", "ws")
def _(s: Scene) -> None:
    s.stand(s.workspace("shared/ws"))
    (s.folder / "shared").chmod(0o1777)


@T.runs("everything can be written by everybody, as a clone under umask 0000 leaves it", "ws")
def _(s: Scene) -> None:
    root = s.stand(s.workspace("open/ws"))
    for path in (s.folder / "open", root, *root.rglob("*")):
        path.chmod(0o777)


@T.runs("what is above the user's own home is not asked", root=True)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("homes/me/ws"))
    s.env["HOME"] = str(root.parent)
    s.give_away(s.folder / "homes")


@T.fails("above a home that is another user's, and in it", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("homes/me/ws"))
    s.env["HOME"] = str(root.parent)
    s.give_away(s.folder / "homes", root.parent)


@T.fails(
    "a home spelled through another user's link does not end the search",
    "WORKSPACE_NOT_TRUSTED",
    126,
    root=True,
)
def _(s: Scene) -> None:
    (s.folder / "theirs").mkdir()
    s.give_away(s.folder / "theirs")
    s.workspace("homes/me/ws")
    (s.folder / "theirs/link").symlink_to(s.folder / "homes")
    os.lchown(s.folder / "theirs/link", 65534, 65534)
    s.env |= {"HOME": f"{s.folder}/theirs/link/me", "RAWR_HQ_ROOT": f"{s.folder}/theirs/link/me/ws"}


@T.runs("apps is a link of the user's to a folder of the user's", by_twin=True)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws"))
    (root / "apps").rename(s.folder / "elsewhere")
    (root / "apps").symlink_to(s.folder / "elsewhere")


@T.fails("apps is a link into a folder whose parent is another user's", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws"))
    (s.folder / "theirs").mkdir()
    (root / "apps").rename(s.folder / "theirs/apps")
    (root / "apps").symlink_to(s.folder / "theirs/apps")
    s.give_away(s.folder / "theirs")


@T.fails("apps is another user's link", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws"))
    (root / "apps").rename(s.folder / "elsewhere")
    (root / "apps").symlink_to(s.folder / "elsewhere")
    os.lchown(root / "apps", 65534, 65534)


@T.fails("the CLI's real file is another user's", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    root = s.stand(s.workspace("ws"))
    s.cli(root).rename(s.folder / "real-cli")
    s.cli(root).symlink_to(s.folder / "real-cli")
    s.give_away(s.folder / "real-cli")


# -- the current folder, from which Bun loads settings --------------------------------------


@T.fails("the current folder is another user's", "CWD_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    s.give_away(s.stand(s.workspace("ws") / "theirs"))


@T.fails("the current folder is sticky", "CWD_NOT_TRUSTED", 126)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws") / "drop").chmod(0o1777)


@T.fails("the current folder is another user's, the workspace named by a variable", "CWD_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    s.env["RAWR_WORKSPACE_ROOT"] = str(s.workspace("ws"))
    s.give_away(s.stand(s.folder / "theirs"))


@T.runs("the current folder is another user's, inside a granted place", root=True)
def _(s: Scene) -> None:
    root = s.workspace("ws")
    s.give_away(s.stand(root / "theirs"))
    s.dot_rawr("trusted-workspaces", f"{root}\n")


@T.runs("only the current folder is granted", root=True, by_twin=True)
def _(s: Scene) -> None:
    s.give_away(s.stand(s.workspace("ws") / "theirs"))
    s.env["RAWR_TRUSTED_WORKSPACES"] = str(s.cwd)


@T.fails("the fallback in a sticky folder", "CWD_NOT_TRUSTED", 126)
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    s.cwd.chmod(0o1777)


@T.fails("the fallback in another user's folder", "CWD_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    s.give_away(s.cwd)


# -- grants ------------------------------------------------------------------------------------

for about, value in (
    ("names it", "{root}"),
    ("names it among others", "/a:{root}:/b"),
    ("names a folder above", "{folder}"),
    ("is a star", "*"),
    ("is a star among others", "/a:*"),
    ("is a slash", "/"),
):

    @T.runs(f"a workspace of another user, RAWR_TRUSTED_WORKSPACES {about}", root=True)
    def _(s: Scene, value: str = value) -> None:
        root = foreign(s, None)
        s.env["RAWR_TRUSTED_WORKSPACES"] = value.replace("{root}", str(root)).replace("{folder}", str(s.folder))


for about, value in (
    ("is empty", ""),
    ("holds empty elements", "::"),
    ("ends in a slash", "{root}/"),
    ("is relative", "ws:.:.."),
    ("has dots in it", "{root}/.:{root}/../ws"),
    ("names a folder inside", "{root}/apps"),
    ("is only a beginning of its name", "{folder}/w"),
    ("is a pattern", "{folder}/*:/*:?*"),
):

    @T.fails(f"a workspace of another user, RAWR_TRUSTED_WORKSPACES {about}", "WORKSPACE_NOT_TRUSTED", 126, root=True)
    def _(s: Scene, value: str = value) -> None:
        root = foreign(s, None)
        s.env["RAWR_TRUSTED_WORKSPACES"] = value.replace("{root}", str(root)).replace("{folder}", str(s.folder))


@T.fails(
    "a workspace of another user, whose path RAWR_TRUSTED_WORKSPACES says in two",
    "WORKSPACE_NOT_TRUSTED",
    126,
    root=True,
)
def _(s: Scene) -> None:
    root = foreign(s, None, "x:/y")
    s.env["RAWR_TRUSTED_WORKSPACES"] = str(root)  # the two elements …/x and /y


@T.runs(
    "a workspace of another user with a colon in its path, RAWR_TRUSTED_WORKSPACES names a folder above", "y", root=True
)
def _(s: Scene) -> None:
    foreign(s, None, "x:/y")
    s.env["RAWR_TRUSTED_WORKSPACES"] = str(s.folder)


for about, listed in (("a folder above it is listed", "{folder}\n"), ("the list says /", "/\n")):

    @T.runs(f"a workspace of another user, {about}", root=True)
    def _(s: Scene, listed: str = listed) -> None:
        foreign(s, listed.replace("{folder}", str(s.folder)))


for about, listed in (("only a beginning of its name is listed", "{folder}/w\n"), ("the list says *", "*\n")):

    @T.fails(f"a workspace of another user, {about}", "WORKSPACE_NOT_TRUSTED", 126, root=True)
    def _(s: Scene, listed: str = listed) -> None:
        foreign(s, listed.replace("{folder}", str(s.folder)))


@T.runs("a variable's grant covers the owner", "ws", root=True, by_twin=True)
def _(s: Scene) -> None:
    root = foreign(s, None)
    outside(s, root)
    s.env["RAWR_TRUSTED_WORKSPACES"] = str(root)


def unbelieved(s: Scene, how: str) -> None:
    """The files of ~/.rawr do not count: whoever made this could have put them there."""
    folder = s.home / ".rawr"
    if how.endswith("sticky"):
        (folder if "folder" in how else s.home).chmod(0o1777)
    else:
        s.give_away(folder if "folder" in how else s.home)


for how in ("the folder is another user's", "home is another user's", "the folder is sticky", "home is sticky"):

    @T.fails(f"a trust list does not count where {how}", "WORKSPACE_NOT_TRUSTED", 126, root=True)
    def _(s: Scene, how: str = how) -> None:
        foreign(s, "{root}\n")
        unbelieved(s, how)

    @T.fails(f"a policy file does not count where {how}", "NO_WORKSPACE", root=True)
    def _(s: Scene, how: str = how) -> None:
        outside(s, s.workspace("owner"), by="enabled\n")
        unbelieved(s, how)

    @T.fails(f"an owner file does not count where {how}", "OWNER_UNREADABLE", root=True)
    def _(s: Scene, how: str = how) -> None:
        outside(s, s.workspace("owner"))
        unbelieved(s, how)


@T.fails("an owner file of another user does not count", "OWNER_UNREADABLE", root=True)
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    s.give_away(s.home / ".rawr/global-rawr-owner-path")


# -- containers and CI ---------------------------------------------------------------------------


def belongs_to(s: Scene, user: int, *folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.lchown(path, user, user)


def forge_job(s: Scene) -> None:
    s.stand(s.workspace("__w/repo/ws"))
    belongs_to(s, 1001, s.folder / "__w", s.home)


@T.fails("a forge's container job: root, everything of uid 1001", "WORKSPACE_NOT_TRUSTED", 126, root=True)
def _(s: Scene) -> None:
    forge_job(s)


@T.runs("a forge's container job with its one line", root=True)
def _(s: Scene) -> None:
    forge_job(s)
    s.env["RAWR_TRUSTED_WORKSPACES"] = "*"


@T.runs("a dev container whose bind-mounted files are somebody else's, with its one line", root=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("workspaces/ws"))
    belongs_to(s, 501, s.folder / "workspaces")
    s.env["RAWR_TRUSTED_WORKSPACES"] = str(s.folder / "workspaces")


@T.runs("an image that copies as root and runs as another user", root=True, by_twin=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws"))
    s.user = 65534


@T.runs("an arbitrary uid whose home cannot be written, with its one line", root=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws"))
    s.user = 65534
    s.env |= {"HOME": "/", "RAWR_TRUSTED_WORKSPACES": "/"}


@T.runs("a parent that everybody can write without a sticky bit", root=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("data/ws"))
    (s.folder / "data").chmod(0o777)


# -- "I cannot look" is not "there is nothing" -------------------------------------------------------


for name in ("apps", "apps/cli", "apps/cli/bin"):

    @T.fails(f"an inner workspace's {name} cannot be entered", "CANNOT_SEARCH", root=True)
    def _(s: Scene, name: str = name) -> None:
        outer = s.workspace("outer")
        inner = s.workspace("outer/inner")
        s.stand(inner / "sub")
        belongs_to(s, 65534, outer)
        (inner / name).chmod(0)
        s.user = 65534

    @T.fails(f"an inner workspace's {name} is a link into a folder that cannot be entered", "CANNOT_SEARCH", root=True)
    def _(s: Scene, name: str = name) -> None:
        outer, inner = s.workspace("outer"), s.workspace("outer/inner")
        closed = s.folder / "closed"
        closed.mkdir(0o700)
        (inner / name).rename(closed / "it")
        (inner / name).symlink_to(closed / "it")
        s.stand(inner / "sub")
        belongs_to(s, 65534, outer)
        s.user = 65534


@T.fails("an inner folder cannot be entered, and the fallback is allowed", "CANNOT_SEARCH", root=True)
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    root = s.workspace("ws")
    s.stand(root / "sub")
    belongs_to(s, 65534, root, s.home, s.folder / "owner")
    root.chmod(0)
    s.user = 65534


# -- variables -----------------------------------------------------------------------------

for variable in ("RAWR_WORKSPACE_ROOT", "RAWR_HQ_ROOT"):

    @T.runs(f"{variable} names the workspace", "named")
    def _(s: Scene, variable: str = variable) -> None:
        s.stand(s.workspace("ws"))
        s.env[variable] = str(s.workspace("named"))

    @T.runs(f"{variable} is empty, which is unset")
    def _(s: Scene, variable: str = variable) -> None:
        s.stand(s.workspace("ws"))
        s.env[variable] = ""

    @T.fails(f"{variable} names no folder", "BAD_WORKSPACE_VARIABLE")
    def _(s: Scene, variable: str = variable) -> None:
        s.stand(s.workspace("ws"))
        s.env[variable] = "/no/such/ws"


@T.runs("RAWR_WORKSPACE_ROOT goes before RAWR_HQ_ROOT", "first")
def _(s: Scene) -> None:
    s.env |= {"RAWR_WORKSPACE_ROOT": str(s.workspace("first")), "RAWR_HQ_ROOT": str(s.workspace("second"))}


@T.fails("a bad RAWR_WORKSPACE_ROOT is not saved by a good RAWR_HQ_ROOT", "BAD_WORKSPACE_VARIABLE")
def _(s: Scene) -> None:
    s.env |= {"RAWR_WORKSPACE_ROOT": "/no", "RAWR_HQ_ROOT": str(s.workspace("second"))}


@T.runs("an empty RAWR_WORKSPACE_ROOT lets RAWR_HQ_ROOT speak", "second")
def _(s: Scene) -> None:
    s.env |= {"RAWR_WORKSPACE_ROOT": "", "RAWR_HQ_ROOT": str(s.workspace("second"))}


for about, value in (
    ("a final slash", "{root}/"),
    ("a relative path", "../ws"),
    ("doubled slashes", "{folder}//ws"),
    ("dots", "{root}/plugins/../."),
):

    @T.runs(f"RAWR_WORKSPACE_ROOT with {about}", by_twin=about != "a final slash")
    def _(s: Scene, value: str = value) -> None:
        root = s.workspace("ws")
        s.stand(s.folder / "outside")
        s.env["RAWR_WORKSPACE_ROOT"] = value.replace("{root}", str(root)).replace("{folder}", str(s.folder))


@T.runs("RAWR_WORKSPACE_ROOT that goes through a link and up again", by_twin=True)
def _(s: Scene) -> None:
    (s.workspace("ws") / "sub").mkdir()
    s.workspace("decoy")
    (s.folder / "decoy/link").symlink_to(s.folder / "ws/sub")
    s.env["RAWR_WORKSPACE_ROOT"] = f"{s.folder}/decoy/link/.."


@T.fails("RAWR_WORKSPACE_ROOT names a look-alike", "BAD_WORKSPACE_VARIABLE")
def _(s: Scene) -> None:
    s.env["RAWR_WORKSPACE_ROOT"] = str(s.workspace("alike", cli=None))


@T.fails("RAWR_WORKSPACE_ROOT names a folder inside a workspace", "BAD_WORKSPACE_VARIABLE")
def _(s: Scene) -> None:
    s.env["RAWR_WORKSPACE_ROOT"] = str(s.workspace("ws") / "plugins")


for missing in ("package.json", "plugins"):

    @T.fails(f"RAWR_WORKSPACE_ROOT names a folder with a CLI but no {missing}", "BAD_WORKSPACE_VARIABLE")
    def _(s: Scene, missing: str = missing) -> None:
        root = s.workspace("ws")
        (root / missing).rename(root / "elsewhere")
        s.env["RAWR_WORKSPACE_ROOT"] = str(root)


@T.fails("a bad variable is an error for --version too", "BAD_WORKSPACE_VARIABLE")
def _(s: Scene) -> None:
    s.env["RAWR_HQ_ROOT"] = "/no"
    s.argv = ["--version"]


@T.fails("an allowed owner does not hide a bad variable", "BAD_WORKSPACE_VARIABLE")
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    s.env["RAWR_HQ_ROOT"] = "nowhere"


# -- words ---------------------------------------------------------------------------------

for about, argv in (
    ("none", []),
    ("--version", ["--version"]),
    ("--help", ["--help"]),
    ("doctor alone", ["doctor"]),
    ("doctor with another topic", ["doctor", "workspace"]),
    ("a toolkit verb in second place", ["run", "install"]),
    ("a word that only begins like a verb", ["installer"]),
    ("empty strings", ["", "", ""]),
    ("spaces and newlines", [" ", "a b", "\n", "c\n"]),
    ("glob characters", ["*", "?", "[a-z]", "~", "{a,b}"]),
    ("quotes, backslashes and dollars", ["'", '"', "\\", "\\n", "$HOME", "`id`", "$(id)"]),
    ("options", ["-x", "--", "--flag=1", "-"]),
    ("bytes that are not UTF-8", [os.fsdecode(b"\xff\xfe")]),
    ("a thousand", [str(n) for n in range(1000)]),
):

    @T.runs(f"words in a workspace: {about}", raw_bytes="UTF-8" in about)
    def _(s: Scene, argv: list[str] = argv) -> None:
        s.stand(s.workspace("ws"))
        s.argv = list(argv)


for about, argv in (
    ("alone", ["--"]),
    ("before a toolkit verb", ["--", "install", "--json"]),
    ("before doctor global", ["--", "doctor", "global"]),
    ("before --version", ["--", "--version"]),
    ("twice", ["--", "--", "x"]),
    ("before an empty string", ["--", ""]),
):

    @T.runs(f"-- {about} sends the rest to the workspace CLI", words=tuple(argv[1:]))
    def _(s: Scene, argv: list[str] = argv) -> None:
        s.stand(s.workspace("ws"))
        s.argv = list(argv)


@T.fails("-- outside a workspace is not the toolkit's", "NO_WORKSPACE")
def _(s: Scene) -> None:
    s.argv = ["--", "--version"]


@T.runs("-- outside a workspace goes to an allowed owner", "owner", words=("install",))
def _(s: Scene) -> None:
    outside(s, s.workspace("owner"))
    s.argv = ["--", "install"]


for argv in ([], ["--help"], ["--version"]):

    @T.says(f"outside a workspace: rawr {' '.join(argv)}")
    def _(s: Scene, argv: list[str] = argv) -> None:
        s.argv = list(argv)

    @T.runs(f"outside a workspace with an allowed owner: rawr {' '.join(argv)}", "owner")
    def _(s: Scene, argv: list[str] = argv) -> None:
        outside(s, s.workspace("owner"))
        s.argv = list(argv)


for argv in (["install"], ["uninstall"], ["activate"], ["deactivate"], ["rollback"], ["which"], ["doctor", "global"]):

    @T.says(f"{' '.join(argv)} is the toolkit's", f"Usage: rawr-install {' '.join(argv)} ", begins=True)
    def _(s: Scene, argv: list[str] = argv) -> None:
        s.stand(s.workspace("ws"))
        s.argv = [*argv, "--help"]


@T.says("a toolkit verb outside a workspace", "Usage: rawr-install install ", begins=True)
def _(s: Scene) -> None:
    s.argv = ["install", "--help"]


@T.says("a toolkit verb does not mind a bad variable", "Usage: rawr-install install ", begins=True)
def _(s: Scene) -> None:
    s.env["RAWR_WORKSPACE_ROOT"] = "/no"
    s.argv = ["install", "--help"]


@T.says("doctor:global is the toolkit's", "Usage: rawr-install doctor global ", begins=True)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws"))
    s.argv = ["doctor:global", "--help"]


@T.fails("a wrong option of a toolkit verb is the toolkit's error", "USAGE", 2)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws"))
    s.argv = ["install", "--no-such-option"]


# -- rawr and itself -------------------------------------------------------------------------


def as_cli(s: Scene, how: Callable[[Path, Path], object]) -> None:
    """Make the workspace CLI of rawr's own entry; the entry is only written when the case runs."""
    root = s.stand(s.workspace("ws", cli=None))
    s.finish = lambda entry: how(entry, s.cli(root))


@T.fails("the CLI is a link to this entry", "SELF_EXEC", 126)
def _(s: Scene) -> None:
    as_cli(s, lambda entry, cli: cli.symlink_to(s.shim(entry)))


@T.fails("the CLI is a hard link to this entry", "SELF_EXEC", 126)
def _(s: Scene) -> None:
    as_cli(s, lambda entry, cli: os.link(s.shim(entry), cli))


@T.fails("the CLI is a copy of this entry", "SELF_EXEC", 126)
def _(s: Scene) -> None:
    as_cli(s, lambda entry, cli: (cli.write_bytes(s.shim(entry).read_bytes()), cli.chmod(0o755)))


@T.fails("the CLI execs rawr again and again", "DISPATCH_LOOP", 126)
def _(s: Scene) -> None:
    s.stand(s.workspace("ws", cli='#!/bin/sh\nexec rawr "$@"\n'))


@T.runs("the CLI execs rawr once, in another workspace", "second")
def _(s: Scene) -> None:
    second = s.workspace("second")
    s.stand(s.workspace("ws", cli=f'#!/bin/sh\ncd "{second}" && exec rawr "$@"\n'))


@T.says("the CLI calls rawr as a child, twenty deep", "deep 20\n")
def _(s: Scene) -> None:
    cli = '#!/bin/sh\n[ "$1" = 20 ] && { echo deep $1; exit; }\nrawr $(($1 + 1))\nexit $?\n'
    s.stand(s.workspace("ws", cli=cli))
    s.argv = ["1"]


@T.runs("a mark left by another process is no loop")
def _(s: Scene) -> None:
    s.stand(s.workspace("ws"))
    s.env["RAWR_DISPATCH_GUARD"] = "1:" + "x" * 50


for value in ("0", "", "11"):

    @T.runs(f"a trace variable that is not 1 ({value!r})")
    def _(s: Scene, value: str = value) -> None:
        s.stand(s.workspace("ws"))
        s.env["RAWR_TRACE"] = value

    @T.says(
        f"a toolkit verb with a trace variable that is not 1 ({value!r})", "Usage: rawr-install install", begins=True
    )
    def _(s: Scene, value: str = value) -> None:
        s.stand(s.workspace("ws"))
        s.argv = ["install", "--help"]
        s.env["RAWR_TRACE"] = value


# -- tracing changes nothing ------------------------------------------------------------------


@T.runs("tracing in a workspace")
def _(s: Scene) -> None:
    s.stand(s.workspace("ws") / "sub")
    s.env["RAWR_TRACE"] = "1"


@T.fails("tracing outside", "NO_WORKSPACE")
def _(s: Scene) -> None:
    s.env["RAWR_TRACE"] = "1"


# -- an entry and a toolkit of different ages ------------------------------------------------------


def aged(s: Scene, protocol: str | None) -> None:
    """Make the entry one that hands over by ``protocol``; None: one from before there was a number."""

    def edit(text: str) -> str:
        was, handed = "_rawr_protocol=1\n", '  export RAWR_ENTRY_PROTOCOL="$_rawr_protocol"\n'
        assert was in text and handed in text
        return text.replace(was, f"_rawr_protocol={protocol}\n") if protocol else text.replace(handed, "")

    s.edit_entry = edit


def by_link(s: Scene) -> None:
    """Stand in a workspace that the entry leaves to the toolkit."""
    root = s.stand(s.workspace("ws"))
    s.cli(root).rename(s.folder / "real-cli")
    s.cli(root).symlink_to(s.folder / "real-cli")


# A toolkit from before there was a number looks at no variable.
OLD_TOOLKIT = TOOLKIT.replace("import sys\n", "import os, sys\ndel os.environ['RAWR_ENTRY_PROTOCOL']\n")


@T.runs("an entry without a protocol, and this toolkit", by_twin=True)
def _(s: Scene) -> None:
    aged(s, None)
    by_link(s)


@T.fails("an entry without a protocol, and this toolkit, outside", "NO_WORKSPACE")
def _(s: Scene) -> None:
    aged(s, None)


@T.runs("this entry, and a toolkit that knows no protocol", entry_only=True, by_twin=True)
def _(s: Scene) -> None:
    s.toolkit = OLD_TOOLKIT
    by_link(s)


@T.fails("this entry, and a toolkit that knows no protocol, outside", "NO_WORKSPACE", entry_only=True)
def _(s: Scene) -> None:
    s.toolkit = OLD_TOOLKIT


@T.fails("an entry of a later protocol, and this toolkit", "ENTRY_NEWER", 126, entry_only=True)
def _(s: Scene) -> None:
    aged(s, "99")
    by_link(s)


@T.fails("an entry of a later protocol, and this toolkit, outside", "ENTRY_NEWER", 126, entry_only=True)
def _(s: Scene) -> None:
    aged(s, "99")


@T.runs("an entry of a later protocol where it needs no toolkit")
def _(s: Scene) -> None:
    aged(s, "99")
    s.stand(s.workspace("ws"))


@T.says("a toolkit verb from an entry of a later protocol", "Usage: rawr-install install ", begins=True)
def _(s: Scene) -> None:
    aged(s, "99")
    s.argv = ["install", "--help"]


# -- whose the toolkit is ---------------------------------------------------------------------------


def toolkit_of_another(s: Scene, *parts: str) -> None:
    """The toolkit beside the entry, or its folder, is another user's, and there is no second one."""
    s.finish = lambda entry: s.give_away(*filter(Path.exists, (entry.parent / part for part in parts)))


for parts in (("rawr-install",), (".",), (".", "rawr-install")):
    about = " and ".join("the folder" if part == "." else "the file" for part in parts)

    @T.fails(f"{about} of the toolkit is another user's", "TOOLKIT_NOT_YOURS", root=True, entry_only=True)
    def _(s: Scene, parts: tuple[str, ...] = parts) -> None:
        toolkit_of_another(s, *parts)

    @T.fails(f"a toolkit verb, and {about} is another user's", "TOOLKIT_NOT_YOURS", root=True, entry_only=True)
    def _(s: Scene, parts: tuple[str, ...] = parts) -> None:
        toolkit_of_another(s, *parts)
        s.argv = ["install"]


@T.fails("the toolkit lies in a sticky folder", "TOOLKIT_NOT_YOURS", entry_only=True)
def _(s: Scene) -> None:
    s.bin.chmod(0o1777)


@T.runs("a workspace of the user's, whosoever the toolkit is", root=True)
def _(s: Scene) -> None:
    toolkit_of_another(s, ".", "rawr-install")
    s.stand(s.workspace("ws"))


def planted(s: Scene, folder: Path) -> None:
    """The only rawr-install is one that nobody may start."""
    s.toolkit = ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rawr-install").write_text("#!/bin/sh\necho stolen\n")
    (folder / "rawr-install").chmod(0o755)
    s.argv = ["install"]


@T.fails("the toolkit of a HOME that is another user's", "TOOLKIT_NOT_YOURS", root=True, entry_only=True)
def _(s: Scene) -> None:
    planted(s, s.home / ".local/bin")
    belongs_to(s, 65534, s.home)


@T.fails("a link in another user's HOME to a program of root's", "TOOLKIT_NOT_YOURS", root=True, entry_only=True)
def _(s: Scene) -> None:
    planted(s, s.home / ".local/bin")
    (s.home / ".local/bin/rawr-install").unlink()
    (s.home / ".local/bin/rawr-install").symlink_to("/bin/echo")
    belongs_to(s, 65534, s.home)


for home in ("", ".", "home"):

    @T.fails(f"a toolkit below a HOME that is no absolute path ({home!r})", "TOOLKIT_GONE", entry_only=True)
    def _(s: Scene, home: str = home) -> None:
        planted(s, s.folder / home / ".local/bin")
        s.env["HOME"] = home


for element in ("", ".", "here"):

    @T.fails(f"a toolkit in a folder of PATH that is no absolute path ({element!r})", "TOOLKIT_GONE", entry_only=True)
    def _(s: Scene, element: str = element) -> None:
        planted(s, s.folder / element)
        s.env["PATH"] += f":{element}"


@T.fails("a toolkit on PATH that is another user's", "TOOLKIT_NOT_YOURS", root=True, entry_only=True)
def _(s: Scene) -> None:
    planted(s, s.folder / "theirs")
    belongs_to(s, 65534, s.folder / "theirs")
    s.env["PATH"] += f":{s.folder}/theirs"


@T.says("a toolkit of root's, for another user", "toolkit install\n", root=True, entry_only=True)
def _(s: Scene) -> None:
    s.user = 65534
    s.toolkit = "#!/bin/sh\necho toolkit $*\n"
    s.argv = ["install"]


# -- without the toolkit's Python ----------------------------------------------------------------

LONG = "#!/bin/sh\n'''exec' \"/no such/python\" \"$0\" \"$@\"\n' '''\n"
TOOLKITS = {
    "was removed": "",
    "lost its interpreter": "#!/no/such/python\n",
    "lost its interpreter of a long path": LONG,
}
for about, toolkit in TOOLKITS.items():

    @T.runs(f"dispatch when the toolkit {about}", entry_only=True)
    def _(s: Scene, toolkit: str = toolkit) -> None:
        s.toolkit = toolkit
        s.stand(s.workspace("ws") / "sub")

    @T.runs(f"tracing when the toolkit {about}", entry_only=True)
    def _(s: Scene, toolkit: str = toolkit) -> None:
        s.toolkit = toolkit
        s.stand(s.workspace("ws") / "sub")
        s.env["RAWR_TRACE"] = "1"

    @T.fails(f"no workspace when the toolkit {about}", "TOOLKIT_GONE", entry_only=True)
    def _(s: Scene, toolkit: str = toolkit) -> None:
        s.toolkit = toolkit

    @T.fails(f"a CLI that is not executable when the toolkit {about}", "TOOLKIT_GONE", 126, entry_only=True)
    def _(s: Scene, toolkit: str = toolkit) -> None:
        s.toolkit = toolkit
        s.cli(s.stand(s.workspace("ws"))).chmod(0o644)

    for verb in (["install"], ["which"], ["doctor", "global"], ["doctor:global"]):

        @T.fails(f"{' '.join(verb)} when the toolkit {about}", "TOOLKIT_GONE", entry_only=True)
        def _(s: Scene, toolkit: str = toolkit, verb: list[str] = verb) -> None:
            s.toolkit = toolkit
            s.argv = list(verb)
            s.stand(s.workspace("ws"))
