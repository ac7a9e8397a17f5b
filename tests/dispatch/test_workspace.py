"""Workspace search and the owner file's grammar, row by row of the contract's table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rawr_install.dispatch.workspace import (
    OWNER_FILE_LIMIT,
    discover,
    fallback_enabled,
    parse_owner,
    read_lines,
    read_owner,
    seam_status,
)
from tests.conftest import make_workspace

Factory = Callable[[str], Path]


@pytest.fixture
def owner_file(tmp_path: Path) -> Path:
    return tmp_path / "owner"


def test_a_missing_owner_file_is_missing_on_both_sides(owner_file: Path) -> None:
    owner = read_owner(str(owner_file))
    assert (owner.status, seam_status(owner, None)) == ("missing", "owner-file-missing")


def test_an_owner_file_whose_folder_is_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert read_owner(str(tmp_path / "file/owner")).status == "missing"


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n ", "\ufeff".encode(), "\ufeff \u00a0\u2028\n".encode()])
def test_nothing_but_white_space_is_empty(owner_file: Path, content: bytes) -> None:
    owner_file.write_bytes(content)
    owner = read_owner(str(owner_file))
    assert (owner.status, owner.path, seam_status(owner, "/ws")) == ("empty", None, "owner-file-empty")


@pytest.mark.contract("C3", "owner.grammar", "the owner file has one grammar")
@pytest.mark.parametrize(
    "content",
    [
        b"ws-a\n",
        b"./ws-a",
        b"~/ws-a\n",
        b"~other/ws\n",
        b"/a\n/b\n",
        b"/a\r/b",
        b"/a\0\n",
        b"\xff\xfe/\x00",
        b"/caf\xe9\n",
        b"\x1f/a\n",
    ],
)
def test_what_is_no_single_absolute_utf8_path_is_invalid(owner_file: Path, content: bytes) -> None:
    owner_file.write_bytes(content)
    owner = read_owner(str(owner_file))
    assert (owner.status, owner.path, owner.real) == ("invalid", None, None)
    assert seam_status(owner, "/a") == "owner-other-instance"


def test_a_path_that_does_not_exist_has_vanished(owner_file: Path, tmp_path: Path) -> None:
    owner_file.write_text(f"{tmp_path}/gone\n")
    owner = read_owner(str(owner_file))
    assert (owner.status, owner.path, owner.real) == ("vanished", f"{tmp_path}/gone", None)
    assert seam_status(owner, f"{tmp_path}/gone") == "owner-other-instance"


def test_a_folder_that_is_no_workspace_is_told_apart_and_still_compared_by_real_path(tmp_path: Path) -> None:
    owner = parse_owner(f"{tmp_path}\n".encode())
    assert owner.status == "not-a-workspace"
    assert seam_status(owner, os.path.realpath(tmp_path)) == "owner-current-instance"
    assert seam_status(owner, "/elsewhere") == "owner-other-instance"


@pytest.mark.parametrize("before", ["", "\ufeff", "  ", "\ufeff\t"])
@pytest.mark.parametrize("after", ["", "\n", "\r\n", "   \n", "\n\n\n", "\u00a0\n"])
def test_white_space_a_bom_and_line_ends_around_the_path_do_not_count(
    workspace_factory: Factory, before: str, after: str
) -> None:
    root = workspace_factory("ws")
    owner = parse_owner(f"{before}{root}{after}".encode())
    assert (owner.status, owner.path) == ("valid", str(root))


def test_white_space_inside_the_path_counts(workspace_factory: Factory) -> None:
    root = workspace_factory("my ws")
    assert parse_owner(f"{root}\n".encode()).real == os.path.realpath(root)


def test_a_path_with_dots_is_normalized_and_a_linked_one_keeps_its_spelling(
    workspace_factory: Factory, tmp_path: Path
) -> None:
    root = workspace_factory("ws")
    (tmp_path / "link").symlink_to(root)
    assert parse_owner(f"{tmp_path}/x/../ws\n".encode()).path == str(root)
    linked = parse_owner(f"{tmp_path}/link\n".encode())
    assert (linked.path, linked.real) == (f"{tmp_path}/link", os.path.realpath(root))
    assert seam_status(linked, os.path.realpath(root)) == "owner-current-instance"


def test_a_folder_in_the_owner_files_place_is_unreadable_and_exists(owner_file: Path) -> None:
    owner_file.mkdir()
    owner = read_owner(str(owner_file))
    assert (owner.status, owner.exists, seam_status(owner, "/ws")) == ("unreadable", True, "owner-file-empty")


def test_a_fifo_in_the_owner_files_place_is_unreadable_and_does_not_block(owner_file: Path) -> None:
    os.mkfifo(owner_file)
    assert read_owner(str(owner_file)).status == "unreadable"


def test_a_file_beyond_the_limit_is_unreadable_and_one_at_the_limit_is_not(owner_file: Path) -> None:
    owner_file.write_bytes(b"/gone".ljust(OWNER_FILE_LIMIT))
    assert read_owner(str(owner_file)).status == "vanished"
    owner_file.write_bytes(b"/gone".ljust(OWNER_FILE_LIMIT + 1))
    assert read_owner(str(owner_file)).status == "unreadable"


def test_a_link_to_a_good_owner_file_is_followed(owner_file: Path, workspace_factory: Factory) -> None:
    (owner_file.parent / "target").write_text(f"{workspace_factory('ws')}\n")
    owner_file.symlink_to("target")
    assert read_owner(str(owner_file)).status == "valid"


@pytest.mark.parametrize("target", ["gone", "owner"], ids=["dangling", "looping"])
def test_a_link_that_leads_nowhere_is_unreadable_here_and_missing_on_the_wire(owner_file: Path, target: str) -> None:
    owner_file.symlink_to(target)
    owner = read_owner(str(owner_file))
    assert (owner.status, owner.exists, seam_status(owner, "/ws")) == ("unreadable", False, "owner-file-missing")


def test_an_owner_path_too_long_for_the_file_system_has_vanished() -> None:
    assert parse_owner(b"/" + b"x" * 5000).status == "vanished"


# -- search -------------------------------------------------------------------


def test_the_search_finds_the_nearest_workspace_with_a_cli(tmp_path: Path) -> None:
    outer = make_workspace(tmp_path / "outer")
    inner = make_workspace(outer / "plugins/web/inner")
    deep = inner / "plugins/a/b"
    deep.mkdir(parents=True)
    assert discover(str(deep), {}).root == str(inner)
    assert discover(str(outer / "plugins"), {}).root == str(outer)


def test_a_lookalike_without_a_cli_is_walked_past_and_named(tmp_path: Path) -> None:
    outer = make_workspace(tmp_path / "outer")
    lookalike = make_workspace(outer / "vendor", cli=None)
    found = discover(str(lookalike / "plugins"), {})
    assert (found.root, found.lookalikes) == (str(outer), (str(lookalike),))
    assert discover(str(lookalike), {}, need_cli=False).root == str(lookalike)


def test_a_variable_names_the_workspace_and_the_first_one_wins(tmp_path: Path) -> None:
    one, two = make_workspace(tmp_path / "one"), make_workspace(tmp_path / "two")
    both = {"RAWR_WORKSPACE_ROOT": str(one), "RAWR_HQ_ROOT": str(two)}
    assert discover(str(two), both).root == str(one)
    assert discover(str(one), {"RAWR_HQ_ROOT": str(two)}).source == "RAWR_HQ_ROOT"


def test_an_empty_variable_is_an_unset_one(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "ws")
    assert discover(str(root), {"RAWR_WORKSPACE_ROOT": "", "RAWR_HQ_ROOT": ""}).source == "search"


@pytest.mark.parametrize("value", ["/nonexistent", "/", "relative"])
def test_a_variable_that_names_no_workspace_is_never_ignored(tmp_path: Path, value: str) -> None:
    root = make_workspace(tmp_path / "ws")
    found = discover(str(root), {"RAWR_WORKSPACE_ROOT": value, "RAWR_HQ_ROOT": str(root)})
    assert (found.root, found.refused, found.source) == (None, value, "RAWR_WORKSPACE_ROOT")


# -- policy -------------------------------------------------------------------


def test_the_fallback_is_off_until_variable_or_policy_file_says_exactly_so(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    assert not fallback_enabled(str(policy), {})
    for text in ("disabled\n", "", "Enabled\n", " enabled\n", "no\nenabled\n"):
        policy.write_text(text)
        assert not fallback_enabled(str(policy), {"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "true"})
    policy.write_text("enabled\n")
    assert fallback_enabled(str(policy), {})
    assert fallback_enabled(str(tmp_path / "none"), {"RAWR_ALLOW_GLOBAL_OWNER_FALLBACK": "1"})


def test_policy_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"/a b\n\n/c\rd\n/e\xff")
    assert read_lines(str(tmp_path / "p")) == ("/a b", "/c\rd", "/e\udcff")
