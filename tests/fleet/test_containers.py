"""What users of images and of chezmoi take from ``fleet/``, as far as it goes without an engine or a registry."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_workspace
from tests.fleet.hosts import PROJECT, run

pytestmark = pytest.mark.slow
FEATURE = PROJECT / "fleet/rawr-install"
SOMEBODY, DEVELOPER = 4321, 4322
# A file system of its own for what an image's build would change; /opt and /usr/local/bin end with the process.
INSIDE = """for folder in /opt /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs $folder; done
PYTHON=/usr/bin/python3 sh {}/install.sh"""
AS_DEVELOPER = f"setpriv --reuid={DEVELOPER} --regid={DEVELOPER} --clear-groups"


@pytest.fixture
def feature(wheelhouse: Path, tmp_path: Path) -> Path:
    """The folder as a user lays it beside a ``devcontainer.json``: with its wheelhouse."""
    shutil.copytree(FEATURE, tmp_path / "rawr-install")
    shutil.copytree(wheelhouse, tmp_path / "rawr-install/wheelhouse")
    return tmp_path / "rawr-install"


@pytest.fixture
def workspaces() -> Iterator[Path]:
    """A mounted folder with a checkout that belongs to a user id of the host's."""
    folder = Path("/tmp") / f"rawr-workspaces-{os.getpid()}"
    make_workspace(folder / "ws")
    run("chown", "-R", f"{SOMEBODY}:{SOMEBODY}", folder)
    yield folder
    shutil.rmtree(folder)


def test_an_image_s_user_has_rawr_and_runs_what_is_trusted(feature: Path, workspaces: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare")
    home = workspaces / "home"
    home.mkdir()
    os.chown(home, DEVELOPER, DEVELOPER)
    rawr = f"env -i HOME={home} PATH=/usr/local/bin:/usr/bin:/bin {{}} {AS_DEVELOPER} rawr"
    script = [INSIDE.format(feature), f"cd {workspaces}/ws"]
    plain = run("unshare", "--mount", "sh", "-ec", "\n".join([*script, rawr.format("") + " hello"]), check=False)
    assert plain.returncode == 126
    assert "WORKSPACE_NOT_TRUSTED" in plain.stderr
    trusting = rawr.format(f"RAWR_TRUSTED_WORKSPACES={workspaces}")
    granted = run("unshare", "--mount", "sh", "-ec", "\n".join([*script, trusting + " hello"]))
    assert granted.stdout == "workspace ws\nargument hello\n"
    assert list(home.iterdir()) == []


@pytest.mark.full
def test_the_image_builds_and_runs(feature: Path, workspaces: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not (shutil.which("buildah") and shutil.which("debootstrap")):
        pytest.skip("needs root, buildah and debootstrap")
    storage = ("--root", tmp_path / "images", "--runroot", tmp_path / "run", "--storage-driver", "vfs")
    options = {"env": {**os.environ, "BUILDAH_ISOLATION": "chroot"}}
    run("debootstrap", "--variant=minbase", "--include=python3-venv", "stable", tmp_path / "root")
    base = run("buildah", *storage, "from", "scratch", **options).stdout.strip()
    run("buildah", *storage, "copy", "-q", base, tmp_path / "root", "/", **options)
    run("buildah", *storage, "commit", "-q", base, "localhost/base", **options)
    run("buildah", *storage, "bud", "--build-arg", "BASE=localhost/base", "-t", "rawr", feature, **options)
    made = run("buildah", *storage, "from", "localhost/rawr", **options).stdout.strip()
    command = "id -un; cd ws && rawr hello && ls -A ~/.rawr 2>/dev/null || true"
    mounted = ("-v", f"{workspaces}:/workspaces")
    ran = run("buildah", *storage, "run", *mounted, made, "--", "sh", "-c", command, **options)
    assert ran.stdout == "dev\nworkspace ws\nargument hello\n"


@pytest.mark.parametrize("tool", ["uv", pytest.param("pipx", marks=pytest.mark.full)])
def test_chezmoi_s_script_sets_a_home_up_and_again(tool: str, wheelhouse: Path, tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "programs"
    for folder in (home, programs):
        folder.mkdir()
    (programs / tool).symlink_to(Path(sys.executable).parent / tool)
    env = {"HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"}
    (home / ".config/uv").mkdir(parents=True)  # pipx, too, asks uv
    (home / ".config/uv/uv.toml").write_text(f'no-index = true\nfind-links = ["{wheelhouse}"]\n')
    env |= {"PIPX_DEFAULT_PYTHON": "/usr/bin/python3", "UV_PYTHON_DOWNLOADS": "never"}
    workspace = make_workspace(tmp_path / "ws")
    for _ in range(2):
        run("sh", PROJECT / "fleet/chezmoi/run_onchange_after_rawr.sh", env=env, cwd=home)
        path = {"PATH": f"{home}/.local/bin:{env['PATH']}"}
        assert run("rawr", "hello", env={**env, **path}, cwd=workspace).stdout == "workspace ws\nargument hello\n"
