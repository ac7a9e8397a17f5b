"""The fleet's report: what each host's results become, and the page that people look at."""

from __future__ import annotations

import html
import html.parser
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.hosts import run

HOSTILE = (
    "<script>document.title='owned'</script>",
    "\"'><img src=x onerror=\"document.title='owned'\">",
    "{{ lookup('pipe', 'touch owned') }}{% raw %}",
    "&lt;b&gt; \u202egnp.exe \u0000\u001b[31m" + "very/long/" * 40,
    "javascript:alert(1) --> ]]> </style></table>",
)
LEFT = {"changed": False, "msg": "Change 7 is not the newest any more."}
ESCAPED = {0x202E: r"\u202e", 0: r"\x00", 0x1B: r"\x1b"}


def finding(check: str, status: str, summary: str, remedy: str = "") -> dict[str, Any]:
    told = {"text": remedy, "argv": []} if remedy else None
    return {"id": check, "status": status, "summary": summary, "remedy": told}


def checked(user: str, findings: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"results": [{"item": {"user": user}, "data": {"findings": findings}, **more}]}


def hosts() -> dict[str, dict[str, Any]]:
    """Fifty machines as a roll-out leaves them in ``hostvars``: most are well, the others each in their own way."""
    made: dict[str, dict[str, Any]] = {}
    for place in range(50):
        found = {"user": "dev", "item": "", "version": "0.2.0", "path": "/usr/bin"}
        made[f"dev-{place:02}.example.com"] = {"rawr_found": {"results": [found]}, "rawr_checked": checked("dev", [])}
    names = list(made)
    for place, hostile in enumerate(HOSTILE):
        bad = [finding("path.shadowed", "fail", f"{hostile} comes before the entry on PATH.", f"mv {hostile} aside")]
        bad += [finding("owner.vanished", "warn", f"The owner {hostile} is gone.")] if place % 2 else []
        failed = {"failed": True, "code": "GLOBAL_RAWR_MISCONFIGURED", "msg": f"Global rawr: {hostile}"}
        made[names[place * 7]] |= {
            "rawr_checked": checked("dev", bad, **failed),
            "ansible_failed_task": {"name": "Ask each user's doctor"},
            "ansible_failed_result": {"results": [{"item": {"user": "dev"}, **failed}]},
            "rawr_undone": {"results": [{"item": [{"user": "dev"}], **(LEFT if place % 2 else {"changed": True})}]},
        }
    for place, code, message in ((11, "DISK_FULL", "No space left on device."), (12, "FOREIGN_ENTRY", HOSTILE[0])):
        stopped = [{"item": {"user": "dev"}, "failed": True, "code": code, "msg": message}]
        made[names[place]]["ansible_failed_task"] = {"name": "Put the entry in place"}
        made[names[place]]["ansible_failed_result"] = {"results": stopped}
        made[names[place]]["rawr_checked"] = {}
        made[names[place]]["rawr_undone"] = {"skipped": True, "changed": False}
    down = {"item": "", "unreachable": True, "msg": "ssh: connect to host dev-20 port 22: Connection timed out"}
    made[names[20]] = {"rawr_found": {"results": [down]}}
    made[names[23]] = {}
    made[names[24]] = {"rawr_found": {"results": [{"user": "dev", "item": "", "version": None}]}}
    for place, check, status in ((30, "bun.too-old", "warn"), (31, "entry.info", "info"), (32, "bun.too-old", "warn")):
        made[names[place]]["rawr_checked"] = checked("dev", [finding(check, status, "Bun is 1.0.3.", "bun upgrade")])
    return made


@pytest.fixture
def written(ansible: Path, collections: Path, tmp_path: Path) -> Path:
    """The report of these hosts, written by the role itself; the folder with ``report.html`` and ``report.json``."""
    lines = ["all:", "  hosts:"]
    for host, known in hosts().items():
        lines += [f"    {host}:", "      ansible_connection: local"]
        lines += [f"      {name}: {unsafe(value)}" for name, value in known.items()]
    (tmp_path / "inventory.yml").write_text("\n".join(lines) + "\n")
    tasks = "[{import_role: {name: rawr.toolkit.rawr, tasks_from: report}}]"
    (tmp_path / "play.yml").write_text(f"[{{hosts: all, gather_facts: false, tasks: {tasks}}}]\n")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    env["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    options = ("-i", tmp_path / "inventory.yml", "-e", f"rawr_report={tmp_path}/report")
    run(ansible / "ansible-playbook", *options, tmp_path / "play.yml", cwd=tmp_path, env=env)
    return tmp_path


def unsafe(value: Any) -> str:
    """YAML whose strings Ansible takes for data, as it does with what a module returns."""
    if isinstance(value, str):
        return f"!unsafe {json.dumps(value)}" if value else json.dumps(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {unsafe(each)}" for key, each in value.items()) + "}"
    return "[" + ", ".join(map(unsafe, value)) + "]" if isinstance(value, list) else json.dumps(value)


@pytest.mark.slow
def test_the_report_has_every_host_worst_first_and_runs_nothing_that_a_host_says(written: Path) -> None:
    report = json.loads((written / "report.json").read_text())
    verdicts = [row["verdict"] for row in report["rows"]]
    assert len(verdicts) == 50
    order = ["failed", "unhealthy", "unreachable", "absent", "waiting", "warned", "healthy"]
    assert verdicts == sorted(verdicts, key=order.index)
    counts = {"failed": 2, "unhealthy": 5, "unreachable": 1, "absent": 1, "waiting": 1, "warned": 2, "healthy": 38}
    assert report["counts"] == counts
    assert report["checks"] == ["path.shadowed", "bun.too-old", "owner.vanished", "entry.info"]
    assert {row["code"] for row in report["rows"]} >= {"DISK_FULL", "FOREIGN_ENTRY", "GLOBAL_RAWR_MISCONFIGURED"}
    assert not (written / "owned").exists()
    page = Page((written / "report.html").read_text())
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object"}), page.tags
    assert page.attributes.isdisjoint({"onerror", "src", "action"})
    for hostile in HOSTILE:
        assert hostile.translate(ESCAPED) in page.words, hostile


class Page(html.parser.HTMLParser):
    """A page as a browser's parser sees it: its tags, its attributes, its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.pieces: list[str] = []
        self.feed(text)
        self.words = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


MEASURE = """<script>
const all = selector => [...document.querySelectorAll(selector)];
const seen = e => ({text: getComputedStyle(e).color, behind: behind(e)});
const behind = e => {
  const own = getComputedStyle(e).backgroundColor;
  return own !== 'rgba(0, 0, 0, 0)' || !e.parentElement ? own : behind(e.parentElement);
};
document.title = JSON.stringify({
  title: document.title,
  rows: all('tbody tr').length,
  fits: document.documentElement.scrollWidth <= innerWidth,
  worst: all('td.failed, td.unhealthy, td.unreachable').map(e => e.getBoundingClientRect().bottom <= innerHeight),
  page: behind(document.body),
  colours: all('.counts li, td, tbody th, section p, code, small').filter(e => e.innerText.trim()).map(seen),
});
</script>"""


@pytest.mark.full
@pytest.mark.parametrize(("scheme", "number"), [("light", 1), ("dark", 0)])
def test_a_browser_shows_the_worst_on_the_first_screen_in_readable_colours(
    written: Path, scheme: str, number: int
) -> None:
    if not shutil.which("chromium"):
        pytest.skip("needs chromium")
    page = written / "measured.html"
    page.write_text((written / "report.html").read_text() + MEASURE)
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={written}/profile"]
    options += ["--window-size=1280,1000", "--host-resolver-rules=MAP * ~NOTFOUND"]
    options += [f"--blink-settings=preferredColorScheme={number}"]
    dom = run("chromium", *options, "--dump-dom", page.as_uri()).stdout
    told = re.findall(r"<title>(.*?)</title>", dom, re.DOTALL)[0]
    seen = json.loads(html.unescape(told))
    assert seen["title"] == "rawr: 50 machines"
    assert (seen["rows"], seen["fits"]) == (50, True)
    assert seen["worst"] == [True] * 8
    assert (luminance(seen["page"]) > 0.5) == (scheme == "light")
    poor = [each for each in seen["colours"] if contrast(each["text"], each["behind"]) < 4.5]
    assert len(seen["colours"]) > 200
    assert not poor, poor[:3]


def luminance(colour: str) -> float:
    """A colour's relative luminance (WCAG 2.1)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours; WCAG AA asks for 4.5 for text."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
