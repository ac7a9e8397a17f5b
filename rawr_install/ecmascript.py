"""What the TypeScript peers get from their language, where Python's own answer differs: trim, order, JSON, URLs, time.

Both sides write the same files, so whoever writes last must leave no diff. Sources: ECMA-262, and for
:func:`collation` the root collation of CLDR (ECMA-402).
Loads nothing until it is needed: the dispatch path trims with it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own constant would cost importing typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# String.prototype.trim removes WhiteSpace and LineTerminator. Python's strip() would also take U+001C-U+001F and
# U+0085, and leave U+FEFF.
WHITE_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
# What localeCompare gives for ASCII: punctuation, digits, letters; a small letter before its capital.
_ORDER = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ"


def trim(text: str) -> str:
    """``text`` as ``String.prototype.trim`` leaves it."""
    return text.strip(WHITE_SPACE)


def code_units(text: str) -> bytes:
    """The key that sorts as ``Array.prototype.sort`` does, by UTF-16 code unit."""
    # Code point order differs: U+FF5E sorts after U+1F600, whose first code unit is D83D.
    return text.encode("utf-16-be", "surrogatepass")


def collation(text: str) -> str:
    """The key that sorts as ``localeCompare`` does; beyond ASCII by code point, after the letters."""
    ranks = {ord(char): _ORDER.index(char.lower()) + 1 for char in {*text} if char in _ORDER}
    return f"{text.translate(ranks)}\0{text.swapcase()}"


def encode_uri_component(text: str) -> str:
    """``text`` percent-encoded but for letters, digits and ``-_.!~*'()``; raises UnicodeError for a lone surrogate."""
    from urllib.parse import quote

    return quote(text, safe="!~*'()")


# -- time --------------------------------------------------------------------

_second = (-1, "")  # the last one in words: a state that is changed a thousand times a second needs few of them


def unix_ms() -> int:
    """``Date.now()``: milliseconds since 1970 (UTC)."""
    import time

    return time.time_ns() // 1_000_000


def iso(moment: int) -> str:
    """Unix milliseconds as ``toISOString`` writes them, and the wire: ISO 8601, UTC, milliseconds, ``Z``."""
    global _second
    seconds, rest = divmod(moment, 1000)
    known = _second
    if known[0] != seconds:
        import time

        known = _second = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{known[1]}.{rest:03d}Z"


def now() -> str:
    """Now as the wire writes it (:func:`iso`)."""
    return iso(unix_ms())


# -- JSON --------------------------------------------------------------------


def parse(data: bytes) -> Any:
    """What ``JSON.parse`` reads; raises ValueError, and RecursionError for what is nested too deeply."""
    import json

    # json.loads would also take UTF-16, NaN and Infinity.
    return json.loads(data.decode("utf-8"), parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def stringify(value: object) -> str:
    """``JSON.stringify(value, null, 2)``, but that an integer beyond 2**53 keeps its digits.

    Raises ValueError for what JSON does not have, RecursionError for what is nested too deeply.
    """
    from json.encoder import encode_basestring

    text = _encode(value, "\n", encode_basestring)
    if text.isascii():
        return text
    import re

    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _encode(value: object, newline: str, quote: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return quote(value)
    inner = newline + "  "
    if isinstance(value, dict):
        parts = [f"{quote(key)}: {_encode(value[key], inner, quote)}" for key in _in_order(value)]
        return _wrap("{", parts, "}", newline)
    if isinstance(value, (list, tuple)):
        plain = set(map(type, value)) == {str}
        parts = [*map(quote, value)] if plain else [_encode(item, inner, quote) for item in value]
        return _wrap("[", parts, "]", newline)
    return _encode_atom(value)


def _encode_atom(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _number(value)
    raise ValueError(f"holds a {type(value).__name__}, which JSON does not have")


def _wrap(opening: str, parts: list[str], closing: str, newline: str) -> str:
    inner = newline + "  "
    return f"{opening}{inner}{f',{inner}'.join(parts)}{newline}{closing}" if parts else opening + closing


def _in_order(value: dict[Any, Any]) -> list[Any]:
    """Keys as JavaScript enumerates them: array indices first, ascending, the rest as found."""
    try:
        if not any(map(str.isdigit, value)):
            return [*value]
    except TypeError:
        raise ValueError("has a key that is not a string") from None
    indices = [key for key in value if _is_index(key)]
    return sorted(indices, key=int) + [key for key in value if key not in set(indices)]


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and str(int(key[:11])) == key and int(key) < 2**32 - 1


def _number(value: float) -> str:
    """A double as ``Number::toString`` prints it; Python agrees on the digits, not on the form."""
    if value - value != 0:
        raise ValueError("holds a number that JSON does not have")  # an infinity, or not a number
    digits, _, exponent = repr(value).partition("e")
    power = int(exponent or 0)
    if not power:
        return "0" if value == 0 else digits.removesuffix(".0")
    if not -6 <= power < 21:
        return f"{digits}e{power:+d}"
    sign, digits = ("-", digits[1:]) if value < 0 else ("", digits)
    if power > 0:
        return sign + digits.replace(".", "").ljust(power + 1, "0")
    return f"{sign}0.{'0' * (-power - 1)}{digits.replace('.', '')}"
