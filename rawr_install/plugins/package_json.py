"""Reading a ``package.json`` that anybody may have written: bounded, and as strict as the peers' parser."""

from __future__ import annotations

import json
import os
from typing import Any

_CHUNK = 1 << 16
# O_NONBLOCK: opening a FIFO for reading would otherwise wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def read(path: str, limit: int) -> bytes:
    """The file's bytes; raises OSError, and ValueError when it holds more than ``limit`` bytes."""
    fd = os.open(path, _FLAGS)
    try:
        data = os.read(fd, _CHUNK)
        while len(data) >= _CHUNK and (more := os.read(fd, _CHUNK)):
            data += more
            if len(data) > limit:
                raise ValueError(f"it is larger than {limit} bytes")
        return data
    finally:
        os.close(fd)


def decode(data: bytes) -> Any:
    """The document; raises ValueError, and RecursionError for one that is nested too deeply."""
    # json.loads would also take UTF-16, NaN and Infinity, which no peer reads.
    return _DECODER.decode(data.decode("utf-8"))


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
