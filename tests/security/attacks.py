"""The attacks, one table: what they prepare and I do, and the code path that stops it.

An attack returns whether it was a success. ``code`` is what I am told then. ``stopped_by`` are the checks, each as a
change of one line that takes it away: ``test_attacks`` shows that the attack succeeds without it, or is no longer told
by its code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.security.scene import THEM, Scene
from tests.support.machine import Ran
from tests.support.plugins import make_linkable

TRUST, WORKSPACE, SHIM = "dispatch/trust.py", "dispatch/workspace.py", "shims/rawr"


@dataclass(frozen=True)
class Check:
    """One check in one file of the package (or the shell entry), and the file without it."""

    file: str
    line: str
    without: str


@dataclass(frozen=True)
class Attack:
    """A row; ``number`` is that of the kind."""

    number: int
    sentence: str
    code: str
    stopped_by: tuple[Check, ...]
    succeeds: Callable[[Scene], tuple[bool, Ran]]


ATTACKS: list[Attack] = []
Play = Callable[[Scene], tuple[bool, Ran]]


def attack(number: int, sentence: str, code: str, *stopped_by: Check) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        ATTACKS.append(Attack(number, sentence, code, stopped_by, play))
        return play

    return add


# -- 1: who decides what runs ------------------------------------------------------------

FOREIGN = Check(
    TRUST, "        if not _is_safe(path, info):\n            return path", "        if False:\n            return path"
)
STICKY = Check(
    TRUST,
    "        if is_sticky(info):\n            return folder",
    "        if False:\n            return folder",
)
PARTS = {
    "the root": ("", ' "${_rawr_root:-/}"', ""),
    "apps": ("apps", ' "$_rawr_p" "$_rawr_p/cli"', ' "$_rawr_p/cli"'),
    "apps/cli": ("apps/cli", ' "$_rawr_p/cli" ', " "),
    "apps/cli/bin": ("apps/cli/bin", ' "$_rawr_p/cli/bin"; do', "; do"),
}


def ran(scene: Scene, done: Ran) -> tuple[bool, Ran]:
    return scene.robbed, done


def inside(scene: Scene) -> Scene:
    scene.checkout(scene.home / "ws")
    scene.folder_of_mine(scene.home / "ws/here")
    return scene


def _part_of_theirs(name: str) -> None:
    part, line, without = PARTS[name]

    @attack(1, f"{name} of my workspace is theirs", "WORKSPACE_NOT_TRUSTED", FOREIGN, Check(SHIM, line, without))
    def _(scene: Scene) -> tuple[bool, Ran]:
        os.chown(inside(scene).home / "ws" / part, THEM, THEM)
        return ran(scene, scene.rawr("build", cwd=scene.home / "ws/here"))

    sticky = Check(SHIM, '[ -O "$_rawr_p" ] && ! [ -k "$_rawr_p" ] && ', '[ -O "$_rawr_p" ] && ')

    @attack(1, f"{name} is mine and sticky: they have put files there", "WORKSPACE_NOT_TRUSTED", STICKY, sticky)
    def _(scene: Scene) -> tuple[bool, Ran]:
        (inside(scene).home / "ws" / part).chmod(0o1777)
        return ran(scene, scene.rawr("build", cwd=scene.home / "ws/here"))


for _name in PARTS:
    _part_of_theirs(_name)


@attack(
    1,
    "the CLI is theirs",
    "WORKSPACE_NOT_TRUSTED",
    FOREIGN,
    Check(SHIM, '[ -O "$_rawr_cli" ] && ! [', "! ["),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    os.chown(inside(scene).home / "ws/apps/cli/bin/run.js", THEM, THEM)
    return ran(scene, scene.rawr("build", cwd=scene.home / "ws/here"))


@attack(
    1,
    "a folder above is theirs: they exchange names",
    "WORKSPACE_NOT_TRUSTED",
    FOREIGN,
    Check(SHIM, '    [ -O "$_rawr_p" ] || return\n', ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    scene.checkout(scene.home / "shared/ws")
    os.chown(scene.home / "shared", THEM, THEM)
    return ran(scene, scene.rawr("build", cwd=scene.folder_of_mine(scene.home / "shared/ws/here")))


@attack(
    1,
    "apps is a link into a folder whose parent is theirs",
    "WORKSPACE_NOT_TRUSTED",
    Check(TRUST, "        if target:\n", "        if False:\n"),
    Check(SHIM, ' && ! [ -h "$_rawr_p" ] || return', " || return"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    apps = inside(scene).home / "ws/apps"
    shutil.move(apps, scene.theirs / "apps")
    apps.symlink_to(scene.theirs / "apps")
    scene.mine(apps)
    return ran(scene, scene.rawr("build", cwd=scene.home / "ws/here"))


@attack(1, "apps is a link of theirs to another workspace of mine", "WORKSPACE_NOT_TRUSTED", FOREIGN)
def _(scene: Scene) -> tuple[bool, Ran]:
    other = scene.checkout(inside(scene).home / "other")
    shutil.rmtree(scene.home / "ws/apps")
    (scene.home / "ws/apps").symlink_to(other / "apps")
    os.lchown(scene.home / "ws/apps", THEM, THEM)
    return ran(scene, scene.rawr("build", cwd=scene.home / "ws/here"))


REFUSAL = Check(
    "install/policy.py", "    if refusal is not None:\n        raise refusal", "    if False:\n        raise refusal"
)


@attack(1, "I activate a workspace of theirs", "WORKSPACE_NOT_TRUSTED", Check(TRUST, FOREIGN.line, FOREIGN.without))
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.theirs / "ws", THEM)
    done = scene.toolkit("activate", root, "--yes")
    return scene.owner_file.exists(), done


@attack(1, "I change the state of a workspace that everybody can write", "WORKSPACE_WRITABLE", REFUSAL)
def _(scene: Scene) -> tuple[bool, Ran]:
    root = inside(scene).home / "ws"
    root.chmod(0o777)
    done = scene.toolkit("state", "enable", "x", cwd=root)
    return (root / ".rawr").exists(), done


# -- 2: what grants ------------------------------------------------------------------------


@attack(
    2,
    "a grant by an element of the variable that is empty, relative or a dot",
    "WORKSPACE_NOT_TRUSTED",
    Check(
        TRUST,
        'environ.get(GRANT_VARIABLE, "").split(":")',
        '[os.path.realpath(x) for x in environ.get(GRANT_VARIABLE, "").split(":")]',
    ),
    Check(SHIM, '*:"${_rawr_p:-/}":*', '*:"$_rawr_p":*'),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    scene.checkout(scene.home / "ws", THEM)
    here = scene.folder_of_mine(scene.home / "ws/here")
    for elements in (":", "::", "..", ".", "../ws", "ws", f"{scene.home}/ws/", f"{scene.home}/w"):
        done = scene.rawr("build", cwd=here, env={"RAWR_TRUSTED_WORKSPACES": elements})
        if scene.robbed:
            break
    return ran(scene, done)


@attack(
    2,
    "the path of their workspace reads like two elements of the variable",
    "WORKSPACE_NOT_TRUSTED",
    FOREIGN,
    Check(SHIM, "case $_rawr_p in *:*) ;; *) return 0 ;; esac ;;", "return 0 ;;"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.home / "a:/b", THEM)
    here = scene.folder_of_mine(root / "here")
    return ran(scene, scene.rawr("build", cwd=here, env={"RAWR_TRUSTED_WORKSPACES": str(root)}))


@attack(
    2,
    "I grant a place that they can exchange",
    "PLACE_NOT_SAFE",
    Check("install/policy.py", "    if (who or root == os.sep) and not force:", "    if False:"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    scene.checkout(scene.theirs / "ws")
    done = scene.toolkit("trust", "add", scene.theirs / "ws")
    return (scene.home / ".rawr/trusted-workspaces").exists(), done


# -- 3: records of another user --------------------------------------------------------------


@attack(
    3,
    "the records of the state folder are theirs: as I change something, a pending one is carried out",
    "STATE_DIR_NOT_YOURS",
    Check("machine/ownership.py", "    if why is None:\n", "    if True:\n"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    a, b = scene.checkout(scene.home / "a"), scene.checkout(scene.home / "b")
    for root in (a, b):
        scene.toolkit("activate", root, "--yes")
    state = scene.home / ".local/state/rawr"
    document = json.loads((state / "history.json").read_text())
    document["records"][-1]["status"] = "pending"
    scene.file(state / "history.json", json.dumps(document), THEM)
    done = scene.toolkit("fallback", "enable")
    return (scene.home / ".rawr/global-owner-fallback").exists(), done


# -- 4: the current folder -------------------------------------------------------------------

CWD = Check(TRUST, "    if not is_ours(info):\n        return cwd", "    if False:\n        return cwd")
CWD_STICKY = Check(TRUST, "    if is_sticky(info):\n        return cwd", "    if False:\n        return cwd")


def _in_a_folder(scene: Scene, mode: int, user: int) -> tuple[bool, Ran]:
    own = scene.checkout(scene.home / "own")
    scene.file(scene.owner_file, f"{own}\n")
    scene.mine(scene.owner_file.parent)
    here = scene.home / "drop"
    scene.file(here / "bunfig.toml", 'preload = ["./evil.ts"]\n', THEM)
    here.chmod(mode)
    os.chown(here, user, user)
    return ran(scene, scene.rawr("build", cwd=here, env={"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"}))


@attack(
    4,
    "I stand in a folder of theirs, whose bunfig.toml Bun loads",
    "CWD_NOT_TRUSTED",
    CWD,
    Check(SHIM, "for _rawr_p in . ", "for _rawr_p in "),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _in_a_folder(scene, 0o755, THEM)


@attack(
    4,
    "I stand in a sticky folder of mine, with their bunfig.toml",
    "CWD_NOT_TRUSTED",
    CWD_STICKY,
    Check(SHIM, "for _rawr_p in . ", "for _rawr_p in "),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _in_a_folder(scene, 0o1777, scene.me)


# -- 5: where the shell entry looks for the toolkit ----------------------------------------------


@attack(
    5,
    "HOME is relative, so that what stands here is taken for my toolkit",
    "TOOLKIT_GONE",
    Check(SHIM, 'case $_rawr_t in /*) [ -e "$_rawr_t" ] || return ;; *) return ;; esac', ":"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    here = scene.folder_of_mine(scene.home / "download")
    scene.file(here / "h/.local/bin/rawr-install", scene.program, mode=0o755)
    scene.mine(here)
    return ran(scene, scene.shell_entry("install", cwd=here, env={"HOME": "h", "PATH": "/usr/bin:/bin"}))


@attack(
    5,
    "a rawr-install of theirs stands beside a rawr of mine",
    "TOOLKIT_NOT_YOURS",
    Check(SHIM, '  _rawr_safe "$_rawr_t" || { _rawr_foreign=$_rawr_t && return; }\n', ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    scene.file(scene.home / "bin/rawr-install", scene.program, THEM, 0o755)
    return ran(scene, scene.shell_entry("install", cwd=scene.home))


# -- 6: what counts as a list, a policy, an owner file --------------------------------------------

COUNTS = Check(WORKSPACE, "all(map(is_ours, (os.stat(file), *folders))) and ", "")
NO_STICKY = Check(WORKSPACE, " and not any(info.st_mode & stat.S_ISVTX for info in folders)", "")
LISTED = '[ -O "$_rawr_file" ] && '


@attack(6, "the trust list is theirs", "WORKSPACE_NOT_TRUSTED", COUNTS, Check(SHIM, LISTED, ""))
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.home / "ws", THEM)
    scene.mine(scene.file(scene.home / ".rawr/trusted-workspaces", f"{root}\n").parent)
    os.chown(scene.home / ".rawr/trusted-workspaces", THEM, THEM)
    return ran(scene, scene.rawr("build", cwd=scene.folder_of_mine(root / "here")))


@attack(
    6,
    "~/.rawr is sticky: they have put the trust list there",
    "WORKSPACE_NOT_TRUSTED",
    NO_STICKY,
    Check(SHIM, '_rawr_mine "$HOME/.rawr" && ', ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.home / "ws", THEM)
    scene.mine(scene.file(scene.home / ".rawr/trusted-workspaces", f"{root}\n").parent)
    (scene.home / ".rawr").chmod(0o1777)
    return ran(scene, scene.rawr("build", cwd=scene.folder_of_mine(root / "here")))


@attack(
    6,
    "HOME is theirs, with a trust list of mine in it",
    "WORKSPACE_NOT_TRUSTED",
    COUNTS,
    Check(SHIM, ' && _rawr_mine "$HOME"\n', "\n"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.folder / "ws", THEM)
    home = scene.theirs / "home"
    scene.mine(scene.file(home / ".rawr/trusted-workspaces", f"{root}\n").parent)
    os.chown(home, THEM, THEM)
    here = scene.folder_of_mine(root / "here")
    return ran(scene, scene.rawr("build", cwd=here, env={"HOME": str(home)}))


@attack(6, "the file that allows the fallback is theirs", "NO_WORKSPACE", COUNTS, Check(SHIM, LISTED, ""))
def _(scene: Scene) -> tuple[bool, Ran]:
    own = scene.checkout(scene.home / "own")
    scene.mine(scene.file(scene.owner_file, f"{own}\n").parent)
    scene.file(scene.home / ".rawr/global-owner-fallback", "enabled\n", THEM)
    return ran(scene, scene.rawr("build", cwd=scene.folder_of_mine(scene.home / "here")))


@attack(6, "the owner file is theirs", "OWNER_UNREADABLE", COUNTS, Check(SHIM, LISTED, ""))
def _(scene: Scene) -> tuple[bool, Ran]:
    own = scene.checkout(scene.home / "own")
    scene.mine(scene.file(scene.owner_file, f"{own}\n").parent)
    os.chown(scene.owner_file, THEM, THEM)
    env = {"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"}
    return ran(scene, scene.rawr("build", cwd=scene.folder_of_mine(scene.home / "here"), env=env))


# -- 7: what the doctor advises, and the state ---------------------------------------------------


@attack(7, "the doctor advises me to run or fix something in a workspace of theirs", "GLOBAL_RAWR_MISCONFIGURED")
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.home / "ws", THEM)
    scene.file(root / "package.json", '{"packageManager": "bun@99.0.0", "dependencies": {"a": "1"}}', THEM)
    scene.file(root / ".rawr/state/state.json", "{", THEM)
    scene.file(root / "apps/cli/bin/run.js", "#!/usr/bin/env bun\n", THEM)
    done = scene.toolkit("doctor", "global", "--verbose", cwd=root)
    document = json.loads(done.out)
    findings = document["error"]["details"]["findings"] if "error" in document else document["data"]["findings"]
    about = [each for each in findings if each["status"] != "ok" and str(root) in json.dumps(each)]
    advised = [each["id"] for each in about if each["fixable"] or _runs_there(each["remedy"])]
    return advised != [], done


def _runs_there(remedy: dict[str, object] | None) -> bool:
    argv = (remedy or {}).get("argv") or [""]
    allowed = (["rawr-install", "trust", "add"], ["rawr-install", "trust", "remove"])
    assert isinstance(argv, list)
    text = str((remedy or {}).get("text"))
    return (argv != [""] and argv[:3] not in allowed) or any(
        word in text for word in ("bun install", "git ", "chmod +x")
    )


@attack(
    7,
    "state.json is a link of theirs to a file of mine",
    "STATE_NOT_YOURS",
    Check("install/policy.py", "    if link:\n", "    if False:\n"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    victim = scene.file(scene.home / "precious.json", '{"version":1,"plugins":{"enabled":[]}}')
    state = inside(scene).home / "ws/.rawr/state/state.json"
    scene.folder_of_mine(state.parent)
    scene.mine(scene.home / "ws/.rawr")
    state.symlink_to(victim)
    os.lchown(state, THEM, THEM)
    before = victim.read_text()
    done = scene.toolkit("state", "enable", "x", cwd=scene.home / "ws")
    return victim.read_text() != before, done


@attack(
    7,
    ".rawr/state leads out of my workspace to a folder of theirs",
    "STATE_NOT_YOURS",
    Check("install/policy.py", "        if os.path.commonpath((real, root)) != root and", "        if False and"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    drop = scene.theirs / "state"
    drop.mkdir()
    drop.chmod(0o777)
    os.chown(drop, THEM, THEM)
    link = inside(scene).home / "ws/.rawr/state"
    scene.folder_of_mine(link.parent)
    link.symlink_to(drop)
    scene.mine(link)
    done = scene.toolkit("state", "enable", "x", cwd=scene.home / "ws")
    return (drop / "state.json").exists(), done


# -- 8: git ------------------------------------------------------------------------------------


@attack(8, "the config of the repository names a program, and safe.directory is *", "")
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.home / "ws")
    git = [*["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@y", "-c", "safe.directory=*"]]
    evil = scene.file(scene.theirs / "evil", scene.program, THEM, 0o755)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True, env={"HOME": str(scene.home), "PATH": "/usr/bin:/bin"})
    config = root / ".git/config"
    programs = "fsmonitor", "pager", "sshCommand", "askPass"
    text = config.read_text() + "[core]\n" + "".join(f"\t{name} = {evil}\n" for name in programs)
    config.write_text(
        f'{text}\thooksPath = {scene.theirs}\n[diff]\n\texternal = {evil}\n[filter "x"]\n\tclean = {evil}\n'
    )
    scene.file(root / ".gitattributes", "* filter=x\n")
    scene.mine(root)
    scene.give(THEM, root / ".git")
    scene.file(scene.home / ".gitconfig", "[safe]\n\tdirectory = *\n")
    scene.toolkit("activate", root, "--yes")
    done = scene.toolkit("refresh", cwd=root)
    scene.toolkit("refresh", "--hook", "post-merge", "HEAD", "HEAD", cwd=root)
    assert json.loads(done.out)["data"]["commit"], done
    return ran(scene, done)


# -- 9: what is written through ------------------------------------------------------------------

EVENTS = {"RAWR_EVENTS": "on"}


def _written_through(scene: Scene, name: str, link: Callable[..., None], user: int) -> tuple[bool, Ran]:
    victim = scene.file(scene.home / "precious", "mine")
    place = scene.home / ".local/state/rawr" / name
    scene.folder_of_mine(place.parent)
    scene.mine(scene.home / ".local")
    link(victim, place)
    if link is os.symlink:
        os.lchown(place, user, user)
    done = scene.toolkit("fallback", "enable", env=EVENTS)
    return victim.read_text() != "mine", done


@attack(
    9,
    "the event log is a link of theirs to a file of mine",
    "",
    Check("events/log.py", " and os.lstat(path).st_uid == os.geteuid()", ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _written_through(scene, "events.jsonl", os.symlink, THEM)


@attack(9, "the event log is another name of a file of mine", "", Check("events/log.py", " and info.st_nlink == 1", ""))
def _(scene: Scene) -> tuple[bool, Ran]:
    return _written_through(scene, "events.jsonl", os.link, THEM)


@attack(
    9,
    "the machine's lock is another name of a file of mine",
    "",
    Check("machine/lock.py", "        if os.fstat(fd).st_nlink == 1:\n", "        if True:\n"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _written_through(scene, "install.lock", os.link, THEM)


@attack(
    9,
    "the machine's lock is a link to a file of mine",
    "STATE_DIR_UNUSABLE",
    Check("machine/lock.py", "os.O_NOFOLLOW | ", ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _written_through(scene, "install.lock", os.symlink, scene.me)


def _led_elsewhere(scene: Scene, *words: str) -> tuple[bool, Ran]:
    """``words`` where a link of theirs leads to a folder of mine on the way to the toolkit's state folder."""
    victim = scene.folder_of_mine(scene.home / "precious")
    (scene.theirs / "state").symlink_to(victim)
    scene.give(THEM, scene.theirs)
    env = {**EVENTS, "XDG_STATE_HOME": str(scene.theirs / "state")}
    done = scene.toolkit(*words, cwd=inside(scene).home / "ws", env=env)
    return any(victim.iterdir()), done


@attack(
    9,
    "a folder above the state folder is a link of theirs to a folder of mine",
    "STATE_DIR_NOT_YOURS",
    Check("machine/ownership.py", "        if link := link_of_another(path):\n", "        if False:\n"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _led_elsewhere(scene, "fallback", "enable")


@attack(
    9,
    "a folder above the event log is a link of theirs to a folder of mine",
    "",
    Check("events/log.py", "    _require_own_way(os.path.dirname(path))\n", ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    return _led_elsewhere(scene, "state", "enable", "x")


@attack(
    9,
    "the plugin manager's manifest is a link of theirs to a file of mine",
    "MANIFEST_NOT_YOURS",
    Check("cli/plugins.py", "        require_own_manifest(facts.manifest.path, os.environ)\n", ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    victim = scene.file(scene.home / "precious.json", "{}")
    data = scene.theirs / "data"
    (data / "@rawr/cli").mkdir(parents=True)
    (data / "@rawr/cli/package.json").symlink_to(victim)
    scene.give(THEM, data)
    make_linkable(inside(scene).home / "ws", "one")
    scene.mine(scene.home / "ws")
    env = {"XDG_DATA_HOME": str(data)}
    done = scene.toolkit("plugins", "status", "--repair", cwd=scene.home / "ws", env=env)
    return victim.read_text() != "{}", done


# -- 10: who can read a lock can hold it ----------------------------------------------------------


def _held(scene: Scene, path: str, done: Ran) -> tuple[bool, Ran]:
    assert os.path.exists(path), done
    code = f"import fcntl, os; fcntl.flock(os.open({path!r}, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return scene.they("/usr/bin/env", "python3", "-c", code).code == 0, done


@attack(
    10,
    "the machine's lock, which an older toolkit made readable, is held by them",
    "",
    Check("machine/lock.py", "                _tighten(fd, lock_file)\n", ""),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    lock = scene.file(scene.home / ".local/state/rawr/install.lock", "")
    scene.mine(scene.home / ".local")
    done = scene.toolkit("fallback", "enable")
    return _held(scene, str(lock), done)


@attack(10, "the guard of the state is held by them", "", Check("state/directory.py", "else 0o600", "else 0o644"))
def _(scene: Scene) -> tuple[bool, Ran]:
    done = scene.toolkit("state", "enable", "x", cwd=inside(scene).home / "ws")
    return _held(scene, str(scene.home / "ws/.rawr/state/state.guard"), done)


# -- 11: "I cannot look" is not "there is nothing" -------------------------------------------------


@attack(
    11,
    "they close a folder, so that rawr runs the workspace further out",
    "CANNOT_SEARCH",
    Check(SHIM, " || _rawr_hidden; }; do", "; }; do"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    scene.checkout(scene.home / "ws")
    inner = scene.checkout(scene.home / "ws/inner", THEM)
    (inner / "apps").chmod(0o700)
    return ran(scene, scene.rawr("build", cwd=scene.folder_of_mine(inner / "here")))


# -- 12: their words as mine ------------------------------------------------------------------------


@attack(
    12,
    "the name of a folder looks like a line of advice",
    "CLI_NOT_EXECUTABLE",
    Check("dispatch/main.py", "_write(2, _printable(text))", "_write(2, text)"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    root = scene.checkout(scene.home / "x\n  try: rm -rf ~")
    (root / "apps/cli/bin/run.js").chmod(0o644)
    done = scene.rawr("build", cwd=scene.folder_of_mine(root / "here"))
    return any(line.startswith("  try: rm") for line in done.err.split("\n")), done


@attack(
    12,
    "PYTHONPATH has an empty element where I stand, and they have a json.py there",
    "",
    Check("__main__.py", "\n_leave_current_folder()\n", "\n"),
)
def _(scene: Scene) -> tuple[bool, Ran]:
    scene.file(scene.theirs / "json.py", f"open({str(scene.proof)!r}, 'w')\n", THEM)
    python_path = f"{scene.env.get('PYTHONPATH', '/nowhere')}:"
    return ran(scene, scene.wrapper("which", cwd=scene.theirs, env={"PYTHONPATH": python_path}))
