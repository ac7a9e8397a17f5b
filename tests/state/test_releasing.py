"""A lock that could not be removed is said: the change is there, and every peer will wait for a minute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.state.conftest import add, enabled, lock_file, mutate, needs_strace, program, strace

MUTATE = """
import json
from rawr_install.state import store as state
from rawr_install.errors import RawrError
try:
    state.mutate_repo_state_atomically({root!r}, {mutator})
    print(json.dumps(["success", ""]))
except RawrError as error:
    print(json.dumps([error.code, error.message]))
"""
ENABLE = 'state.switch(["mine"], on=True)'
LEAVE = "lambda found: found"


@needs_strace
@pytest.mark.parametrize(
    ("mutator", "code", "after"),
    [(ENABLE, "COMMITTED_NOT_DURABLE", ["mine", "old"]), (LEAVE, "STATE_WRITE_FAILED", ["old"])],
    ids=["after a commit", "with nothing to commit"],
)
def test_a_release_that_fails_is_an_error_that_says_whether_the_change_is_there(
    root: Path, mutator: str, code: str, after: list[str]
) -> None:
    mutate(root, add("old"))
    fault = ("-P", str(lock_file(root)), "-e", "trace=unlink", "-e", "inject=unlink:error=EIO")
    ran = program(MUTATE.format(root=str(root), mutator=mutator), *strace("-o", "/dev/null", *fault))
    said, message = json.loads(ran.stdout)
    assert lock_file(root).exists(), "the fault was not injected"
    assert said == code, f"state.lock could not be removed (EIO), and the caller was told: {said} {message}"
    assert "EIO" in message and enabled(root) == after
