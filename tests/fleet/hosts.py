"""Machines of a team on one machine: throw-away users behind an sshd of the tests' own, or homes and no users."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import make_workspace

PROJECT = Path(__file__).parent.parent.parent
FOLDER = "rawr-team-"  # and the process that made it, so that the next run can clear what a killed one has left
PATH = "/usr/local/bin:/usr/bin:/bin"
SITE = "[{hosts: all, gather_facts: false, roles: [rawr.toolkit.rawr], vars: {ansible_pipelining: true}}]\n"
LOGIN = 'PATH="$HOME/.local/bin:$PATH"\n'
# What only the controller does; it costs a host nothing.
CONTROLLER = ("set_fact", "validate_argument_spec", "template", "fail")


def run(*argv: str | Path, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that has to succeed; its output is the failure."""
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 570} | options
    done = subprocess.run([str(word) for word in argv], **options)
    assert not check or done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at port {port}")


def clear(folder: Path) -> None:
    """Take away all that a team has left, also one whose test was killed: processes, mounts, users, files."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # it has ended, or it is another user's
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[1].startswith(f"{folder}/"):
            run("umount", "--lazy", line.split()[1], check=False)
    for account in pwd.getpwall():
        if account.pw_dir.startswith(f"{folder}/"):
            run("userdel", "--force", account.pw_name, check=False)
    shutil.rmtree(folder, ignore_errors=True)


class Played(NamedTuple):
    """A finished ansible-playbook: its exit code, its screen, and what each task said on each host."""

    code: int
    screen: str
    results: list[dict[str, Any]]

    def of(self, host: str, status: str) -> list[dict[str, Any]]:
        mine = [each for each in self.results if each["host"] == host and each["status"] == status]
        return [each for each in mine if each["action"].rpartition(".")[2] not in CONTROLLER and not each["delegated"]]

    def changed(self, host: str) -> list[str]:
        return [each["task"] for each in self.of(host, "ok") if each["changed"]]

    def diffs(self, host: str) -> dict[str, str]:
        """What ``--diff`` showed, by task."""
        shown = {}
        for each in self.of(host, "ok"):
            parts = [result.get("diff") or {} for result in each["results"] or []]
            shown[each["task"]] = "".join(part.get("prepared", "") for part in parts if isinstance(part, dict))
        return {task: text for task, text in shown.items() if text}


class Team:
    """The hosts of an inventory, one user each. ``close`` takes the users and the sshd away again."""

    def __init__(self, number: int, ansible: Path, collections: Path, ssh: bool) -> None:
        for folder in Path("/tmp").glob(f"{FOLDER}*"):
            if not Path("/proc", folder.name.split("-")[2]).exists():
                clear(folder)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.ansible, self.collections, self.ssh = ansible, collections, ssh
        self.hosts = [f"host{place:02}" for place in range(number)]
        self.users = {host: f"rawr{self.folder.name.split('-')[2]}x{host[4:]}" for host in self.hosts}
        self.homes = {host: self.folder / "homes" / self.users[host] for host in self.hosts}
        self.programs = self.folder / "programs"  # first on the hosts' PATH
        self.inventory = self.folder / "inventory.ini"
        self.site = self.folder / "site.yml"  # the role alone
        self.exports = ""  # what the environment of a host without ssh has, too
        self.port = free_port()
        self.children: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        (self.folder / "homes").mkdir()
        self.site.write_text(SITE)
        self.programs.mkdir()
        for host, home in self.homes.items():
            if self.ssh:
                run("useradd", "-m", "-d", home, "-s", "/bin/bash", "-p", "*", self.users[host])
            else:
                home.mkdir()
            (home / ".profile").write_text(LOGIN)
            home.chmod(0o755)
        if self.ssh:
            self._start_sshd()
        self.write_inventory()

    def close(self) -> None:
        clear(self.folder)
        for child in self.children:
            child.wait(10)

    def write_inventory(self, *, down: str = "") -> None:
        """The inventory; at the port of the host that is ``down`` nobody listens."""
        lines = ["[team]"]
        for host in self.hosts:
            port = 9 if host == down else self.port
            way = f"ansible_user={self.users[host]} ansible_port={port}" if self.ssh else self._local(host)
            lines.append(f"{host} {way}")
        if self.ssh:
            options = f"-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o ControlPath={self.folder}/%C"
            lines += ["[team:vars]", "ansible_host=127.0.0.1", f"ansible_ssh_private_key_file={self.folder}/key"]
            lines += [f"ansible_ssh_common_args={options}", "ansible_python_interpreter=/usr/bin/python3"]
        self.inventory.write_text("\n".join(lines) + "\n")

    def _local(self, host: str) -> str:
        python = self.folder / f"python-{host}"
        python.write_text(f'#!/bin/sh\nHOME={self.homes[host]} {self.exports} exec /usr/bin/python3 "$@"\n')
        python.chmod(0o755)
        return f"ansible_connection=local ansible_python_interpreter={python}"

    def _start_sshd(self) -> None:
        for name in ("key", "hostkey"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where Debian's sshd separates privileges
        config = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": self.folder / "hostkey",
            "AuthorizedKeysFile": self.folder / "key.pub",
            "AllowUsers": " ".join(self.users.values()),
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "MaxStartups": "200",
            "Subsystem": "sftp internal-sftp",
            "SetEnv": f"PATH={self.programs}:{PATH}",
        }
        (self.folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in config.items()))
        self.serve("/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config", port=self.port)

    def serve(self, *argv: str | Path, port: int) -> None:
        """A server that lives as long as the team."""
        command = [str(word) for word in argv]
        with (self.folder / "servers.log").open("ab") as log:
            self.children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        wait_for(port)

    def start(self, playbook: str, *words: str, **variables: object) -> subprocess.Popen[bytes]:
        (self.folder / "record.jsonl").write_text("")
        variables = {"rawr_report": str(self.folder / "report"), **variables}
        command = [self.ansible / "ansible-playbook", "-i", self.inventory, "-e", json.dumps(variables), *words]
        environment = {
            "PATH": f"{self.programs}:{PATH}",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORKS": "10",
            "ANSIBLE_TIMEOUT": "10",
            "FLEET_RECORD": str(self.folder / "record.jsonl"),
        }
        with (self.folder / "screen").open("w") as screen:
            return subprocess.Popen(
                [*map(str, command), playbook if playbook.endswith(".yml") else f"rawr.toolkit.{playbook}"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def played(self) -> list[dict[str, Any]]:
        """What the tasks have said so far; a killed playbook may leave half a line."""
        lines = (self.folder / "record.jsonl").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def play(self, playbook: str, *words: str, **variables: object) -> Played:
        """Run a playbook of the collection's, or a file, to its end."""
        process = self.start(playbook, *words, **variables)
        try:
            code = process.wait(570)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Played(code, (self.folder / "screen").read_text(), self.played())

    def at(self, host: str, command: str, check: bool = True) -> str:
        """What a command prints in a login shell of the host's user."""
        if self.ssh:
            done = run("su", "-", self.users[host], "-c", command, check=check)
        else:
            done = run("bash", "-lc", command, check=check, cwd="/", env={"HOME": str(self.homes[host]), "PATH": PATH})
        return done.stdout

    def link(self, host: str, environment: Path) -> None:
        """Let a host's user have the toolkit of an environment that stands elsewhere."""
        folder = self.homes[host] / ".local/bin"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("rawr-install", "rawr"):
            (folder / name).symlink_to(environment / "bin" / name)
        self.give(host, self.homes[host] / ".local")

    def workspace(self, host: str, name: str, **options: Any) -> Path:
        """A workspace in the host's home."""
        made = make_workspace(self.homes[host] / name, **options)
        self.give(host, made)
        return made

    def give(self, host: str, path: Path) -> None:
        """Make a file or folder the host's user's own."""
        if self.ssh:
            run("chown", "-hR", f"{self.users[host]}:", path)

    def report(self) -> dict[str, Any]:
        """The fleet's report, rows by host."""
        told = json.loads((self.folder / "report.json").read_text())
        return {**told, "hosts": {row["host"]: row for row in told["rows"]}}
