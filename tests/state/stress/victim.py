"""A process that forks mutations to be traced, killed or failed at one of their system calls.

Reads JSON lines ``{"root", "ids", "durable"}``. Each forks a child that stops itself before the first mutation, so that
strace can attach to it, and says ``{"pid"}``; after SIGCONT the child enables each id in its own mutation and marks
each acknowledgement with a ``stat`` of ``/mark/...`` that nothing else does. The parent reports how the child ended and
what it said. Python's own start-up is paid once and is never part of a trace.
"""

from __future__ import annotations

import datetime  # noqa: F401 - what reading another's lock loads
import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from rawr_install.errors import RawrError
from rawr_install.events import log as events
from rawr_install.state import store as state


def mark(name: str) -> None:
    try:
        os.stat(f"/mark/{name}")
    except OSError:
        pass


def mutations(command: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"acked": [], "error": None}
    options = state.RepoStateMutationOptions(durable=command.get("durable", True))
    for name in command["ids"]:

        def enable(found: state.RepoState, name: str = name) -> state.RepoState:
            found["plugins"]["enabled"].append(name)
            return found

        mark(f"begin/{name}")
        try:
            state.mutate_repo_state_atomically(command["root"], enable, options)
        except RawrError as error:
            said["error"] = {"code": error.code, "message": error.message}
        except BaseException as error:
            said["error"] = {"code": f"raw {type(error).__name__}", "message": str(error)}
        mark(f"ack/{name}" if said["error"] is None else f"error/{name}")
        if said["error"] is not None:
            break
        said["acked"].append(name)
    return said


def child(command: dict[str, Any], out: int) -> None:
    gc.disable()
    os.kill(os.getpid(), signal.SIGSTOP)
    said = mutations(command)
    mark("end")
    os.write(out, json.dumps(said).encode())
    os._exit(0)


def main() -> None:
    # The imports that an event brings are paid here once, and are no calls of a mutation.
    events.emit("lock.contended", root="/", holder={}, waitedMs=0, attempts=0)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(command, write)
        os.close(write)
        os.waitpid(pid, os.WUNTRACED)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        said = os.read(read, 1 << 16)
        os.close(read)
        report = {"status": os.waitstatus_to_exitcode(status), "said": json.loads(said) if said else None}
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
