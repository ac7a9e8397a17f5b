#!/usr/bin/python
"""Run one ``rawr-install`` command as an Ansible task."""

DOCUMENTATION = """
module: rawr_install
short_description: Run one rawr-install command
version_added: 0.2.0
author: The rawr-install authors (@rawr)
description:
  - Asks the command for its plan (C(--dry-run --json)), which decides RV(changed) and the diff, then carries it out.
  - In check mode only the plan is asked for, and nothing is written.
  - A failure carries the toolkit's own code.
options:
  argv:
    description: The command and its arguments, without C(--json), C(--dry-run) and C(--yes). C(~/) is the home.
    type: list
    elements: str
    required: true
  each:
    description: Run the command once for each of these last arguments.
    type: list
    elements: str
  reads:
    description: The command only reads, so it has no plan.
    type: bool
    default: false
  newest:
    description: Do it only while this is the newest change in C(rawr-install history), else leave everything as it is.
    type: int
  awaits:
    description: A path that an earlier task makes; where it is missing in check mode, the plan counts as a change.
    type: path
  trusting:
    description: Places that an earlier task grants, which in check mode it has not.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Asks for the plan alone.
    support: full
  diff_mode:
    description: The plan's steps.
    support: full
"""

EXAMPLES = """
- name: Make a workspace the owner
  rawr.toolkit.rawr_install:
    argv: [activate, ~/src/rawr]

- name: Ask the doctor
  rawr.toolkit.rawr_install:
    argv: [doctor, global]
    reads: true
"""

RETURN = """
data:
  description: The document's C(data); of a failure, its C(error.details).
  type: dict
  returned: always
change:
  description: The number of the change in C(rawr-install history), if one was recorded.
  type: int
  returned: when the command writes a record
code:
  description: The toolkit's code.
  type: str
  returned: failure
"""

import os  # noqa: E402 - Ansible wants the documentation first

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.rawr.toolkit.plugins.module_utils.toolkit import Toolkit  # noqa: E402

SPEC = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "each": {"type": "list", "elements": "str"},
    "reads": {"type": "bool", "default": False},
    "newest": {"type": "int"},
    "awaits": {"type": "path"},
    "trusting": {"type": "list", "elements": "str", "default": []},
}


def will_change(plan):
    """Whether a dry run's data says that the command would change something."""
    return bool(plan.get("changed") or plan.get("plan") or plan.get("purged"))


def steps(command, plan):
    """A plan for people, a step a line."""
    told = [step["step"] for step in plan.get("plan", [])] + [f"purge {path}" for path in plan.get("purged", [])]
    return told or [" ".join(command)]


def carry_out(module, toolkit):
    """Ask for the plans, then do what is due and no more."""
    words = [os.path.expanduser(word) for word in module.params["argv"]]
    last = module.params["each"]
    commands = [words] if last is None else [[*words, os.path.expanduser(word)] for word in last]
    plans = [(command, toolkit.get(*command, "--dry-run")) for command in commands]
    due = [(command, plan) for command, plan in plans if will_change(plan)]
    told = "".join(f"{step}\n" for command, plan in due for step in steps(command, plan))
    if module.check_mode:
        return {"changed": bool(due), "data": plans[-1][1] if plans else {}, "diff": {"prepared": told}}
    done = [toolkit.get(*command, "--yes") for command, plan in due]
    data = done[-1] if done else plans[-1][1] if plans else {}
    changed = any(each.get("changed") for each in done)
    return {"changed": changed, "data": data, "change": data.get("change"), "diff": {"prepared": told}}


def main():
    """The module."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    toolkit, awaits, newest = Toolkit(module), module.params["awaits"], module.params["newest"]
    if module.params["reads"]:
        module.exit_json(changed=False, data=toolkit.get(*map(os.path.expanduser, module.params["argv"])))
    if module.check_mode and awaits and not os.path.exists(awaits):
        module.exit_json(changed=True, data={}, diff={"prepared": f"once {awaits} is there\n"})
    if module.check_mode:
        places = [os.path.realpath(os.path.expanduser(place)) for place in module.params["trusting"]]
        granted = [os.environ.get("RAWR_TRUSTED_WORKSPACES", ""), *places]
        module.run_command_environ_update["RAWR_TRUSTED_WORKSPACES"] = ":".join(filter(None, granted))
    if newest is not None:
        records = toolkit.get("history")["records"]
        if not records or records[-1]["id"] != newest:
            module.exit_json(changed=False, data={}, left=True, msg=f"Change {newest} is not the newest any more.")
    module.exit_json(**carry_out(module, toolkit))


if __name__ == "__main__":
    main()
