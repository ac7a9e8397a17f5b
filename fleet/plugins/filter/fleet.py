"""What the role works out on the controller: which toolkit ``rawr_package`` names, and the fleet as a table."""

import glob
import html
import os

from ansible.errors import AnsibleFilterError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

VERDICTS = ("failed", "unhealthy", "unreachable", "absent", "waiting", "warned", "healthy")  # worst first
STATUSES = ("fail", "crash", "warn", "info")


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
    steps = {name: _by_user(known.get(name)) for name in ("rawr_found", "rawr_checked", "rawr_undone", "rawr_failure")}
    task = (known.get("rawr_failure") or {}).get("task")
    users = sorted({user for step in steps.values() for user in step}) or [""]
    return [_row(host, user, task, *(step.get(user, {}) for step in steps.values())) for user in users]


def _by_user(step):
    """A looped task's results by the user that each is about: the module's own word, else the loop's item."""
    told = {}
    for result in (step or {}).get("results", []):
        item = result.get("item", "")
        item = item[0] if isinstance(item, (list, tuple)) else item
        told[result.get("user") or (item if isinstance(item, str) else item["user"])] = result
    return told


def _row(host, user, task, found, checked, undone, stopped):
    """One user of one host: the verdict, why, and what each check found."""
    told = (checked.get("data") or {}).get("findings", [])
    findings = {each["id"]: _told(each) for each in told if each["status"] in STATUSES}
    verdict = _verdict(found, checked, stopped, findings)
    reason = found if verdict == "unreachable" else stopped
    message = "rawr-install is not installed." if verdict == "absent" else reason.get("msg")
    worst = min(findings.values(), key=_rank)["summary"] if findings else message or ""
    return {
        "host": host,
        "user": user,
        "version": found.get("version"),
        "verdict": verdict,
        "why": worst.partition("\n")[0],
        "task": task if stopped else None,
        "code": reason.get("code"),
        "message": message,
        "asked": "data" in checked,
        "rolledBack": undone.get("changed") if "data" in undone else None,
        "findings": findings,
    }


def _told(finding):
    return {key: finding[key] for key in ("status", "summary", "remedy")}


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
        return {"package": package, "fleet": fleet, "as_html": as_html}
