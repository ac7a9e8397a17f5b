"""A command that is printed can be run as printed, whatever its words hold, and shows a terminal nothing but text."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings, strategies as st

from rawr_install.report import command_line

WORDS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=12), max_size=4)
SHELL = next(filter(None, map(shutil.which, ("bash", "zsh", "ksh"))), None)


def in_locale(word: str) -> bool:
    try:
        return os.fsdecode(os.fsencode(word)) == word
    except UnicodeError:
        return False  # half a surrogate pair that stands for no byte: no argument can hold it


@pytest.mark.skipif(SHELL is None, reason="needs a shell with $'...' (bash, zsh, ksh)")
@settings(max_examples=60)
@given(words=WORDS.filter(lambda words: all(map(in_locale, words))))
def test_a_printed_command_is_one_line_of_text_that_runs_with_its_own_words(words: list[str]) -> None:
    line = command_line(["printf", "%s\\0", *words])
    assert line.isprintable()
    said = subprocess.run([SHELL or "", "-c", line], capture_output=True, check=True).stdout
    assert said.split(b"\0")[:-1] == ([os.fsencode(word) for word in words] or [b""])


def test_plain_words_stay_as_a_person_would_type_them() -> None:
    assert command_line(["chmod", "+x", "/a b/c", "日本"]) == "chmod +x '/a b/c' '日本'"
    assert command_line(["cd", "a\nrm -rf ~", "'\x1b\udcff"]) == "cd $'a\\012rm -rf ~' $'\\047\\033\\377'"
