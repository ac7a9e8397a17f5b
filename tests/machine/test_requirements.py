"""What a checkout still needs, with a fake ``bun`` on PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rawr_install.machine import requirements as bun
from tests.conftest import make_workspace

BUN_CLI = "#!/usr/bin/env bun\nconsole.log(1)\n"


def fake_bun(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}


def checkout(tmp_path: Path, manifest: object, cli: str = BUN_CLI) -> str:
    root = make_workspace(tmp_path / "work space", cli=cli)
    (root / "package.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return str(root)


def ids(needs: tuple[bun.MissingRequirement, ...]) -> list[str]:
    return [need.id for need in needs]


@pytest.mark.parametrize(
    ("manifest", "answer", "expected"),
    [
        ({}, "1.2.3", []),
        ({"packageManager": "bun@1.2.3"}, "1.2.3", []),
        ({"packageManager": "bun@1.2.3+sha256.ab12"}, "1.2.3", []),
        ({"packageManager": "bun@1.2.3"}, "1.2.4", ["bun.version"]),
        ({"packageManager": "bun@1.2.3"}, "1.1.0", ["bun.version"]),
        ({"packageManager": "pnpm@9.0.0"}, "1.2.3", []),
        ({"packageManager": 7, "engines": ["bun"]}, "1.2.3", []),
        ({"engines": {"bun": ">=1.2"}}, "1.2.3", []),
        ({"engines": {"bun": ">=1.2"}}, "1.3.0-canary.5+abcdef", []),
        ({"engines": {"bun": "^1.3.0", "node": ">=30"}}, "1.2.3", ["bun.version"]),
        ({"packageManager": "bun@1.2.3", "engines": {"bun": "^2"}}, "1.2.4", ["bun.version", "bun.version"]),
        ({"engines": {"bun": "latest"}}, "1.2.3", ["bun.range"]),
        ({"dependencies": {"a": "1"}}, "1.2.3", ["dependencies.missing"]),
        ({"devDependencies": {"a": "1"}}, "1.2.3", ["dependencies.missing"]),
        ({"workspaces": ["apps/*"]}, "1.2.3", ["dependencies.missing"]),
        ({"workspaces": [], "dependencies": {}}, "1.2.3", []),
        ({"workspaces": ["apps/*"], "packageManager": "bun@1.0.0"}, "1.2.3", ["bun.version", "dependencies.missing"]),
        ("not json", "1.2.3", ["package.unreadable"]),
        ("[]", "1.2.3", ["package.unreadable"]),
        ("[" * 100_000, "1.2.3", ["package.unreadable"]),
    ],
)
def test_what_is_missing_follows_from_the_manifest(
    tmp_path: Path, manifest: object, answer: str, expected: list[str]
) -> None:
    fake_bun(tmp_path / "bin/bun", f"echo {answer}")
    assert ids(bun.requirements(checkout(tmp_path, manifest), environment(tmp_path), ask=True)) == expected


@pytest.mark.parametrize(
    ("manifest", "cli", "needed"),
    [
        ({}, BUN_CLI, True),
        ({}, "#!/opt/bun/bin/bun\n", True),
        ({}, "#!/usr/bin/env -S bun run\n", True),
        ({}, "#!/bin/sh\n# bun\n", False),
        ({"engines": {"bun": "*"}}, "#!/bin/sh\n", True),
        ({"dependencies": {"a": "1"}}, "#!/bin/sh\n", True),
    ],
)
def test_bun_is_missing_only_where_the_checkout_uses_it(
    tmp_path: Path, manifest: object, cli: str, needed: bool
) -> None:
    needs = bun.requirements(checkout(tmp_path, manifest, cli), environment(tmp_path), ask=True)
    assert ("bun.missing" in ids(needs)) is needed


@pytest.mark.parametrize("pin", ["bun@1.2.3", "bun@1.2.3+sha224.953c8233f7a9"])
def test_the_remedy_for_a_pinned_bun_installs_that_release(tmp_path: Path, pin: str) -> None:
    need, *_ = bun.requirements(checkout(tmp_path, {"packageManager": pin}), environment(tmp_path), ask=True)
    assert need.id == "bun.missing"
    assert need.remedy and need.remedy.argv[-1].endswith("| bash -s bun-v1.2.3")


def test_a_pin_that_is_no_version_does_not_reach_the_remedys_shell(tmp_path: Path) -> None:
    root = checkout(tmp_path, {"packageManager": "bun@1.0.0; touch pwned"})
    need, *_ = bun.requirements(root, environment(tmp_path), ask=True)
    assert need.remedy and need.remedy.argv == ("bash", "-c", "curl -fsSL https://bun.com/install | bash")


def test_the_remedy_for_dependencies_names_the_checkout(tmp_path: Path) -> None:
    root = checkout(tmp_path, {"workspaces": ["apps/*"]})
    fake_bun(tmp_path / "bin/bun", "echo 1.2.3")
    (need,) = bun.requirements(root, environment(tmp_path), ask=True)
    assert need.remedy and need.remedy.argv == ("bun", "install", "--frozen-lockfile", "--cwd", root)
    os.mkdir(f"{root}/node_modules")
    assert bun.requirements(root, environment(tmp_path), ask=True) == ()


@pytest.mark.parametrize("body", ["exit 3", "echo hello", "echo 1.2.3; exit 1", ":", "kill -9 $$"])
def test_a_bun_that_does_not_answer_is_broken(tmp_path: Path, body: str) -> None:
    fake_bun(tmp_path / "bin/bun", body)
    assert ids(bun.requirements(checkout(tmp_path, {}), environment(tmp_path), ask=True)) == ["bun.broken"]


def test_a_bun_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bun, "ASK_SECONDS", 0.2)
    fake_bun(tmp_path / "bin/bun", "exec sleep 60")
    env = {**environment(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    assert ids(bun.requirements(checkout(tmp_path, {}), env, ask=True)) == ["bun.broken"]


def test_reading_starts_no_process(tmp_path: Path) -> None:
    fake_bun(tmp_path / "bin/bun", f"echo started > '{tmp_path}/started'; echo 0.1.0")
    root = checkout(tmp_path, {"engines": {"bun": ">=1"}})
    assert bun.requirements(root, environment(tmp_path), ask=False) == ()
    assert not (tmp_path / "started").exists()
    assert ids(bun.requirements(root, environment(tmp_path), ask=True)) == ["bun.version"]
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "place",
    [
        "installs/bun/1.1.9/bin/bun",
        "Cellar/bun/1.1.9/bin/bun",
        "tools/bun/1.1.9/bun",
        "store/0a1b2c-bun-1.1.9/bin/bun",
        "versions/bun/v1.1.9/bin/bun",
    ],
)
def test_a_version_managers_folder_tells_the_version(tmp_path: Path, place: str) -> None:
    real = fake_bun(tmp_path / place, "exit 1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bun").symlink_to(real)
    root = checkout(tmp_path, {"engines": {"bun": ">=1.2"}})
    (need,) = bun.requirements(root, environment(tmp_path), ask=False)
    assert (need.id, "is Bun 1.1.9" in need.summary) == ("bun.version", True)


@pytest.mark.parametrize(("name", "read"), [("bun", "1.1.9"), ("@oven/bun-linux-x64", "1.1.9"), ("other", None)])
def test_the_package_beside_the_binary_tells_the_version(tmp_path: Path, name: str, read: str | None) -> None:
    real = fake_bun(tmp_path / "node_modules/bun/bin/bun.exe", "exit 1")
    (real.parent.parent / "package.json").write_text(json.dumps({"name": name, "version": "1.1.9"}))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bun").symlink_to(real)
    assert bun.read_version(str(tmp_path / "bin/bun")) == read


def test_a_plain_binary_does_not_tell_its_version(tmp_path: Path) -> None:
    assert bun.read_version(str(fake_bun(tmp_path / ".bun/bin/bun", ":"))) is None
