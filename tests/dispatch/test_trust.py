"""Who else could decide what runs in a workspace: each owner, mode, link and grant alone, on real files."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rawr_install.dispatch import trust as module
from rawr_install.dispatch.trust import chain, exchangers, is_granted, trust, trust_remedy, writable_remedy
from rawr_install.files import is_sticky
from tests.support.machine import make_workspace

OTHER = 65534
OWN = ["", "apps", "apps/cli", "apps/cli/bin"]
pytestmark = [
    pytest.mark.contract("C3", "dispatch.trust", "another user's workspace runs only once it is trusted"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away"),
]


class Place:
    """A home that is the user's, with a workspace in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.root = make_workspace(self.home / "code/ws")
        self.env = {"HOME": str(self.home)}

    def grant(self, *lines: object) -> None:
        (self.home / ".rawr").mkdir(exist_ok=True)
        (self.home / ".rawr/trusted-workspaces").write_text("".join(f"{line}\n" for line in lines))

    def obstacle(self, cwd: Path | None = None, root: Path | None = None) -> str:
        return trust(str(root or self.root), self.env, str(cwd) if cwd else None).obstacle


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def belongs(path: Path) -> str:
    return f"{path} belongs to another user (uid {OTHER})"


# -- owners ----------------------------------------------------------------------------


def test_what_is_wholly_the_users_has_no_obstacle(place: Place) -> None:
    found = trust(str(place.root), place.env, str(place.root))
    assert (found.obstacle, found.place, found.of_cwd, found.granted, found.writable()) == ("", "", False, False, ())


@pytest.mark.parametrize("name", [*OWN, "apps/cli/bin/run.js", ".."])
def test_each_part_of_the_way_alone_must_be_the_users(name: str, place: Place) -> None:
    path = Path(os.path.normpath(place.root / name))
    os.chown(path, OTHER, -1)
    found = trust(str(place.root), place.env)
    assert (found.obstacle, found.place, found.of_cwd) == (belongs(path), str(path), False)


@pytest.mark.parametrize("name", [*OWN, "apps/cli/bin/run.js"])
def test_root_may_own_each_part_for_a_user(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in [place.home, *place.home.rglob("*")]:
        os.chown(path, OTHER, -1)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert place.obstacle() == ""
    os.chown(place.root / name, 0, -1)
    assert place.obstacle() == ""
    os.chown(place.root / name, OTHER - 1, -1)
    assert "belongs to another user" in place.obstacle()


@pytest.mark.parametrize(
    ("home", "asked"), [("home", False), ("home/", False), ("elsewhere", True), ("", True), ("hom", True)]
)
def test_above_the_users_own_home_nobody_is_asked(home: str, asked: bool, place: Place) -> None:
    os.chown(place.folder, OTHER, -1)
    place.env = {"HOME": f"{place.folder}/{home}"} if home else {}
    assert place.obstacle() == (belongs(place.folder) if asked else "")


def test_a_relative_home_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    os.chown(place.folder, OTHER, -1)
    place.env = {"HOME": "home"}
    assert place.obstacle() == belongs(place.folder)


def test_a_home_of_another_user_is_asked_and_what_is_above_it(place: Place) -> None:
    os.chown(place.home, OTHER, -1)
    assert place.obstacle() == belongs(place.home)
    os.chown(place.folder, OTHER, -1)
    assert place.obstacle() == belongs(place.folder)


def test_a_workspace_beside_the_home_is_asked_about_all_above_it(place: Place) -> None:
    beside = make_workspace(place.folder / "home2/ws")
    os.chown(beside.parent, OTHER, -1)
    assert place.obstacle(root=beside) == belongs(beside.parent)
    os.chown(place.folder, OTHER, -1)  # above both
    assert place.obstacle(root=beside) == belongs(place.folder)


@pytest.mark.parametrize(
    ("path", "mode", "uid", "safe"),
    [
        ("/tmp", 0o41777, OTHER, True),
        ("/tmp", 0o40777, OTHER, False),
        ("/var/tmp", 0o41777, OTHER, False),
        ("/tmp", 0o40755, 0, True),
        ("/srv", 0o40777, 0, True),
    ],
)
def test_of_a_sticky_tmp_no_owner_is_asked(path: str, mode: int, uid: int, safe: bool) -> None:
    assert module._is_safe(path, os.stat_result((mode, 0, 0, 0, uid, 0, 0, 0, 0, 0))) is safe


# -- links -----------------------------------------------------------------------------


def test_a_link_is_judged_and_where_it_leads(place: Place) -> None:
    link = place.home / "link"
    link.symlink_to(place.root)
    assert place.obstacle(root=link) == ""
    os.chown(place.root.parent, OTHER, -1)
    assert place.obstacle(root=link) == belongs(place.root.parent)
    os.chown(place.root.parent, 0, -1)
    os.chown(link, OTHER, -1, follow_symlinks=False)
    assert place.obstacle(root=link) == belongs(link)


@pytest.mark.parametrize("target", ["code/ws", "./code//ws", "code/../code/ws", "{home}/code/ws", "code/ws/apps/.."])
def test_where_a_link_leads_is_read_as_the_system_reads_it(target: str, place: Place) -> None:
    (place.home / "link").symlink_to(target.format(home=place.home))
    passed, error = chain(str(place.home / "link/apps/cli"), place.env)
    assert error is None and passed[-1][0] == str(place.root / "apps/cli")
    names = [path for path, _ in passed]
    assert names[:2] == [str(place.home), str(place.home / "link")] and str(place.root) in names


@pytest.mark.parametrize(("links", "arrives"), [(40, True), (41, False)])
def test_as_many_links_are_followed_as_the_system_follows(links: int, arrives: bool, place: Place) -> None:
    target = place.root
    for number in range(links):
        (place.home / f"link{number}").symlink_to(target)
        target = place.home / f"link{number}"
    passed, error = chain(str(target), place.env)
    assert error is None and (passed[-1][0] == str(place.root)) is arrives
    assert os.path.exists(target) is arrives


def test_what_is_not_there_is_no_obstacle_and_what_cannot_be_looked_at_is(place: Place) -> None:
    assert chain(str(place.root / "none/at/all"), place.env)[1] is None
    assert chain(str(place.root / "package.json/below"), place.env)[1] is None
    long = place.home / ("x" * 300)
    found = trust(str(long), place.env)
    assert (found.place, found.obstacle) == (str(long), f"{long} cannot be looked at (ENAMETOOLONG)")


# -- the sticky bit --------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_no_folder_of_its_own_is_sticky(name: str, place: Place) -> None:
    folder = place.root / name
    folder.chmod(0o1755)
    found = trust(str(place.root), place.env)
    assert found.obstacle == f"{folder} is sticky, so that other users may have put files into it"
    assert found.place == str(folder)


def test_a_sticky_file_and_a_sticky_parent_are_no_obstacle(place: Place) -> None:
    (place.root / "apps/cli/bin/run.js").chmod(0o1755)
    place.root.parent.chmod(0o1755)
    assert place.obstacle() == ""


def test_a_workspace_without_folders_of_its_own_is_not_sticky(place: Place) -> None:
    (place.home / "bare").mkdir()
    assert place.obstacle(root=place.home / "bare") == ""


# -- the current folder ----------------------------------------------------------------


def test_the_current_folder_is_the_users_and_not_sticky(place: Place) -> None:
    cwd = place.home / "here"
    cwd.mkdir()
    assert place.obstacle(cwd) == ""
    cwd.chmod(0o1777)
    sticky = f"the current folder {cwd} is sticky, so that other users may have put files into it"
    found = trust(str(place.root), place.env, str(cwd))
    assert (found.obstacle, found.place, found.of_cwd) == (sticky, str(cwd), True)
    os.chown(cwd, OTHER, -1)
    cwd.chmod(0o755)
    assert place.obstacle(cwd) == f"the current folder {cwd} belongs to another user (uid {OTHER})"
    place.grant(cwd)
    assert place.obstacle(cwd) == ""
    assert place.obstacle(place.home / "gone") == f"{place.home / 'gone'} cannot be looked at (ENOENT)"


def test_of_a_workspace_that_is_not_trusted_the_current_folder_is_not_told(place: Place) -> None:
    os.chown(place.root, OTHER, -1)
    found = trust(str(place.root), place.env, str(place.root))
    assert (found.obstacle, found.of_cwd) == (belongs(place.root), False)


# -- grants ----------------------------------------------------------------------------

GRANTS: dict[str, tuple[Callable[[Place], str], bool]] = {
    "the workspace": (lambda place: str(place.root), True),
    "a folder above": (lambda place: str(place.home), True),
    "the root": (lambda place: "/", True),
    "another": (lambda place: f"{place.root}2", False),
    "a beginning of its name": (lambda place: str(place.root)[:-1], False),
    "a folder in it": (lambda place: f"{place.root}/apps", False),
    "a trailing slash": (lambda place: f"{place.root}/", False),
    "nothing": (lambda place: "", False),
    "a relative path": (lambda place: "code/ws", False),
    "dots": (lambda place: f"{place.home}/code/../code/ws", False),
}


@pytest.mark.parametrize("what", GRANTS)
def test_a_grant_is_a_real_path_or_one_above_byte_for_byte(what: str, place: Place) -> None:
    value, granted = GRANTS[what]
    for env in (
        {**place.env, module.GRANT_VARIABLE: value(place)},
        {**place.env, module.GRANT_VARIABLE: f"/x:{value(place)}"},
    ):
        assert is_granted(str(place.root), env) is granted
    place.grant("/x", value(place))
    assert is_granted(str(place.root), place.env) is granted


def test_a_star_grants_everything_in_the_variable_and_nothing_in_the_list(place: Place) -> None:
    assert is_granted(str(place.root), {module.GRANT_VARIABLE: "*"})
    place.grant("*")
    assert not is_granted(str(place.root), place.env)


def test_a_grant_covers_owners_modes_links_and_a_current_folder_inside(place: Place) -> None:
    (place.home / "link").symlink_to(place.root)
    for path in [place.root, *place.root.rglob("*")]:
        os.chown(path, OTHER, -1)
    place.root.chmod(0o1777)
    place.grant(place.root)
    found = trust(str(place.home / "link"), place.env, str(place.root / "apps"))
    assert (found.obstacle, found.granted, found.writable()) == ("", True, ())


# -- modes -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OWN, "apps/cli/bin/run.js", ".."])
def test_what_others_can_write_is_told_and_no_obstacle(name: str, place: Place) -> None:
    path = Path(os.path.normpath(place.root / name))
    path.chmod(0o757)
    found = trust(str(place.root), place.env)
    assert (found.obstacle, found.writable()) == ("", (str(path),))


def test_each_is_told_once_a_link_never_and_a_sticky_parent_not(place: Place) -> None:
    (place.root / "apps").chmod(0o777)
    (place.root / "apps/cli/bin/run.js").rename(place.root / "apps/run.js")
    (place.root / "apps/cli/bin/run.js").symlink_to("../../run.js")
    place.root.parent.chmod(0o1777)
    assert trust(str(place.root), place.env).writable() == (str(place.root / "apps"),)


USERS = [
    SimpleNamespace(pw_name=name, pw_uid=uid, pw_gid=gid)
    for name, uid, gid in (("root", 0, 0), ("me", 7, 70), ("she", 8, 80))
]


@pytest.mark.parametrize(
    ("gid", "members", "others"),
    [
        (0, [], False),
        (50, [], False),
        (50, ["me"], False),
        (50, ["root", "me"], False),
        (50, ["me", "she"], True),
        (50, ["a user who is gone"], True),
        (70, [], False),
        (80, [], True),
        (99, None, True),
    ],
)
def test_a_group_lets_others_in_by_its_members_or_as_their_own(
    gid: int, members: list[str] | None, others: bool, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def group(number: int) -> SimpleNamespace:
        if members is None:
            raise KeyError(number)
        return SimpleNamespace(gr_mem=members, gr_name="crew")

    monkeypatch.setattr(grp, "getgrgid", group)
    monkeypatch.setattr(pwd, "getpwall", lambda: USERS)
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    assert module.has_other_members(gid) is others
    info = os.stat_result((0o40770, 0, 0, 0, 7, gid, 0, 0, 0, 0))
    assert module.others_can_write(info) is others
    assert module.others_can_write(os.stat_result((0o40750, *info[1:]))) is False
    assert module.others_can_write(os.stat_result((0o120777, *info[1:]))) is False


# -- who could exchange a place, and what mends it -------------------------------------


def test_who_could_put_something_else_there_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = str(place.root)
    assert exchangers(real, place.env) == []
    name = pwd.getpwuid(OTHER).pw_name
    os.chown(place.root / "apps", OTHER, -1)
    assert exchangers(real, place.env) == []  # who owns what is inside may be who is trusted
    os.chown(place.root.parent, OTHER, -1)
    assert exchangers(real, place.env) == [f"{place.root.parent} belongs to {name}"]
    os.chown(place.root.parent, 123456, -1)
    assert exchangers(real, place.env) == [f"{place.root.parent} belongs to the user with the id 123456"]
    os.chown(place.root.parent, 0, 123456)
    place.root.parent.chmod(0o775)
    assert exchangers(real, place.env) == [f"{place.root.parent} can be written by the group with the id 123456"]
    monkeypatch.setattr(grp, "getgrgid", lambda gid: SimpleNamespace(gr_name="crew", gr_mem=["she"]))
    assert exchangers(real, place.env) == [f"{place.root.parent} can be written by the group crew"]
    place.root.parent.chmod(0o777)
    (place.root / "apps").chmod(0o1755)
    assert exchangers(real, place.env) == [
        f"{place.root / 'apps'} is sticky, so that other users may have put files into it",
        f"{place.root.parent} can be written by everybody",
    ]
    long = str(place.home / ("x" * 300))
    assert exchangers(long, place.env)[0] == f"{long} cannot be looked at (ENAMETOOLONG)"


MOUNTS = """\
36 35 8:1 / / rw,noatime master:1 - ext4 /dev/sda1 rw,errors=remount-ro
37 36 8:17 / /stick\\040vfat rw - vfat /dev/sdb1 rw,fmask=0022
38 36 0:52 / /shared rw shared:7 - fuse.vmhgfs-fuse vmhgfs-fuse rw
39 36 0:53 / /fuse rw - tmpfs fuse rw
40"""


@pytest.mark.parametrize(
    ("major", "minor", "modeless"),
    [(8, 1, False), (8, 17, True), (0, 52, True), (0, 53, False), (36, 35, False), (9, 9, False)],
)
def test_who_keeps_no_modes_is_known_by_the_type_of_its_mount(major: int, minor: int, modeless: bool) -> None:
    assert module.is_modeless(os.makedev(major, minor), MOUNTS) is modeless


def test_what_cannot_be_looked_at_is_taken_to_keep_modes(tmp_path: Path) -> None:
    assert module.keeps_modes(str(tmp_path / "none")) is module.keeps_modes("/proc") is True


def test_the_remedy_is_a_grant_by_force_where_others_can_exchange_it(place: Place) -> None:
    real = str(place.root)
    assert trust_remedy(real, place.env) == ("", ("rawr-install", "trust", "add", real))
    place.root.chmod(0o777)
    assert trust_remedy(real, place.env) == ("", ("rawr-install", "trust", "add", "--force", real))


def test_through_sudo_with_a_home_of_another_no_list_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    sudo = {**place.env, "SUDO_UID": "1000"}
    assert trust_remedy(str(place.root), sudo)[0] == ""
    assert trust_remedy(str(place.root), {"SUDO_UID": "1000"})[0] == ""
    assert trust_remedy(str(place.root), {"SUDO_UID": "1000", "HOME": str(place.home / "gone")})[0] == ""
    os.chown(place.home, OTHER, -1)
    assert trust_remedy(str(place.root), place.env)[0] == ""
    hint = "run it without sudo: HOME is another user's, so no list there counts"
    assert trust_remedy(str(place.root), sudo) == (hint, ())
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert trust_remedy(str(place.root), sudo)[0] == ""


def test_a_permission_is_taken_away_by_who_can_and_else_the_place_is_trusted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, mine, theirs = str(place.root), str(place.root / "apps"), str(place.root / "plugins")
    os.chown(mine, OTHER, -1)
    assert writable_remedy(real, (mine, theirs)) == ("chmod", "go-w", mine, theirs)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert writable_remedy(real, (mine,)) == ("chmod", "go-w", mine)
    assert writable_remedy(real, (mine, theirs)) == ("rawr-install", "trust", "add", "--force", real)


def test_a_folder_is_sticky_and_a_file_is_not() -> None:
    assert [is_sticky(os.stat_result((mode, *[0] * 9))) for mode in (0o41755, 0o40755, 0o101755)] == [
        True,
        False,
        False,
    ]
