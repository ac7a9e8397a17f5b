"""A healthy machine, and the ways to break it: each situation is made on disk, by hand."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from rawr_install import __version__
from rawr_install.cli.main import main as run_command
from tests.support.machine import Machine, Ran, make_workspace

MARK = f"rawr-install shell entry\n_rawr_version='{__version__}'"
VERSION_3_CLI = "#!/bin/sh\nexit 0\n"


class Lab:
    """A machine with one workspace that is linked, owned and stood in; ``rawr-install`` is on its PATH."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.home = machine.home
        self.tools = machine.folder / "tools"
        self.tools.mkdir()
        # A folder of its own: the environment's bin folder holds a rawr too.
        (self.tools / "rawr-install").symlink_to(Path(sys.executable).parent / "rawr-install")
        machine.env["PATH"] = f"{machine.bun_bin}:{self.tools}:/usr/bin:/bin"
        self.ws = machine.workspace("ws")
        machine.link(self.ws)
        machine.own(self.ws)
        self.cwd = self.ws
        self.options: tuple[str, ...] = ()

    @property
    def cli(self) -> Path:
        return self.ws / "apps/cli/bin/run.js"

    def first_on_path(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        self.machine.env["PATH"] = f"{folder}:{self.machine.env['PATH']}"
        return folder

    def program(self, path: Path, text: str = "#!/bin/sh\n") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def doctor(self, *words: str, env: Mapping[str, str] | None = None) -> Ran:
        """The command line in a process of its own, forked from this one: the imports are paid for once."""
        argv = ["doctor", "global", *self.options, *words]
        return forked(argv, self.cwd, {**self.machine.env, **(env or {})})

    def report(self, *words: str) -> dict[str, Any]:
        return document(self.doctor("--json", *words))

    def found(self, *words: str) -> dict[str, str]:
        """Finding id -> status, of all that is not ok, but for what every link is told (:func:`link_decides`)."""
        report = self.report(*words)
        found = {finding["id"]: finding["status"] for finding in report["findings"]}
        return {name: status for name, status in found.items() if name not in link_decides(report)}

    def log_in_again(self) -> None:
        """Take PATH from a login shell, where a remedy changed the profile."""
        if (self.home / ".profile").exists():
            script = 'PATH="$1"; . "$HOME/.profile"; printf %s "$PATH"'
            self.machine.env["PATH"] = self.machine.run("/bin/sh", "-c", script, "sh", self.machine.env["PATH"]).out


def forked(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Ran:
    """Run ``rawr-install`` in a forked child with its own folder, environment and output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os._exit(_become(argv, cwd, env, out.fileno(), err.fileno()))
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return Ran(os.waitstatus_to_exitcode(status), out.read().decode(), err.read().decode())


def _become(argv: Sequence[str], cwd: Path, env: Mapping[str, str], out: int, err: int) -> int:
    """In the child: take on the folder, environment and output, and run the command line."""
    try:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        for number, fd in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, err)):
            os.dup2(fd, number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", encoding="utf-8"), open(2, "w", encoding="utf-8")
        return run_command(argv)
    except BaseException:
        traceback.print_exc()
        return 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def document(ran: Ran) -> dict[str, Any]:
    """The fields of a doctor's document, wherever its verdict puts them."""
    body: dict[str, Any] = ran.json["data"] if ran.json["ok"] else ran.json["error"]["details"]
    return body


def link_decides(report: Mapping[str, Any]) -> dict[str, str]:
    """The finding that belongs to every machine whose first ``rawr`` is a link, and to no other."""
    first = next((entry for entry in report["entries"] if entry["executable"]), None)
    return {"entry.link-decides": "info"} if first and first["kind"] == "workspace-link" else {}


DATA = Path(__file__).parents[2] / "rawr_install/data"
DOCTOR = json.loads((DATA / "doctor-global.schema.json").read_text())
IS_DOCTOR = Draft202012Validator(DOCTOR)
IS_ENVELOPE = Draft202012Validator(json.loads((DATA / "envelope.schema.json").read_text()))


def validate(printed: dict[str, Any]) -> None:
    """The document is valid by both schemas, and the schema describes each field of its report."""
    IS_ENVELOPE.validate(printed)
    IS_DOCTOR.validate(printed)
    report = printed["data"] if printed["ok"] else printed["error"]["details"]
    assert set(report) <= set(DOCTOR["$defs"]["report"]["properties"])


@dataclass(frozen=True)
class Situation:
    """One way to break a healthy machine, and exactly what the doctor then finds."""

    name: str
    make: Callable[[Lab], None]
    found: Mapping[str, str]
    mends: str = ""  # the finding whose remedy is run; empty: there is none to run

    def __str__(self) -> str:
        return self.name


SITUATIONS: list[Situation] = []


def situation(mends: str = "", **found: str) -> Callable[[Callable[[Lab], None]], Callable[[Lab], None]]:
    """Register a situation; keywords are finding ids with ``__`` for the dot and ``_`` for the hyphen."""
    wanted = {name.replace("__", ".").replace("_", "-"): status for name, status in found.items()}

    def register(make: Callable[[Lab], None]) -> Callable[[Lab], None]:
        SITUATIONS.append(Situation(make.__name__.replace("_", " "), make, wanted, mends))
        return make

    return register


# -- the entry -----------------------------------------------------------------


@situation(mends="entry.missing", entry__missing="fail")
def no_entry(lab: Lab) -> None:
    lab.machine.entry.unlink()


@situation(mends="entry.missing", entry__missing="fail", owner__other_instance="warn")
def no_entry_and_another_owner(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.own(lab.machine.workspace("other"))


@situation(mends="entry.dangling", entry__dangling="fail")
def the_entry_dangles(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.entry.symlink_to(lab.machine.folder / "gone/apps/cli/bin/run.js")


@situation(mends="entry.dangling", entry__dangling="fail")
def a_foreign_entry_dangles(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.entry.symlink_to(lab.machine.folder / "nowhere")


@situation(mends="entry.dangling", entry__dangling="warn")
def a_dangling_rawr_stands_first_on_path(lab: Lab) -> None:
    (lab.first_on_path(lab.home / "odd") / "rawr").symlink_to("nowhere")


@situation(mends="entry.foreign", entry__foreign="fail")
def the_entry_is_a_foreign_script(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.program(lab.machine.entry, "#!/bin/sh\necho foreign\n")


@situation(mends="entry.foreign", entry__foreign="fail")
def the_entry_is_a_folder(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.entry.mkdir()


@situation(mends="entry.foreign", entry__foreign="fail")
def the_entry_is_a_hard_link_to_the_cli(lab: Lab) -> None:
    lab.machine.entry.unlink()
    os.link(lab.cli, lab.machine.entry)


@situation(mends="entry.other-instance", entry__other_instance="fail", owner__entry_disagree="warn")
def the_entry_runs_another_workspace(lab: Lab) -> None:
    lab.machine.link(lab.machine.workspace("other"))


@situation(mends="entry.other-instance", entry__other_instance="fail", owner__other_instance="warn")
def another_workspace_is_active(lab: Lab) -> None:
    other = lab.machine.workspace("other")
    lab.machine.link(other)
    lab.machine.own(other)


@situation(mends="entry.outside-bun", entry__outside_bun="fail")
def the_link_is_not_in_buns_folder(lab: Lab) -> None:
    (lab.first_on_path(lab.home / "bin") / "rawr").symlink_to(lab.cli)
    lab.machine.entry.unlink()


@situation(mends="entry.missing", entry__missing="fail", workspace__none="info", owner__missing="info")
def no_entry_no_workspace_and_no_owner(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.owner_file.unlink()
    lab.cwd = lab.home


@situation(
    mends="entry.other-instance", entry__other_instance="fail", owner__entry_disagree="warn", path__two_installs="warn"
)
def a_wrong_link_comes_first(lab: Lab) -> None:
    other = lab.machine.workspace("other")
    (lab.first_on_path(lab.home / "first") / "rawr").symlink_to(other / "apps/cli/bin/run.js")


@situation(
    mends="path.two-installs", entry__other_instance="fail", owner__entry_disagree="warn", path__two_installs="warn"
)
def a_wrong_link_comes_first_outside_a_workspace(lab: Lab) -> None:
    a_wrong_link_comes_first(lab)
    lab.cwd = lab.home
    lab.machine.own(lab.ws)


@situation(mends="entry.not-executable", entry__not_executable="fail")
def our_shell_entry_is_not_executable(lab: Lab) -> None:
    use_shell_entry(lab)
    lab.machine.entry.chmod(0o644)


@situation(mends="entry.foreign", entry__foreign="fail")
def a_foreign_program_comes_first_and_nothing_of_ours_behind(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.program(lab.first_on_path(lab.home / "first") / "rawr")


@situation(mends="entry.missing", entry__missing="fail")
def no_entry_and_no_folder_for_one_on_path(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.env["PATH"] = f"{lab.tools}:/usr/bin:/bin"


@situation(
    mends="owner.vanished",
    entry__dangling="fail",
    owner__vanished="warn",
    owner__other_instance="warn",
    fallback__bad_owner="warn",
)
def the_workspace_was_moved_and_we_stand_in_its_new_place(lab: Lab) -> None:
    (lab.home / ".rawr/global-owner-fallback").write_text("enabled\n")
    moved = lab.machine.folder / "moved"
    lab.ws.rename(moved)
    lab.ws = lab.cwd = moved


# -- PATH ----------------------------------------------------------------------


@situation(mends="path.entry-missing", path__entry_missing="fail")
def our_shim_stands_in_a_folder_that_path_lacks(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.program(lab.home / ".local/bin/rawr", f"#!/bin/sh\n# {MARK}\n")


@situation(mends="path.shadowed", path__shadowed="fail")
def a_foreign_rawr_comes_first(lab: Lab) -> None:
    lab.program(lab.first_on_path(lab.home / "bin") / "rawr")


@situation(mends="path.bun-missing", path__bun_missing="fail")
def buns_folder_is_not_on_path(lab: Lab) -> None:
    lab.machine.env["PATH"] = f"{lab.tools}:/usr/bin:/bin"


@situation(mends="path.version-manager", path__version_manager="fail")
def a_mise_shim_comes_first(lab: Lab) -> None:
    mise = lab.program(lab.machine.folder / "opt/mise")
    (lab.first_on_path(lab.home / ".local/share/mise/shims") / "rawr").symlink_to(mise)


@situation(path__version_manager="info")
def an_asdf_shim_stands_behind_us(lab: Lab) -> None:
    lab.program(lab.home / ".asdf/shims/rawr", '#!/usr/bin/env bash\nexec asdf exec "rawr" "$@"\n')
    lab.machine.env["PATH"] += f":{lab.home}/.asdf/shims"


@situation(mends="entry.link-decides")
def a_link_comes_before_our_shell_entry(lab: Lab) -> None:
    lab.program(lab.home / "late/rawr", f"#!/bin/sh\n# {MARK}\n")
    lab.machine.env["PATH"] += f":{lab.home}/late"


@situation(mends="path.two-installs", path__two_installs="warn")
def two_links_to_two_workspaces(lab: Lab) -> None:
    (lab.home / "late").mkdir()
    (lab.home / "late/rawr").symlink_to(lab.machine.workspace("other") / "apps/cli/bin/run.js")
    lab.machine.env["PATH"] += f":{lab.home}/late"


@situation(path__two_installs="info")
def our_shell_entry_comes_before_a_link(lab: Lab) -> None:
    lab.program(lab.first_on_path(lab.home / "bin") / "rawr", f"#!/bin/sh\n# {MARK}\n")


@situation(mends="pnpm.stale-shim", pnpm__stale_shim="warn")
def a_pnpm_shim_is_left(lab: Lab) -> None:
    lab.program(lab.home / ".local/share/pnpm/rawr")


@situation(mends="pnpm.stale-shim", pnpm__stale_shim="warn")
def two_pnpm_shims_are_left_and_one_was_set_aside_before(lab: Lab) -> None:
    a_pnpm_shim_is_left(lab)
    lab.program(lab.home / "Library/pnpm/rawr")
    lab.program(lab.home / "Library/pnpm/rawr.set-aside")


@situation(mends="path.pnpm-first", path__pnpm_first="warn")
def pnpm_comes_before_bun(lab: Lab) -> None:
    lab.first_on_path(lab.home / "Library/pnpm")


# -- the owner -----------------------------------------------------------------


@situation(owner__missing="info", mends="owner.missing")
def no_owner(lab: Lab) -> None:
    lab.machine.owner_file.unlink()


@situation(mends="owner.empty", owner__empty="warn")
def an_empty_owner_file(lab: Lab) -> None:
    lab.machine.owner_file.write_bytes(b"\n")


@situation(mends="owner.unreadable", owner__unreadable="warn")
def the_owner_file_is_a_folder(lab: Lab) -> None:
    lab.machine.owner_file.unlink()
    lab.machine.owner_file.mkdir()


@situation(mends="owner.unreadable", owner__unreadable="warn")
def the_owner_file_is_a_loop_of_links(lab: Lab) -> None:
    lab.machine.owner_file.unlink()
    lab.machine.owner_file.symlink_to(lab.machine.owner_file.name)


@situation(mends="owner.invalid", owner__invalid="warn", owner__other_instance="warn")
def a_relative_owner(lab: Lab) -> None:
    lab.machine.own("ws")


@situation(mends="owner.vanished", owner__vanished="warn", owner__other_instance="warn")
def a_vanished_owner(lab: Lab) -> None:
    lab.machine.own(lab.machine.folder / "gone")


@situation(mends="owner.not-a-workspace", owner__not_a_workspace="warn", owner__other_instance="warn")
def an_owner_that_is_no_workspace(lab: Lab) -> None:
    lab.machine.own(lab.home)


@situation(mends="owner.other-instance", owner__other_instance="warn", owner__entry_disagree="warn")
def another_owner(lab: Lab) -> None:
    lab.machine.own(lab.machine.workspace("other"))


@situation(mends="owner.entry-disagree", owner__other_instance="warn", owner__entry_disagree="warn")
def the_entry_does_not_run_the_owner(lab: Lab) -> None:
    lab.machine.own(lab.machine.workspace("other"))


@situation(mends="owner.vanished", owner__vanished="warn", fallback__bad_owner="warn", workspace__none="info")
def the_owner_is_gone_and_we_stand_outside(lab: Lab) -> None:
    use_shell_entry(lab)
    lab.machine.own(lab.machine.folder / "gone")
    (lab.home / ".rawr/global-owner-fallback").write_text("enabled\n")
    lab.cwd = lab.home


@situation(mends="fallback.bad-owner", fallback__bad_owner="warn", owner__missing="info")
def fallback_without_an_owner(lab: Lab) -> None:
    lab.machine.owner_file.unlink()
    (lab.home / ".rawr/global-owner-fallback").write_text("enabled\n")


@situation(fallback__bad_owner="warn", owner__missing="info")
def fallback_by_a_variable_without_an_owner(lab: Lab) -> None:
    lab.machine.owner_file.unlink()
    lab.machine.env["RAWR_ALLOW_GLOBAL_OWNER_FALLBACK"] = "1"


# -- the workspace -------------------------------------------------------------


@situation(workspace__none="info", owner__missing="info")
def no_workspace_and_no_owner(lab: Lab) -> None:
    lab.machine.owner_file.unlink()
    lab.cwd = lab.home


@situation(workspace__variable="fail")
def the_variable_names_no_workspace(lab: Lab) -> None:
    lab.machine.env["RAWR_WORKSPACE_ROOT"] = str(lab.home)


@situation(workspace__variable="warn")
def the_variable_is_wrong_but_the_workspace_is_named(lab: Lab) -> None:
    lab.machine.env["RAWR_HQ_ROOT"] = str(lab.home)
    lab.options = ("--workspace", str(lab.ws))


@situation(workspace__cli_missing="fail", entry__dangling="warn")
def the_cli_is_gone(lab: Lab) -> None:
    lab.cli.unlink()


@situation(mends="workspace.cli-not-executable", workspace__cli_not_executable="fail")
def the_cli_is_not_executable(lab: Lab) -> None:
    lab.cli.chmod(0o644)


@situation(workspace__interpreter_missing="warn")
def the_clis_interpreter_is_gone(lab: Lab) -> None:
    lab.program(lab.cli, "#!/no/such/interpreter\n")


@situation(workspace__interpreter_missing="warn")
def the_clis_interpreter_is_not_on_path(lab: Lab) -> None:
    lab.program(lab.cli, "#!/usr/bin/env no-such-interpreter\n")


@situation(mends="workspace.cli-cannot-start", workspace__cli_cannot_start="warn")
def the_cli_has_windows_line_ends(lab: Lab) -> None:
    lab.program(lab.cli, "#!/bin/sh\r\necho hello\r\n")


@situation(workspace__cli_cannot_start="warn")
def the_cli_has_no_first_line(lab: Lab) -> None:
    lab.program(lab.cli, "echo hello\n")


@situation(workspace__cli_not_executable="fail")
def the_cli_is_a_folder(lab: Lab) -> None:
    lab.cli.unlink()
    lab.cli.mkdir()


def offer_bun(lab: Lab) -> None:
    """A ``curl`` that answers with a script which, as Bun's installer does, puts a new Bun in place."""
    script = lab.program(lab.home / "installer", f"rm -f {lab.tools}/bun; cp /bin/true {lab.tools}/bun\n")
    lab.program(lab.tools / "curl", f"#!/bin/sh\ncat {script}\n")


@situation(mends="bun.missing", bun__missing="warn")
def bun_is_missing(lab: Lab) -> None:
    lab.program(lab.cli, "#!/usr/bin/env bun\n")
    offer_bun(lab)


@situation(mends="bun.version", bun__version="warn")
def bun_is_too_old(lab: Lab) -> None:
    lab.program(lab.home / ".asdf/installs/bun/1.0.3/bin/bun")
    (lab.tools / "bun").symlink_to(lab.home / ".asdf/installs/bun/1.0.3/bin/bun")
    (lab.ws / "package.json").write_text('{"name": "ws", "engines": {"bun": ">=1.2"}}')
    offer_bun(lab)


@situation(bun__range="warn")
def the_wanted_bun_is_no_range(lab: Lab) -> None:
    lab.program(lab.home / ".asdf/installs/bun/1.0.3/bin/bun")
    (lab.tools / "bun").symlink_to(lab.home / ".asdf/installs/bun/1.0.3/bin/bun")
    (lab.ws / "package.json").write_text('{"name": "ws", "engines": {"bun": "newest, please"}}')


@situation(mends="dependencies.missing", dependencies__missing="warn")
def dependencies_are_not_installed(lab: Lab) -> None:
    lab.program(lab.tools / "bun", '#!/bin/sh\nmkdir "$4/node_modules"\n')
    (lab.ws / "package.json").write_text('{"name": "ws", "dependencies": {"left": "1"}}')


@situation(package__unreadable="warn")
def package_json_is_broken(lab: Lab) -> None:
    (lab.ws / "package.json").write_text("{")


@situation(mends="workspace.untrusted", workspace__untrusted="warn")
def the_workspace_is_another_users(lab: Lab) -> None:
    os.chown(lab.ws, 12345, -1)


@situation(mends="workspace.writable", workspace__writable="fail")
def everybody_can_write_to_the_workspace(lab: Lab) -> None:
    (lab.ws / "apps").chmod(0o777)


# -- the state -----------------------------------------------------------------


def state_folder(lab: Lab) -> Path:
    folder = lab.ws / ".rawr/state"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@situation(mends="state.corrupt", state__corrupt="warn")
def the_state_is_corrupt(lab: Lab) -> None:
    (state_folder(lab) / "state.json").write_text("{")


@situation(state__newer_version="warn")
def the_state_is_of_a_newer_version(lab: Lab) -> None:
    (state_folder(lab) / "state.json").write_text('{"version": 2, "plugins": {}}')


@situation(state__unreadable="warn")
def the_state_is_a_folder(lab: Lab) -> None:
    (state_folder(lab) / "state.json").mkdir()


@situation(state__lock_held="info")
def a_living_process_holds_the_lock(lab: Lab) -> None:
    leave_lock(lab, os.getpid())


@situation(state__shared="warn")
def the_state_is_changed_from_another_host(lab: Lab) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"at": at, "host": "a laptop", "by": os.uname().nodename}
    (state_folder(lab) / "state.shared").write_text(json.dumps(said))


@situation(mends="state.lock-abandoned", state__lock_abandoned="warn")
def a_dead_process_left_the_lock(lab: Lab) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    leave_lock(lab, child)


@situation(mends="state.lock-unreadable", state__lock_unreadable="warn")
def the_lock_says_nothing(lab: Lab) -> None:
    lock = state_folder(lab) / "state.lock"
    lock.write_text("who knows")
    os.utime(lock, (1e9, 1e9))


def leave_lock(lab: Lab, pid: int) -> None:
    """A lease as a peer writes it, one second old."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    (state_folder(lab) / "state.lock").write_text(json.dumps({"pid": pid, "acquiredAt": at}) + "\n")


@situation(mends="workspace.untrusted", workspace__untrusted="fail")
def our_shell_entry_refuses_another_users_workspace(lab: Lab) -> None:
    use_shell_entry(lab)
    os.chown(lab.ws, 12345, -1)


@situation(entry__other_instance="fail")
def a_variable_sends_our_shell_entry_elsewhere(lab: Lab) -> None:
    use_shell_entry(lab)
    lab.machine.env["RAWR_WORKSPACE_ROOT"] = str(lab.machine.workspace("other"))
    lab.options = ("--workspace", str(lab.ws))


@situation(workspace__variable="fail")
def a_wrong_variable_stops_our_shell_entry(lab: Lab) -> None:
    use_shell_entry(lab)
    lab.machine.env["RAWR_WORKSPACE_ROOT"] = str(lab.home)
    lab.options = ("--workspace", str(lab.ws))


def use_shell_entry(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.program(lab.machine.entry, f"#!/bin/sh\n# {MARK}\n")


# -- what lies around ----------------------------------------------------------


@situation(mends="policy.writable", policy__writable="fail")
def others_can_write_the_owner_file(lab: Lab) -> None:
    lab.machine.owner_file.chmod(0o602)


@situation(mends="policy.writable", policy__writable="fail")
def others_can_write_the_folder(lab: Lab) -> None:
    lab.machine.owner_file.parent.chmod(0o777)


@situation(mends="policy.writable", policy__writable="fail", owner__unreadable="warn")
def others_may_have_put_files_into_the_folder(lab: Lab) -> None:
    lab.machine.owner_file.parent.chmod(0o1777)


@situation(project__bunfig_preload="warn")
def a_bunfig_preloads_code(lab: Lab) -> None:
    (lab.cwd / "bunfig.toml").write_text('preload = ["./first.ts"]\n')


@situation(project__env_file="warn")
def a_dotenv_sets_what_decides(lab: Lab) -> None:
    (lab.cwd / ".env").write_text("COLOR=blue\nexport RAWR_WORKSPACE_ROOT=/elsewhere\n")


@situation(project__env_file="fail", project__bunfig_preload="fail")
def what_bun_loads_here_is_another_users(lab: Lab) -> None:
    for name in (".env.local", "bunfig.toml"):
        (lab.cwd / name).write_text("")
        os.chown(lab.cwd / name, 12345, -1)


@situation(project__untrusted="fail")
def our_shell_entry_runs_nothing_in_another_users_folder(lab: Lab) -> None:
    use_shell_entry(lab)
    stand_in_another_users_folder(lab)


@situation(project__untrusted="warn", owner__empty="warn", fallback__bad_owner="warn")
def a_link_runs_in_another_users_folder(lab: Lab) -> None:
    stand_in_another_users_folder(lab)
    lab.machine.owner_file.write_bytes(b"")
    (lab.home / ".rawr/global-owner-fallback").write_text("enabled\n")


@situation(project__untrusted="info", entry__missing="fail")
def we_stand_in_a_sticky_folder_outside_workspaces(lab: Lab) -> None:
    lab.cwd = lab.machine.folder / "shared"
    lab.cwd.mkdir()
    lab.cwd.chmod(0o1777)
    use_shell_entry(lab)
    lab.machine.entry.unlink()


def stand_in_another_users_folder(lab: Lab) -> None:
    """A folder of theirs below the user's own workspace."""
    lab.cwd = lab.ws / "theirs"
    lab.cwd.mkdir()
    os.chown(lab.cwd, 12345, -1)


@situation(mends="entry.outdated", entry__outdated="warn")
def our_shell_entry_is_an_older_copy(lab: Lab) -> None:
    use_shell_entry(lab)
    lab.program(lab.machine.entry, "#!/bin/sh\n# rawr-install shell entry\n_rawr_version='0.0.1'\n")


@situation(mends="toolkit.cached", toolkit__cached="warn")
def the_shell_entrys_toolkit_lies_in_a_cache(lab: Lab) -> None:
    cached = lab.program(lab.home / ".cache/uv/archive-v0/x/bin/rawr-install")
    use_shell_entry(lab)
    lab.program(lab.machine.entry, f"#!/bin/sh\n# {MARK}\ntoolkit='{cached}'\n")
    lab.machine.env["PATH"] = f"{lab.machine.bun_bin}:/usr/bin:/bin"


@situation(mends="toolkit.gone", toolkit__gone="warn")
def the_shell_entry_finds_no_toolkit(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.program(lab.machine.entry, f"#!/bin/sh\n# {MARK}\ntoolkit='{lab.home}/gone/rawr-install'\n")
    lab.machine.env["PATH"] = f"{lab.machine.bun_bin}:/usr/bin:/bin"


@situation(mends="receipt.disagrees", receipt__disagrees="warn", entry__missing="fail")
def the_installed_entry_was_deleted(lab: Lab) -> None:
    lab.machine.entry.unlink()
    assert lab.machine.rawr_install("install", cwd=lab.ws).code == 0
    lab.machine.entry.unlink()


@situation(mends="receipt.disagrees", receipt__disagrees="warn", entry__foreign="fail")
def a_foreign_file_stands_where_the_receipt_has_ours(lab: Lab) -> None:
    the_installed_entry_was_deleted(lab)
    lab.program(lab.machine.entry)


@situation(
    mends="receipt.disagrees", receipt__disagrees="warn", owner__other_instance="warn", owner__entry_disagree="warn"
)
def an_older_tool_changed_the_owner(lab: Lab) -> None:
    lab.machine.entry.unlink()
    lab.machine.owner_file.unlink()
    assert lab.machine.rawr_install("activate", "--mode", "bun-symlink", cwd=lab.ws).code == 0
    lab.machine.own(lab.machine.workspace("other"))


@situation(mends="receipt.unreadable", receipt__unreadable="warn")
def the_receipt_is_broken(lab: Lab) -> None:
    lab.program(lab.home / ".local/state/rawr/receipt.json", "{")


@situation(receipt__unreadable="warn", pnpm__stale_shim="warn")
def the_receipt_is_a_newer_toolkits(lab: Lab) -> None:
    lab.program(lab.home / ".local/state/rawr/receipt.json", '{"version": 99, "items": []}')
    a_pnpm_shim_is_left(lab)


@situation(mends="history.unreadable", history__unreadable="warn")
def the_history_is_broken(lab: Lab) -> None:
    lab.program(lab.home / ".local/state/rawr/history.json", "[]")


@situation(mends="operation.pending", operation__pending="warn")
def an_installation_was_interrupted(lab: Lab) -> None:
    change = {"role": "owner", "path": str(lab.machine.owner_file), "before": {"kind": "absent"}}
    change["after"] = {"kind": "file", "text": f"{lab.ws}\n", "mode": 0o644}
    record = {
        "id": 1,
        "at": "2026-01-01T00:00:00.000Z",
        "command": "activate",
        "status": "pending",
        "changes": [change],
    }
    lab.program(lab.home / ".local/state/rawr/history.json", json.dumps({"version": 1, "records": [record]}))


__all__ = ["SITUATIONS", "Lab", "Situation", "document", "make_workspace"]
