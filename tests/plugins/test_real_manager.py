"""A real workspace CLI: Bun, oclif and oclif's plugin manager, beside what this toolkit says and does about them.

``.ci/run`` puts them into ``build/npm``; so does the command that a skipped test names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Machine, Ran
from tests.support.plugins import entries_of, manager_file

PACKAGES = PROJECT / "build/npm/node_modules"
BUN = PACKAGES / "@oven/bun-linux-x64/bin"
RUN = """#!/usr/bin/env bun
import { execute } from "@oclif/core";
await execute({ dir: import.meta.url });
"""
HELLO = """import { Command } from "@oclif/core";
export default class Hello extends Command { async run() { this.log(`hello from ${process.cwd()}`); } }
"""
PRINT = """import { Command } from "@oclif/core";
export default class Print extends Command {
  static strict = false;
  async run() { console.log(JSON.stringify(%s)); }
}
"""
LACKS = 'import { nothing } from "@rawr/security";\n'
OCLIF = {"bin": "rawr", "dirname": "@rawr/cli", "commands": "./src/commands", "topicSeparator": " "}
COMMANDS = {"commands": "./src/commands", "typescript": {"commands": "./src/commands"}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BUN / "bun").exists(),
        reason="run: npm install --prefix build/npm @oven/bun-linux-x64@1 @oclif/core@4 @oclif/plugin-plugins@5",
    ),
]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def root(machine: Machine) -> Path:
    """A workspace whose CLI is an oclif program with the plugin manager, and one toolkit plugin."""
    machine.env["PATH"] = f"{BUN}:{machine.env['PATH']}"
    made = machine.workspace("ws", cli=RUN)
    plugins = {"@oclif/plugin-plugins": "*"}
    package = {"name": "@rawr/cli", "version": "1.0.0", "type": "module", "dependencies": plugins}
    write(
        made / "apps/cli/package.json",
        json.dumps({**package, "oclif": {**OCLIF, "plugins": [*plugins]}}),
    )
    command(made, "greet", HELLO)
    plugin = made / "plugins/cli/hello"
    manifest = {"name": "@rawr/plugin-hello", "version": "1.0.0", "type": "module", "oclif": COMMANDS}
    write(plugin / "package.json", json.dumps({**manifest, "rawr": {"kind": "toolkit", "capability": "hello"}}))
    write(plugin / "src/commands/hello.js", HELLO)
    web = {"name": "page", "rawr": {"kind": "web", "capability": "x"}, "exports": {"./web": "./w.js"}}
    write(made / "plugins/web/page/package.json", json.dumps(web))
    for place in (made, plugin):
        (place / "node_modules").symlink_to(PACKAGES)
    return made


def command(root: Path, name: str, text: str) -> Path:
    return write(root / f"apps/cli/src/commands/{name}.js", text)


def rawr(machine: Machine, root: Path, *words: str | Path) -> Ran:
    """The workspace CLI, started as its link or shim starts it."""
    return machine.run(root / "apps/cli/bin/run.js", *words, cwd=root)


def status(machine: Machine, root: Path, *words: str) -> str:
    done = machine.rawr_install("plugins", "status", *words, "--json", cwd=root).json
    found: str = (done.get("data") or done["error"]["details"])["install"]["status"]
    return found


# -- links ----------------------------------------------------------------------


def test_what_the_manager_links_is_in_sync(machine: Machine, root: Path) -> None:
    assert status(machine, root) == "DRIFT_DETECTED"
    assert rawr(machine, root, "plugins", "link", root / "plugins/cli/hello", "--no-install").code == 0
    assert status(machine, root) == "IN_SYNC"


def test_the_manager_loads_what_a_repair_links_and_forgets_what_it_uninstalls(machine: Machine, root: Path) -> None:
    assert rawr(machine, root, "hello").code != 0
    assert status(machine, root, "--repair") == "IN_SYNC"
    assert f"hello from {root}" in rawr(machine, root, "hello").out
    [linked] = [row for row in json.loads(rawr(machine, root, "plugins", "--json").out) if row["type"] == "link"]
    assert (linked["name"], linked["root"]) == ("@rawr/plugin-hello", str(root / "plugins/cli/hello"))
    assert rawr(machine, root, "plugins", "uninstall", "@rawr/plugin-hello").code == 0
    assert status(machine, root) == "DRIFT_DETECTED"


def test_a_repair_keeps_what_the_manager_wrote(machine: Machine, root: Path) -> None:
    rawr(machine, root, "plugins", "link", root / "plugins/cli/hello", "--no-install")
    path = manager_file(machine)
    before = path.read_text()
    (root / "plugins/cli/hello").rename(root / "plugins/cli/moved")
    assert status(machine, root) == "STALE_LINKS"
    assert status(machine, root, "--repair") == "IN_SYNC"
    moved = before.replace("plugins/cli/hello", "plugins/cli/moved")
    assert json.loads(path.read_text()) == json.loads(moved), "all else is as the manager wrote it"
    assert [entry["root"] for entry in entries_of(path)] == [str(root / "plugins/cli/moved")]
    assert rawr(machine, root, "hello").code == 0


# -- the gate -------------------------------------------------------------------


def enable(machine: Machine, root: Path, *words: str) -> Ran:
    return machine.rawr_install("plugins", "web", "enable", "page", *words, cwd=root)


def test_the_gate_of_a_real_cli_is_asked_with_its_own_tolerance(machine: Machine, root: Path) -> None:
    finding = {"kind": "secret", "severity": "high"}
    command(root, "security/check", PRINT % json.dumps({"data": {"report": {"ok": False, "findings": [finding]}}}))
    assert "[SECURITY_GATE_BLOCKED]" in enable(machine, root).err
    write(root / "rawr.config.ts", "export default {};\n")
    assert "[NOT_IMPLEMENTED]" in enable(machine, root).err, "its CLI has no `config show`"
    said = {"data": {"config": {"plugins": {"defaultRiskTolerance": "permissive"}}}}
    command(root, "config/show", PRINT % json.dumps(said))
    assert enable(machine, root).out.startswith("enabled: page\n")


@pytest.mark.parametrize("how", ["no command", "a module is missing", "nothing is printed"])
def test_a_real_cli_without_a_gate_has_none(machine: Machine, root: Path, how: str) -> None:
    if how == "a module is missing":
        command(root, "security/check", LACKS + PRINT % "{}")
    elif how == "nothing is printed":
        command(root, "security/check", HELLO.replace("this.log(`hello from ${process.cwd()}`);", ""))
    ran = enable(machine, root, "--risk", "off")
    assert (ran.code, "[NOT_IMPLEMENTED]" in ran.err) == (2, True)
    assert "node_modules" not in ran.err and "    at " not in ran.err
    assert not (root / ".rawr/state/state.json").exists()


# -- dispatch, dependencies -------------------------------------------------------


def test_the_owners_real_cli_runs_outside_where_the_fallback_is_enabled(machine: Machine, root: Path) -> None:
    machine.env["PATH"] = f"{Path(sys.executable).parent}:{machine.env['PATH']}"  # both commands, as they are installed
    assert f"hello from {root}" in machine.run("rawr", "greet", cwd=root).out
    assert machine.run("rawr", "greet", cwd=machine.home).code == 127
    assert machine.rawr_install("activate", root).code == 0
    assert machine.rawr_install("fallback", "enable").code == 0
    ran = machine.run("rawr", "greet", cwd=machine.home)
    assert (ran.code, ran.out) == (0, f"hello from {machine.home}\n"), ran.err


def test_dependencies_are_installed_by_a_real_bun(machine: Machine, root: Path) -> None:
    (root / "node_modules").unlink()
    package = {"name": "ws", "workspaces": ["packages/*"], "dependencies": {"left": "workspace:*"}}
    write(root / "package.json", json.dumps(package))
    write(root / "packages/left/package.json", json.dumps({"name": "left", "version": "1.0.0"}))
    assert machine.run("bun", "install", "--lockfile-only", cwd=root).code == 0
    done = machine.rawr_install("activate", root, "--install-deps", "--json")
    assert (done.code, done.json["data"]["installDeps"], done.json["data"]["needs"]) == (0, "done", [])
    assert (root / "node_modules/left").resolve() == root / "packages/left"
    write(root / "packages/left/package.json", json.dumps({"name": "other", "version": "1.0.0"}))
    failed = machine.rawr_install("activate", root, "--install-deps")
    assert failed.code == 1 and "[INSTALL_DEPS_FAILED]" in failed.out
