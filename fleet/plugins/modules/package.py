#!/usr/bin/python
"""Install or remove the toolkit itself for one user."""

DOCUMENTATION = """
module: package
short_description: Install or remove rawr-install for one user
version_added: 0.2.0
author: The rawr-install authors (@rawr)
description:
  - Installs with what the toolkit was installed with, else with pipx or uv where one is present, else into a venv
    (C(~/.local/share/rawr-install/venv), with links in C(~/.local/bin)).
  - What another program has put there is never replaced or removed.
options:
  state:
    description: Whether the toolkit is to be there.
    type: str
    choices: [present, absent]
    default: present
  requirement:
    description: What the installed version has to satisfy (PEP 508). Without it the module only looks.
    type: str
  source:
    description: A wheel to install, or a folder of wheels (then no index is asked), on the host.
    type: path
attributes:
  check_mode:
    description: Looks, and says whether it would install or remove.
    support: full
  diff_mode:
    description: The version that is there and the requirement.
    support: full
"""

EXAMPLES = """
- name: Install the toolkit
  rawr.toolkit.package:
    requirement: rawr-install>=0.2
"""

RETURN = """
user:
  description: The user that the module ran as.
  type: str
  returned: success
home:
  description: That user's home.
  type: str
  returned: success
executable:
  description: The C(rawr-install) that was found, or null.
  type: str
  returned: success
version:
  description: Its version, or null.
  type: str
  returned: success
satisfied:
  description: Whether it is there and satisfies the requirement.
  type: bool
  returned: success
path:
  description: The PATH of the user's login shell.
  type: str
  returned: success
code:
  description: C(PYTHON_TOO_OLD), C(PACKAGE_FAILED), C(OTHER_INSTALLER) or the toolkit's own.
  type: str
  returned: failure
"""

import json  # noqa: E402 - Ansible wants the documentation first
import os  # noqa: E402
import pwd  # noqa: E402
import shlex  # noqa: E402
import shutil  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.rawr.toolkit.plugins.module_utils.toolkit import Toolkit  # noqa: E402

COMMANDS = ("rawr-install", "rawr")
MARKS = {"pipx": "pipx_metadata.json", "uv": "uv-receipt.toml"}  # what each leaves in an environment that it made
BIN, SHARE = map(os.path.expanduser, ("~/.local/bin", "~/.local/share/rawr-install"))
VENV = os.path.join(SHARE, "venv")
# Run by the toolkit's own Python, whose environment has `packaging`.
JUDGE = """
import json, sys
from importlib.metadata import distribution
from packaging.requirements import Requirement
found, wanted = distribution("rawr-install"), Requirement(sys.argv[1])
came = json.loads(found.read_text("direct_url.json") or "{}")
vcs = came.get("vcs_info", {})
url = (vcs["vcs"] + "+" if vcs else "") + came.get("url", "")
url += "@" + vcs["requested_revision"] if "requested_revision" in vcs else ""
fits = wanted.url == url if wanted.url else wanted.specifier.contains(found.version, prereleases=True)
print(json.dumps([found.version, fits]))
"""


def look(module):
    """The toolkit that is there: its executable, environment and version, and whether that is what is asked for."""
    toolkit = Toolkit(module)
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(toolkit.executable))) if toolkit.executable else ""
    python = os.path.join(prefix, "bin/python")
    argv = [python, "-I", "-c", JUDGE, module.params["requirement"] or "rawr-install"]
    code, out, _ = module.run_command(argv) if prefix and os.path.exists(python) else (1, "", "")
    version, satisfied = json.loads(out) if code == 0 else (None, False)
    return {
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "home": toolkit.home,
        "executable": toolkit.executable,
        "prefix": prefix,
        "version": version,
        "satisfied": satisfied,
        "path": toolkit.login_path() if version else os.environ.get("PATH", os.defpath),
    }


def installer(module, found):
    """What put the toolkit there, None if that is nobody whom we know; where there is none, what will."""
    if found["executable"] is None:
        return next((name for name in MARKS if module.get_bin_path(name, opt_dirs=[BIN])), "venv")
    if not found["prefix"].startswith(os.path.realpath(found["home"]) + os.sep):
        return None  # the host's own, for every user
    by = [name for name, mark in MARKS.items() if os.path.exists(os.path.join(found["prefix"], mark))]
    return by[0] if by else "venv" if found["prefix"] == os.path.realpath(VENV) else None


def new_enough_python(module):
    """The first Python that can run the toolkit, the host's own ``python3`` before others."""
    seen, ask = [], "import sys; print(*sys.version_info[:2])"
    for name in ["python3", *(f"python3.{minor}" for minor in range(20, 10, -1))]:
        path = module.get_bin_path(name, opt_dirs=[BIN])
        code, out, _ = module.run_command([path, "-c", ask]) if path else (1, "", "")
        if code == 0 and tuple(map(int, out.split())) >= (3, 11):
            return path
        seen += [f"{path} is {out.strip().replace(' ', '.')}"] if code == 0 else []
    told = f"rawr-install needs Python 3.11 or newer; on this host {', '.join(seen) or 'there is none'}."
    return module.fail_json(msg=told, code="PYTHON_TOO_OLD")


def run(module, program, *argv):
    """Run a step; its last words are the failure."""
    path = module.get_bin_path(program, opt_dirs=[BIN])
    code, out, err = module.run_command([path, *argv]) if path else (1, "", f"there is no {program} on this host")
    if code != 0:
        told = f"{' '.join([program, *argv[:2]])} failed: {(err or out).strip()[-800:]}"
        module.fail_json(msg=told, code="PACKAGE_FAILED")


def commands(found, ours):
    """Those of the two commands in ``~/.local/bin`` that lead to the toolkit which is there, or (not ours) do not."""
    paths = [path for path in (os.path.join(BIN, name) for name in COMMANDS) if os.path.lexists(path)]
    return [path for path in paths if os.path.realpath(path).startswith(found["prefix"] + os.sep) == ours]


def install(module, found, by):
    """Install what was asked for, with ``by``; a file of another's in ``~/.local/bin`` stays what it is."""
    source = module.params["source"] or ""
    target = source if source.endswith(".whl") else module.params["requirement"]
    offline = ["--no-index", "--find-links", source] if os.path.isdir(source) else []
    if by == "uv":  # which finds or fetches a Python by itself
        again = ["--reinstall-package", "rawr-install"]
        return run(module, "uv", "tool", "install", "--python", ">=3.11", *again, *offline, target)
    python = new_enough_python(module)
    if by == "pipx":
        options = ["--force"] if found["executable"] else []
        options += ["--pip-args", shlex.join(offline)] if offline else []
        return run(module, "pipx", "install", "--python", python, *options, target)
    run(module, python, "-m", "venv", *([] if found["version"] else ["--clear"]), VENV)
    run(module, os.path.join(VENV, "bin/python"), "-m", "pip", "install", "--upgrade", *offline, target)
    os.makedirs(BIN, exist_ok=True)
    for name in COMMANDS:
        if not os.path.lexists(os.path.join(BIN, name)):
            os.symlink(os.path.join(VENV, "bin", name), os.path.join(BIN, name))
    return None


def remove(module, found, by):
    """Remove what ``by`` has installed, and the wheels that it was installed from."""
    if by != "venv":
        run(module, by, *(["tool"] if by == "uv" else []), "uninstall", "rawr-install")
    for path in commands(found, ours=True):
        os.unlink(path)
    shutil.rmtree(SHARE, ignore_errors=True)


def main():
    """The module."""
    state = {"choices": ["present", "absent"], "default": "present"}
    module = AnsibleModule({"state": state, "requirement": {}, "source": {"type": "path"}}, supports_check_mode=True)
    present, wanted = module.params["state"] == "present", module.params["requirement"]
    found = look(module)
    changed = bool(wanted) and not found["satisfied"] if present else found["executable"] is not None
    by, before = installer(module, found) if changed else "", found["version"]
    if by is None:
        told = f"{found['executable']} ({before}; asked for: {wanted or 'absent'})"
        told += " was put there by something else than pipx, uv or this role, so it is left alone."
        module.fail_json(msg=told, code="OTHER_INSTALLER")
    if changed and present and by != "uv":
        new_enough_python(module)
    foreign = commands(found, ours=False) if by in MARKS and found["executable"] else []
    if foreign:  # an upgrade or a removal by uv, or by pipx with --force, takes what it finds in its commands' places
        module.fail_json(msg=f"{foreign[0]} is not {by}'s, so it is left alone.", code="FOREIGN_ENTRY")
    if changed and not module.check_mode:
        (install if present else remove)(module, found, by)
        found = look(module)
        if present and not found["satisfied"]:
            module.fail_json(msg=f"{by} left version {found['version']}; asked for: {wanted}.", code="PACKAGE_FAILED")
    diff = {"before": f"{before}\n", "after": f"{wanted if present else None} (by {by})\n"} if changed else {}
    module.exit_json(changed=changed, diff=diff, **found)


if __name__ == "__main__":
    main()
