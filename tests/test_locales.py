"""Paths are bytes, and the wire is UTF-8: real processes in locales that are neither, and streams that hold little."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Machine, Ran
from tests.support.masked import needs_proc
from tests.support.plugins import make_linkable, make_plugin, manager_file

TOOLKIT = Path(sys.executable).parent / "rawr-install"
LATIN = {"LC_ALL": "de_DE.ISO-8859-1"}
POSIX = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
UTF8 = {"LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="session")
def locpath(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of locales that a machine need not have; skips where they cannot be made."""
    folder = tmp_path_factory.mktemp("locales")
    for name in ("de_DE.ISO-8859-1", "ja_JP.EUC-JP", "zh_CN.GBK"):
        language, _, charset = name.partition(".")
        if shutil.which("localedef"):
            subprocess.run(["localedef", "-c", "-i", language, "-f", charset, folder / name], capture_output=True)
        if not (folder / name).exists():
            pytest.skip("localedef (libc-bin), or what it reads (the package locales), is not installed")
    return folder


class Foreign(Machine):
    """A machine with a workspace ``Bücher``, whose user's locale is ``locale``."""

    def __init__(self, folder: Path, locale: Mapping[str, str], locpath: Path | None = None) -> None:
        super().__init__(folder)
        self.env |= locale
        if locpath:
            self.env["LOCPATH"] = str(locpath)
        self.ws = self.workspace("Bücher")

    def toolkit(self, *words: str | bytes | Path, **env: str) -> Ran:
        """``rawr-install`` as a shell starts it; its output is UTF-8 or ASCII, and no traceback is in it."""
        argv = [str(TOOLKIT), *(os.fsdecode(word) for word in words)]
        ran = self.run(*argv, cwd=self.ws, env=env)
        assert "Traceback" not in ran.err, ran.err
        return ran

    def data(self, *words: str | bytes | Path) -> Any:
        """The ``data`` of a ``--json`` document that succeeded."""
        ran = self.toolkit(*words, "--json")
        assert ran.code == 0 and ran.out.isascii(), ran
        return ran.json["data"]

    def refusal(self, *words: str | bytes | Path) -> str:
        """The code of a refusal, after which nothing differs but the log of what was tried."""
        before = self.tree()
        ran = self.toolkit(*words, "--json", RAWR_EVENTS="off")
        assert ran.code in (1, 2) and self.tree() == before
        return str(ran.json["error"]["code"])

    @property
    def state(self) -> Path:
        return self.ws / ".rawr/state/state.json"


@pytest.fixture(params=[pytest.param(LATIN, marks=pytest.mark.slow), POSIX, UTF8], ids=["Latin-1", "POSIX", "UTF-8"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Foreign:
    return Foreign(tmp_path, request.param, request.getfixturevalue("locpath") if request.param is LATIN else None)


# -- what goes to the wire ---------------------------------------------------------


def test_the_owner_is_written_and_read_as_its_bytes(machine: Foreign) -> None:
    assert machine.data("activate", machine.ws)["ownership"] == "initialized"
    assert machine.owner_file.read_bytes() == os.fsencode(machine.ws) + b"\n"
    assert machine.data("activate")["changed"] is False
    assert machine.data("doctor", "global")["ownerFileStatus"] == "valid"
    assert machine.data("which")["workspace"] == str(machine.ws)
    assert machine.run("rawr", cwd=machine.ws).out == "workspace Bücher\nargument \n"


def test_the_fallback_finds_the_owner(machine: Foreign) -> None:
    machine.own(machine.ws)
    words = (str(TOOLKIT), "dispatch", "say", "grüße-日本")
    ran = machine.run(*words, cwd=machine.home, env={"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"})
    assert (ran.code, ran.out.splitlines()[1:]) == (0, ["argument say", "argument grüße-日本"])


def test_install_links_the_bytes(machine: Foreign) -> None:
    assert machine.data("install", "--mode", "bun-symlink")["changed"] is True
    assert os.readlink(machine.entry) == str(machine.ws / "apps/cli/bin/run.js")
    assert machine.data("install", "--mode", "bun-symlink")["changed"] is False
    assert machine.data("uninstall")["removed"] and not os.path.lexists(machine.entry)


def test_a_plugin_id_is_stored_in_utf_8(machine: Foreign) -> None:
    assert machine.data("state", "enable", "ä")["state"]["plugins"]["enabled"] == ["ä"]
    assert json.loads(machine.state.read_bytes())["plugins"]["enabled"] == ["ä"]
    assert '"ä"'.encode() in machine.state.read_bytes()
    assert machine.data("state", "show")["state"]["plugins"]["enabled"] == ["ä"]


def test_an_id_that_is_not_utf_8_is_refused(machine: Foreign) -> None:
    for verb in ("enable", "disable"):
        assert machine.refusal("state", verb, b"\xe4") == "PLUGIN_ID_NOT_UTF8"
    make_plugin(machine.ws, "web", os.fsdecode(b"\xe4"), name="", exports={"./web": "./w.ts"})
    assert machine.refusal("plugins", "web", "enable", "all", "--force") == "PLUGIN_ID_NOT_UTF8"


def test_a_folder_that_names_a_plugin_does_so_in_utf_8(machine: Foreign) -> None:
    make_plugin(machine.ws, "web", "größe", name="", exports={"./web": "./w.ts"})
    assert machine.data("plugins", "web", "enable", "größe", "--force")["pluginId"] == "größe"
    assert json.loads(machine.state.read_bytes())["plugins"]["enabled"] == ["größe"]


def test_trust_is_listed_as_the_real_paths_bytes(machine: Foreign) -> None:
    assert machine.data("trust", "add", machine.ws)["changed"] is True
    listed = machine.home / ".rawr/trusted-workspaces"
    assert listed.read_bytes() == os.fsencode(machine.ws) + b"\n"
    assert machine.data("trust", "list")["workspaces"][0]["isWorkspace"] is True
    assert machine.data("trust", "remove", machine.ws)["changed"] is True
    assert listed.read_bytes() == b""


def test_a_path_that_is_not_utf_8_is_refused(machine: Foreign) -> None:
    odd = machine.workspace("odd").rename(machine.folder / os.fsdecode(b"B\xfccher"))
    assert machine.refusal("activate", odd) == "WORKSPACE_PATH_UNSUITABLE"
    assert machine.refusal("trust", "add", odd) == "PATH_NOT_STORABLE"


def test_the_plugin_managers_manifest_holds_utf_8(machine: Foreign) -> None:
    plugin = make_linkable(machine.ws, "größe")
    assert machine.data("plugins", "status", "--repair")["repair"]["action"] == "applied"
    assert json.loads(manager_file(machine).read_bytes())["oclif"]["plugins"][0]["root"] == str(plugin)
    assert machine.data("plugins", "status")["install"]["inSync"] is True


def test_events_are_utf_8_and_every_reader_can_parse_them(machine: Foreign) -> None:
    odd = os.fsdecode(os.fsencode(machine.folder) + b"/\xff")
    os.rename(machine.workspace("odd"), odd)
    for workspace in (machine.ws, Path(odd)):
        make_plugin(workspace, "web", "one", exports={"./web": "./w.ts"})
        (workspace / "apps/cli/bin/run.js").write_text("#!/bin/sh\nexit 2\n")
        machine.ws = workspace
        machine.data("plugins", "web", "enable", "one", "--force")
    text = (machine.home / ".local/state/rawr/events.jsonl").read_text(encoding="utf-8")
    events = [json.loads(line) for line in text.splitlines()]
    json.dumps(events, ensure_ascii=False).encode("utf-8")  # raises for a lone surrogate
    roots = [event["root"] for event in events if "root" in event]
    assert roots == [f"{machine.folder}/Bücher", f"{machine.folder}/\\xff"]


def test_a_bun_folder_is_read_from_its_settings(machine: Foreign) -> None:
    (machine.home / ".bunfig.toml").write_text('[install]\nglobalBinDir = "~/größe"\n')
    assert machine.data("install", "--mode", "bun-symlink")["entryPath"] == f"{machine.home}/größe/rawr"


# -- arguments, and what is printed ----------------------------------------------------


@needs_proc
@pytest.mark.parametrize("locale", ["ja_JP.EUC-JP", "zh_CN.GBK", "de_DE.ISO-8859-1", "C"])
def test_dispatch_hands_arguments_on_byte_for_byte(tmp_path: Path, locpath: Path, locale: str) -> None:
    machine = Foreign(tmp_path, POSIX | {"LC_ALL": locale}, locpath)
    words = [bytes((first, second)) for first in range(0x80, 0x100) for second in range(0x40, 0x100, 5)]
    argv = [os.fsencode(TOOLKIT), b"dispatch", b"--", *words, b"", b"gr\xfc\xdfe", "日本".encode()]
    done = subprocess.run(argv, cwd=machine.ws, env=machine.env, capture_output=True, timeout=60)
    assert done.stdout.split(b"\n")[1:-1] == [b"argument " + word for word in argv[3:]], done.stderr


def test_a_json_document_is_one_that_every_reader_takes(machine: Foreign) -> None:
    odd = machine.workspace("odd").rename(machine.folder / os.fsdecode(b"\\ud83d \xff\xf0\x9f\x98\x80"))
    (machine.folder / "link").symlink_to(odd)
    for words in (("doctor", "global", "--workspace", odd), ("install", "--workspace", odd, "--dry-run")):
        ran = machine.toolkit(*words, "--json")
        json.dumps(ran.json, ensure_ascii=False).encode("utf-8")  # raises for a lone surrogate
        assert "\\ud83d \\udcff😀" in json.dumps(ran.json, ensure_ascii=False).replace("\\\\", "\\")


def test_people_see_the_paths_bytes_or_their_escapes(machine: Foreign) -> None:
    for words in (("activate",), ("which",), ("doctor", "global"), ("history",), ("state", "enable", "ä")):
        ran = machine.toolkit(*words)
        assert ran.code == 0, ran
        assert ran.out.isascii() == (machine.env["LC_ALL"] == "C")
        assert ("Bücher" in ran.out or "ä" in ran.out) == (machine.env["LC_ALL"] != "C")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_a_stdout_that_cannot_hold_a_character_is_no_error_after_the_change(tmp_path: Path, encoding: str) -> None:
    machine = Foreign(tmp_path, UTF8)
    ran = machine.toolkit("state", "enable", "日本", PYTHONIOENCODING=encoding)
    assert (ran.code, ran.err) == (0, "") and "\\u65e5\\u672c" in ran.out


@pytest.mark.parametrize("words", [("state", "enable", "x"), ("which", "--json"), ("--help",)], ids=" ".join)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_only_a_closed_stdout_is_an_error(tmp_path: Path, words: tuple[str, ...], closed: str) -> None:
    machine = Foreign(tmp_path, UTF8)
    machine.link(machine.ws)
    ran = machine.run("/bin/sh", "-c", f'"$@" {closed}', "sh", TOOLKIT, *words, cwd=machine.ws)
    unheard = ">&-" in closed.split()
    assert (ran.code, ran.err.count("\n"), bool(ran.out)) == (unheard, closed == ">&-", not unheard)
    assert machine.state.exists() == (words[0] == "state")


def test_a_full_disk_under_the_answer_is_an_error_of_one_line(tmp_path: Path) -> None:
    machine = Foreign(tmp_path, UTF8)
    ran = machine.run("/bin/sh", "-c", '"$@" >/dev/full', "sh", TOOLKIT, "state", "enable", "x", cwd=machine.ws)
    assert (ran.code, ran.err.count("\n")) == (1, 1) and "[OUTPUT_FAILED]" in ran.err
    assert json.loads(machine.state.read_bytes())["plugins"]["enabled"] == ["x"]
    both = machine.run("/bin/sh", "-c", '"$@" >/dev/full 2>&1', "sh", TOOLKIT, "which", cwd=machine.ws)
    assert (both.code, both.err) == (1, "")


# -- the library, in a program of any locale ------------------------------------------


def test_the_library_tells_paths_from_the_wires_text(tmp_path: Path, locpath: Path) -> None:
    machine = Foreign(tmp_path, LATIN, locpath)
    make_linkable(machine.ws, "größe")
    machine.own(machine.ws)
    machine.data("plugins", "status", "--repair")
    code = (
        "import os, sys, rawr_install as r; print(sys.getfilesystemencoding()); found = r.assess_install_state("
        "os.getcwd(), allow_global_owner_fallback=True); print(found['status'], found['canonicalWorkspaceSource'])"
    )
    ran = machine.run(sys.executable, "-P", "-c", code, cwd=machine.ws)
    assert ran.out.split() == ["iso8859-1", "IN_SYNC", "global-owner"], ran
