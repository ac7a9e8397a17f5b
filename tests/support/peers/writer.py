"""One of our writers as a process: ``peer.mjs``'s commands, carried out by ``rawr_install.state``.

Beyond the peer's verbs and options it knows ``strategy`` (a name of ``strategies.STRATEGIES`` instead of ours),
``durable``, and the lock's hook points as values of ``stop`` and ``crash``. ``log`` is ``enable`` and ``disable`` with
a protocol: each step also enables an id ``log/<position>/<slot>/<step>``, so the file itself tells the serial order.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from rawr_install.errors import RawrError
from rawr_install.state import failpoints, store as state
from tests.support.peers.strategies import STRATEGIES

Enabled = Callable[[list[str]], list[str]]


def say(**message: Any) -> None:
    os.write(1, (json.dumps(message) + "\n").encode())


def settings(command: dict[str, Any]) -> state.RepoStateMutationOptions:
    given = {"durable": command.get("durable", False)}
    if "timeout" in command:
        given["lock_timeout"] = command["timeout"] / 1000
    return state.RepoStateMutationOptions(**given)


def mutate(command: dict[str, Any], change: Enabled) -> tuple[float, str]:
    """Run ``change`` on the enabled ids under our lock or the command's strategy.

    Returns the wait in milliseconds, and the proof by which somebody's lock was taken away.
    """
    began, entered = time.monotonic(), []

    def timed(enabled: list[str]) -> list[str]:
        entered.append(time.monotonic())
        return change(enabled)

    def mutator(found: state.RepoState) -> state.RepoState:
        found["plugins"]["enabled"] = timed(found["plugins"]["enabled"])
        return found

    takeover = ""
    if strategy := command.get("strategy"):
        STRATEGIES[strategy](Path(command["root"]) / ".rawr/state", timed, command.get("durable", False))
    else:
        takeover = state.mutate_repo_state_atomically(command["root"], mutator, settings(command)).takeover
    return (entered[0] - began) * 1e3, takeover


class Report:
    """What a command did; the peer's report."""

    def __init__(self) -> None:
        self.acked: list[Any] = []
        self.errors: list[dict[str, Any]] = []
        self.waits: list[float] = []
        self.takeovers: list[str] = []
        self.lost = 0
        self.final = 0
        self.began = time.monotonic()

    def step(self, name: Any, command: dict[str, Any], change: Enabled) -> bool:
        try:
            waited, takeover = mutate(command, change)
        except RawrError as error:
            self.errors.append({"id": name, "message": error.message, "code": error.code})
            return False
        self.waits.append(waited)
        if takeover:
            self.takeovers.append(takeover)
        self.acked.append(name)
        return True

    def tell(self) -> None:
        say(
            event="done", seconds=time.monotonic() - self.began, **{k: v for k, v in vars(self).items() if k != "began"}
        )


def enable(command: dict[str, Any], report: Report) -> None:
    for name in command["ids"]:
        report.step(name, command, lambda enabled, name=name: [*enabled, name])  # type: ignore[misc]
        time.sleep(command.get("think", 0) / 1e3)


def count(command: dict[str, Any], report: Report) -> None:
    """One id ``<slot>-<n>`` is this process's counter: finding less than what was last acknowledged is a loss."""
    mark, known, tried = f"{command['slot']}-", int(command.get("from", 0)), 0

    def up(enabled: list[str]) -> list[str]:
        nonlocal tried
        mine = [name for name in enabled if name.startswith(mark)]
        now = max((int(name.removeprefix(mark)) for name in mine), default=0)
        report.lost += now < known  # more than known: an unacknowledged attempt of ours took effect
        tried = now + 1
        return [*(name for name in enabled if not name.startswith(mark)), f"{mark}{tried}"]

    for done in steps(command):
        if report.step(done, command, up):
            known = tried
        time.sleep(command.get("think", 0) / 1e3)
    report.final = known


def steps(command: dict[str, Any]) -> Iterator[int]:
    began, done = time.monotonic(), 0
    while time.monotonic() - began < command["seconds"] if "seconds" in command else done < command["times"]:
        yield done
        done += 1


def log(command: dict[str, Any], report: Report) -> None:
    """``steps``: a list of [verb, id]; see the module."""
    for position, (verb, name) in enumerate(command["steps"]):

        def mutator(found: state.RepoState, verb: str = verb, name: str = name, position: int = position) -> Any:
            lists = found["plugins"]
            on, off = set(lists["enabled"]), set(lists.get("disabled", []))
            (on if verb == "enable" else off).add(name)
            (off if verb == "enable" else on).discard(name)
            place = sum(entry.startswith("log/") for entry in on)
            lists["enabled"] = [*on, f"log/{place:05}/{command['slot']}/{position}"]
            lists["disabled"] = [*off]
            return found

        try:
            state.mutate_repo_state_atomically(command["root"], mutator, settings(command))
            report.acked.append(position)
        except RawrError as error:
            report.errors.append({"id": position, "message": error.message, "code": error.code})


def hold(command: dict[str, Any], report: Report) -> None:
    def sleeping(enabled: list[str]) -> list[str]:
        say(event="held", pid=os.getpid())
        time.sleep(command.get("ms", 3_600_000) / 1e3)
        return [*enabled, *command.get("ids", [])]

    report.step("hold", command, sleeping)


VERBS: dict[str, Callable[[dict[str, Any], Report], None]] = {
    "enable": enable,
    "count": count,
    "log": log,
    "hold": hold,
}


def obey(command: dict[str, Any]) -> None:
    failpoints.handler = at_point(command) if {"stop", "crash"} & command.keys() else None
    time.sleep(max(0.0, command.get("at", 0) - time.monotonic()))
    report = Report()
    VERBS[command["verb"]](command, report)
    report.tell()


def at_point(command: dict[str, Any]) -> Callable[[str], None]:
    def reached(point: str) -> None:
        if command.get("crash") == point:
            os.kill(os.getpid(), signal.SIGKILL)
        if command.get("stop") == point:
            del command["stop"]
            say(event="stopped", point=point)
            os.kill(os.getpid(), signal.SIGSTOP)

    return reached


def main() -> None:
    say(event="ready", pid=os.getpid())
    for line in sys.stdin:
        obey(json.loads(line))


if __name__ == "__main__":
    main()
