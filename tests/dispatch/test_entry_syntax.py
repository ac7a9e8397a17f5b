"""Nothing in the shell entry needs more than bash 3.2, macOS' sh: every piece of shell that it uses is on a list.

What is on the lists is in POSIX and in bash 3.2's manual, but for `test -O`, `-k` and `-ef`, which are in that manual
and in every shell of the table.
"""

from __future__ import annotations

import re

import pytest

from tests.dispatch.scene import SHIM

RESERVED = {"{", "}", "case", "done", "esac", "fi", "for", "in"}
BUILTINS = {
    ":",
    "[",
    "break",
    "cd",
    "command",
    "continue",
    "echo",
    "exec",
    "exit",
    "export",
    "printf",
    "read",
    "return",
}
BUILTINS |= {"set", "shift", "trap", "unset"}
TESTS = {"-O", "-d", "-e", "-ef", "-f", "-h", "-k", "-n", "-r", "-x", "-z", "=", "!="}
EXPANSIONS = {"", "-", ":-", "+", ":+", "%", "%%", "#", "##"}
REDIRECTIONS = {"<", ">", "2>", ">&", "2>&"}
BEFORE = r"(?<![\w-])(?:then|do|else|elif|if|until|while|!)(?=\s)"  # behind these words a command starts, too
START = r"(?:^|;|&&|\|\||[|({]\s|\$\()\s*(?:\w+=\S*\s+)*([^\s;&|(){}<>]+)"


def strip(text: str) -> str:
    """The script with each comment, quoted text, expansion and pattern of a branch taken out."""
    for pattern, instead in (
        (r"(?m)^\s*#.*$", ""),
        (r"\\\n", " "),
        (r"'[^']*'", "Q"),
        (r'"(?:\\.|[^"\\])*"', "Q"),
        (r"\$[A-Za-z_]\w*|\$\{[^}]*\}|\$[\d$?#@*]", "V"),
        (r"\[[^\]\s]\S*\]", "P"),  # a bracket of a pattern
        (r"(?m)(\bin |^|;;)[ \t]*[^\s()][^()\n;&]*\)(?!\))", r"\1\n"),
        (r"\[ ! ", "[ "),
    ):
        text = re.sub(pattern, instead, text)
    return text


def commands(code: str) -> list[str]:
    """The first word of each command of a stripped script."""
    return re.findall(START, re.sub(BEFORE, ";", code), re.MULTILINE)


def unlisted(script: str) -> set[str]:
    """Whatever in ``script`` is on no list."""
    code, plain = strip(script), re.sub(r"(?m)^\s*#.*$", "", script)
    functions = set(re.findall(r"(?m)^(\w+)\(\) *\{", script))
    words = {word for word in commands(code) if not re.match(r"\w+=", word)}
    found = words - RESERVED - BUILTINS - functions - {"Q", "V", "P"}
    for test in re.findall(r"(?<![\w$])\[ ([^\]\n]*) \]", code):
        found |= {word for word in test.split() if re.match(r"[-=!<>]", word)} - TESTS
    operators = re.findall(r"\$\{(?:\w+(?=\W))?(:[-+]|%%|##|[^\w}]|(?=\}))", plain)
    found |= {f"${{x{operator}}}" for operator in {*operators} - EXPANSIONS}
    found |= {*re.findall(r"\d?[<>][<>&(|]*", code)} - REDIRECTIONS
    found |= {*re.findall(r"=\$'|(?<!\$)\$\"|\(\(|\$\[|\[\[(?!:)|&>|\|&|;;?&(?!&)", plain)}
    # bash 3.2 takes the parenthesis of a branch for the end of `$(`.
    return found | {"case in $( )" for inside in re.findall(r"\$\(([^()]*)\)", plain) if "case" in inside}


def test_the_shell_entry_uses_nothing_that_bash_3_2_lacks() -> None:
    script = SHIM.read_text()
    assert unlisted(script) == set()
    assert len(commands(strip(script))) > 150, "the script was not read"


@pytest.mark.parametrize(
    "line",
    [
        "local x",
        "[[ -n $x ]]",
        "x=${x^^}",
        "x=${x@Q}",
        "x=${x: -1}",
        "x=${x/a/b}",
        "x=${!y}",
        "mapfile -t x",
        "readarray x",
        "[ -v x ]",
        "[ a -nt b ]",
        "true &>/dev/null",
        "true |& cat",
        "x=$'a'",
        "cat <<<x",
        "cat < <(true)",
        "((x++))",
        "x=$((1))",
        "test -n x",
        "source x",
        "if true; then declare -A x; fi",
        "x=1 && wait -n",
        "x=$(case $y in a) : ;; esac)",
    ],
)
def test_what_is_not_on_the_lists_is_found(line: str) -> None:
    script = SHIM.read_text().replace("\n_rawr_self=$0", f"\n{line}\n_rawr_self=$0", 1)
    assert script != SHIM.read_text() and unlisted(script)
