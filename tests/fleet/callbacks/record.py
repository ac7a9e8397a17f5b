"""An Ansible callback for the tests: what each task said on each host, a line of JSON each."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Appends to the file named by ``FLEET_RECORD``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = "record"

    def _tell(self, status: str, result: Any) -> None:
        said = {key: result._result.get(key) for key in ("changed", "msg", "code", "results", "diff")}
        task = result._task
        told = {"host": result._host.get_name(), "task": task.name, "action": task.action, "status": status, **said}
        told["delegated"] = bool(result._result.get("_ansible_delegated_vars"))
        with open(os.environ["FLEET_RECORD"], "a") as record:
            print(json.dumps(told, default=str), file=record)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._tell("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._tell("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._tell("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._tell("unreachable", result)
