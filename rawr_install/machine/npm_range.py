"""npm version ranges, translated to the specifiers of PEP 440. Pure.

The grammar is that of npm's ``semver`` ranges: ``||`` between alternatives,
blanks between comparators that must all hold, ``^ ~ < <= > >= =``, hyphen
ranges, and x-ranges with missing, ``x`` or ``*`` parts. What differs on
purpose: a pre-release satisfies every range whose bounds it lies between (npm
wants it named; a canary build of Bun should not be called unfit), a number
after an ``x`` says nothing (npm refuses it in some places and ignores it in
others), and the tags that a registry resolves (``latest``) are no ranges.
"""

from __future__ import annotations

import re

_PART = r"(?:0|[1-9]\d*)"
_VERSION = re.compile(
    rf"[v=]*(?P<major>{_PART}|[xX*])(?:\.(?P<minor>{_PART}|[xX*]))?(?:\.(?P<patch>{_PART}|[xX*]))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_OPERATOR = re.compile(r"(<=|>=|<|>|~>|~|\^|=)\s*")
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_NOTHING = ("<0.dev0",)
_PHASES = {"alpha": "a", "beta": "b", "rc": "rc"}

Numbers = tuple[int, ...]


def specifiers(npm_range: str) -> tuple[str, ...]:
    """The alternatives of ``npm_range``, each a PEP 440 specifier set; raises ValueError on what is not a range."""
    return tuple(",".join(_alternative(part)) for part in npm_range.split("||"))


def pep440(version: str) -> str:
    """A semantic version as PEP 440 spells it; raises ValueError unless all three numbers are there."""
    numbers, pre = _parse(version)
    if len(numbers) != 3:
        raise ValueError(f"not a full version: {version!r}")
    return _spell(numbers, pre)


def _alternative(text: str) -> tuple[str, ...]:
    if hyphen := _HYPHEN.fullmatch(text):
        return (*_comparator(">=", hyphen[1]), *_comparator("<=", hyphen[2]))
    words = _OPERATOR.sub(r" \1", text).split()
    split = [_OPERATOR.match(word) for word in words]
    pairs = [
        (found[1], word[found.end() :]) if found else ("=", word) for word, found in zip(words, split, strict=True)
    ]
    return tuple(specifier for operator, version in pairs for specifier in _comparator(operator, version))


def _comparator(operator: str, version: str) -> tuple[str, ...]:
    numbers, pre = _parse(version)
    if not numbers:
        return _NOTHING if operator in ("<", ">") else ()
    floor = _spell(numbers, pre)
    if operator in (">=", "<"):
        return (operator + floor,)
    if operator in ("^", "~", "~>"):
        return (f">={floor}", f"<{_above(numbers, _widest(operator, numbers))}")
    if len(numbers) == 3:
        return ((operator if operator != "=" else "==") + floor,)
    above = _above(numbers, len(numbers) - 1)
    return {">": (f">={above}",), "<=": (f"<{above}",)}.get(operator, (f">={floor}", f"<{above}"))


def _widest(operator: str, numbers: Numbers) -> int:
    """The index of the number that must not change: caret keeps the first that is not 0, tilde the minor."""
    if operator == "^":
        return next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    return min(len(numbers) - 1, 1)


def _above(numbers: Numbers, at: int) -> str:
    return _spell((*numbers[:at], numbers[at] + 1), "")


def _parse(version: str) -> tuple[Numbers, str]:
    """The numbers before the first missing part or ``x``, and the pre-release."""
    found = _VERSION.fullmatch(version)
    if not found:
        raise ValueError(f"not a version: {version!r}")
    numbers: list[int] = []
    for part in found.group("major", "minor", "patch"):
        if part is None or not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers), found["pre"] or ""


def _spell(numbers: Numbers, pre: str) -> str:
    release = ".".join(str(number) for number in (*numbers, 0, 0)[:3])
    if not pre:
        return release
    words = pre.lower().split(".")
    count = words[-1] if words[-1].isdecimal() else "0"
    phase = _PHASES.get(words[0])
    return f"{release}{phase}{count}" if phase else f"{release}.dev{count}"
