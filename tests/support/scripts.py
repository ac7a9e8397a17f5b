"""The project's scripts, run as commands or loaded as modules."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.distribution import PROJECT

SCRIPTS = PROJECT / "scripts"


def script(name: str, *words: str | Path) -> tuple[int, Any]:
    """Run a script; its exit code and its one JSON document."""
    argv = [sys.executable, str(SCRIPTS / name), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout)


def load(name: str) -> ModuleType:
    """A script as a module, for its tables."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    loader = SourceFileLoader(name, str(SCRIPTS / name))
    spec = spec_from_loader(name, loader)
    assert spec
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module
