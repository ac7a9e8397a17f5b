"""What a checkout still needs before its CLI can work: Bun, the right Bun, its dependencies.

A checkout needs Bun when its CLI starts with it (the shebang), its
``package.json`` names it (``packageManager``, ``engines.bun``), or there are
dependencies to install. ``packageManager`` names one exact version (so Node's
Corepack defines the field); ``engines.bun`` is an npm range. ``packaging``
judges both.

Bun's version can be *read* from where version managers and npm put it,
without starting anything (a plain download does not tell), or *asked* with
``bun --version``. The doctor reads; activation asks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rawr_install.dispatch import program
from rawr_install.dispatch.workspace import cli_path
from rawr_install.events import log
from rawr_install.files import read_bytes, read_regular
from rawr_install.report import Remedy, to_run

INSTALL_COMMAND = ("bun", "install", "--frozen-lockfile")
ASK_SECONDS = 10.0
_MANIFEST_LIMIT = 4 << 20
_VERSION = r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_HOMES = rf"[/\\](?:bun|[a-z0-9]+-bun)(?:[/\\]|-)v?({_VERSION})[/\\]"
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "workspaces")


class MissingRequirement(NamedTuple):
    """One thing that is missing: a stable ``id``, one sentence, and the command that mends it.

    Ids: ``bun.missing``, ``bun.broken``, ``bun.version``, ``bun.range``,
    ``dependencies.missing``, ``package.unreadable``.
    """

    id: str
    summary: str
    remedy: Remedy | None = None


def requirements(root: str, environ: Mapping[str, str], ask: bool) -> tuple[MissingRequirement, ...]:
    """What the checkout at ``root`` still needs, empty when it is ready; raises nothing.

    With ``ask`` the Bun on PATH is started once for its version, for at most
    :data:`ASK_SECONDS`; without it no process is started.
    """
    try:
        manifest = _read_manifest(os.path.join(root, "package.json"))
    except (OSError, ValueError, RecursionError) as error:
        return (
            MissingRequirement("package.unreadable", f"{root}/package.json is not a readable JSON object: {error}"),
        )
    return (*_bun_needs(root, manifest, environ, ask), *_dependency_needs(root, manifest))


def find(environ: Mapping[str, str]) -> str | None:
    """The ``bun`` that a shell with this environment's PATH would start, or None."""
    return program.find("bun", environ.get("PATH", ""))


def startable(environ: Mapping[str, str]) -> str | None:
    """The ``bun`` that the toolkit itself may start (:func:`rawr_install.dispatch.program.resolve`), or None."""
    return program.resolve("bun", environ.get("PATH", ""))


def read_version(bun: str) -> str | None:
    """Bun's version from the package beside the binary or the folder that it is in; None when neither tells."""
    real = os.path.realpath(bun)
    return _packaged_version(os.path.dirname(os.path.dirname(real))) or _version_in(real)


def ask_version(bun: str, cwd: str, environ: Mapping[str, str]) -> str | None:
    """What ``bun --version`` answers in ``cwd`` (a version manager may choose by folder); None without an answer."""
    import subprocess

    try:
        done = subprocess.run(
            [bun, "--version"],
            cwd=cwd,
            env=program.environment(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(rf"v?({_VERSION})\s*", done.stdout.decode("ascii", "replace"))
    return found[1] if found and done.returncode == 0 else None


def install_dependencies(root: str, environ: Mapping[str, str]) -> int | None:
    """Run Bun's frozen install in ``root``, its output on stderr; the exit status, None when there is no Bun to run."""
    import subprocess

    bun = startable(environ)
    if bun is None:
        return None
    argv, env = [bun, *INSTALL_COMMAND[1:]], log.for_child(program.environment(environ))
    try:
        return subprocess.run(argv, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=2).returncode
    except OSError:
        return None  # gone since, or not in a form that the kernel runs


def satisfies(version: str, wanted: str) -> bool:
    """Whether the semantic ``version`` lies in the npm range ``wanted``; raises ValueError on what is neither."""
    from packaging.specifiers import SpecifierSet

    from rawr_install.machine import npm_range

    spelled = npm_range.pep440(version)
    return any(SpecifierSet(one).contains(spelled, prereleases=True) for one in npm_range.specifiers(wanted))


def _bun_needs(
    root: str, manifest: dict[str, object], environ: Mapping[str, str], ask: bool
) -> Iterator[MissingRequirement]:
    wants = dict(_wanted_versions(manifest))
    if not (wants or _starts_with_bun(cli_path(root)) or _has_dependencies(manifest)):
        return
    found = find(environ)
    if found is None:
        yield MissingRequirement("bun.missing", "Bun is not on PATH, and this checkout needs it.", _get_bun(wants))
        return
    bun = startable(environ) if ask else found
    if bun is None:
        said = f"{found} is not started: it is another user's, or its folder on PATH is a relative one."
        yield MissingRequirement("bun.broken", said, _get_bun(wants))
        return
    version = ask_version(bun, root, environ) if ask else read_version(bun)
    if version is not None:
        yield from _version_needs(bun, version, wants)
    elif ask:
        yield MissingRequirement(
            "bun.broken", f"{bun} does not answer `bun --version` with a version.", _get_bun(wants)
        )


def _version_needs(bun: str, version: str, wants: dict[str, str]) -> Iterator[MissingRequirement]:
    for field, wanted in wants.items():
        try:
            fits = satisfies(version, wanted)
        except ValueError:
            yield MissingRequirement(
                "bun.range", f"package.json's {field} asks for bun {wanted!r}, which is not a version range."
            )
            continue
        if not fits:
            said = f"{bun} is Bun {version}; package.json's {field} asks for {wanted}."
            yield MissingRequirement("bun.version", said, _get_bun(wants))


def _wanted_versions(manifest: dict[str, object]) -> Iterator[tuple[str, str]]:
    """(field, range) for each field that names a version of Bun."""
    manager = manifest.get("packageManager")
    if isinstance(manager, str) and manager.startswith("bun@"):
        yield "packageManager", manager.removeprefix("bun@").split("+")[0].strip()
    engines = manifest.get("engines")
    wanted = engines.get("bun") if isinstance(engines, dict) else None
    if isinstance(wanted, str):
        yield "engines.bun", wanted.strip()


def _get_bun(wants: dict[str, str]) -> Remedy:
    """Bun's own installer (it takes a release's name as its argument), for the exact version where one is named."""
    exact = wants.get("packageManager", "")
    release = f" -s bun-v{exact}" if re.fullmatch(_VERSION, exact) else ""
    return to_run("bash", "-c", f"curl -fsSL https://bun.com/install | bash{release}")


def _dependency_needs(root: str, manifest: dict[str, object]) -> Iterator[MissingRequirement]:
    if _has_dependencies(manifest) and not os.path.isdir(os.path.join(root, "node_modules")):
        said = f"The dependencies of {root} are not installed (no node_modules)."
        remedy = to_run(*INSTALL_COMMAND, "--cwd", root)
        if not os.access(root, os.W_OK):  # another user's, or on a read-only disk
            remedy = Remedy(f"as a user who can write there, run: {remedy.text}")
        yield MissingRequirement("dependencies.missing", said, remedy)


def _has_dependencies(manifest: dict[str, object]) -> bool:
    return any(manifest.get(field) for field in _DEPENDENCIES)


def _starts_with_bun(script: str) -> bool:
    line = read_bytes(script, 256).split(b"\n")[0]
    return line.startswith(b"#!") and re.search(rb"[/\s]bun(\s|$)", line) is not None


def _packaged_version(folder: str) -> str | None:
    """The version of the npm package ``bun`` (or the binary package that it depends on) in ``folder``."""
    try:
        manifest = _read_manifest(os.path.join(folder, "package.json"))
    except (OSError, ValueError, RecursionError):
        return None
    name, version = manifest.get("name"), manifest.get("version")
    named = isinstance(name, str) and (name == "bun" or name.startswith("@oven/bun-"))
    return version if named and isinstance(version, str) and re.fullmatch(_VERSION, version) else None


def _version_in(real: str) -> str | None:
    """``.../bun/1.2.3/bin/bun`` (mise, asdf, Homebrew) or ``.../hash-bun-1.2.3/bin/bun`` (Nix)."""
    found = re.search(_HOMES, real)
    return found[1] if found else None


def _read_manifest(path: str) -> dict[str, object]:
    document = json.loads(read_regular(path, _MANIFEST_LIMIT))
    if not isinstance(document, dict):
        raise ValueError("its top level is not an object")
    return document
