"""What the role works out on the controller: which toolkit ``rawr_package`` names, and the fleet as a table."""

import glob
import html
import os

from ansible.errors import AnsibleFilterError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

VERDICTS = ("failed", "unhealthy", "unreachable", "absent", "waiting", "warned", "healthy")  # worst first
STATUSES = ("fail", "crash", "warn", "info")
SHOWN = ("status", "summary", "remedy")


def package(name):
    """``rawr_package`` as a ``requirement``, and as ``source`` the ``wheel`` or folder to copy for it, or ''."""
    path = os.path.abspath(os.path.expanduser(name))
    if os.path.isdir(path) or name.endswith(".whl"):
        wheels = glob.glob(os.path.join(path, "rawr_install-*.whl")) if os.path.isdir(path) else [path]
        versions = [parse_wheel_filename(os.path.basename(each))[1] for each in wheels if os.path.isfile(each)]
        if not versions:
            raise AnsibleFilterError(f"rawr_package: there is no wheel of rawr-install at {path}")
        wheel = "" if os.path.isdir(path) else os.path.basename(path)
        return {"requirement": f"rawr-install=={max(versions)}", "source": path, "wheel": wheel}
    try:
        if canonicalize_name(Requirement(name).name) == "rawr-install":
            return {"requirement": name, "source": "", "wheel": ""}
    except InvalidRequirement:
        pass
    raise AnsibleFilterError(f"rawr_package: {name} is not a requirement of rawr-install, nor a wheel or a folder here")


def toolkits(found, installed):
    """Each user's toolkit: as it was found, or as it stands there since it was installed."""
    told = [each for step in (found, installed) for each in step.get("results", []) if "path" in each]
    keys = ("user", "home", "path", "executable", "version", "satisfied")
    return list({each["user"]: {key: each[key] for key in keys} for each in told}.values())


def fleet(hosts, hostvars):
    """A row for each host and user, worst first, and the checks that found something, the most serious first."""
    rows = [row for host in hosts for row in _rows(host, hostvars[host])]
    rows.sort(key=lambda row: (VERDICTS.index(row["verdict"]), -len(row["findings"]), row["host"], row["user"]))
    found = [(check, _rank(each)) for row in rows for check, each in row["findings"].items()]
    ranks = {check: [rank for name, rank in found if name == check] for check, rank in found}
    checks = sorted(ranks, key=lambda check: (min(ranks[check]), -len(ranks[check]), check))
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    return {"schemaVersion": 1, "counts": counts, "checks": checks, "rows": rows}


def _rows(host, known):
    """A row for each user of one host, by what each step's results say of that user."""
    task = (known.get("ansible_failed_task") or {}).get("name")  # this and the next as a rescued block leaves them
    steps = ("rawr_found", "rawr_checked", "rawr_undone", "ansible_failed_result")
    told = [_by_user(known.get(step) or {}) for step in steps]
    users = sorted({user for step in told for user in step}) or [""]
    return [_row(host, user, task, *(step.get(user, {}) for step in told)) for user in users]


def _by_user(step):
    """A task's results by the user that each is about: the module's own word, else the loop's item."""
    told = {}
    for result in step.get("results", [step] if step.get("failed") else []):
        item = result.get("item", "")
        item = item[0] if isinstance(item, (list, tuple)) else item
        told[result.get("user") or (item if isinstance(item, str) else item["user"])] = result
    return told


def _row(host, user, task, found, checked, undone, stopped):
    """One user of one host: the verdict, why, and what each check found."""
    stopped = stopped if stopped.get("failed") else {}
    told = (checked.get("data") or {}).get("findings", [])
    findings = {each["id"]: {key: each[key] for key in SHOWN} for each in told if each["status"] in STATUSES}
    verdict = _verdict(found, checked, stopped, findings)
    reason = {"unreachable": found, "absent": {"msg": "rawr-install is not installed."}}.get(verdict, stopped)
    worst = min(findings.values(), key=_rank)["summary"] if findings else reason.get("msg", "")
    return {
        "host": host,
        "user": user,
        "version": found.get("version"),
        "verdict": verdict,
        "why": worst.partition("\n")[0],
        "task": task if stopped else None,
        "code": reason.get("code"),
        "message": reason.get("msg"),
        "asked": "data" in checked,
        "rolledBack": None if undone.get("skipped") else undone.get("changed"),
        "leftBecause": None if undone.get("skipped") else undone.get("msg"),
        "findings": findings,
    }


def _rank(finding):
    return STATUSES.index(finding["status"])


def _verdict(found, checked, stopped, findings):
    if found.get("unreachable"):
        return "unreachable"
    if stopped:
        return "unhealthy" if findings else "failed"
    if "data" not in checked:
        return "absent" if found and not found.get("version") else "waiting"
    return "healthy" if {each["status"] for each in findings.values()} <= {"info"} else "warned"


def as_html(value):
    """``value`` with every text in it safe to stand in a page: Ansible's templates leave ``autoescape`` off."""
    if isinstance(value, dict):
        return {as_html(key): as_html(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_html(each) for each in value]
    if not isinstance(value, str):
        return value
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in value)
    return html.escape(shown)


class FilterModule:
    """Ansible's door to these."""

    def filters(self):
        return {"package": package, "toolkits": toolkits, "fleet": fleet, "as_html": as_html}
