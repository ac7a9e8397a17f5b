"""Every place on the machine that the toolkit reads or writes.

The environment enters here and nowhere else; a variable that is set but empty
counts as unset. Fixed places come from the wire contract; the toolkit's own
state and config live where ``platformdirs`` says for ``rawr``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cached_property

from rawr_install.encoding import from_wire
from rawr_install.errors import UsageError


class Paths:
    """All places for one user on one machine; build it with :meth:`from_environ`."""

    def __init__(self, home: str, environ: Mapping[str, str]) -> None:
        self.home = home
        self.environ = environ

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Paths:
        """Paths for the environment's HOME; raises UsageError ``NO_HOME`` when it is unset or relative."""
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            found = f"not an absolute path: {home}" if home else "not set"
            raise UsageError(
                f"HOME is {found}, so there is no place for the owner file.",
                code="NO_HOME",
                hint='set HOME to your home folder, for example: export HOME="$(eval echo ~"$(id -un)")"',
            )
        return cls(os.path.normpath(home), environ)

    def variable(self, name: str) -> str | None:
        """The variable's value; None when unset or empty."""
        return self.environ.get(name) or None

    # -- wire: shared with other programs --------------------------------------

    @property
    def dot_rawr(self) -> str:
        return os.path.join(self.home, ".rawr")

    @property
    def owner_file(self) -> str:
        return os.path.join(self.dot_rawr, "global-rawr-owner-path")

    @property
    def fallback_file(self) -> str:
        return os.path.join(self.dot_rawr, "global-owner-fallback")

    @property
    def trusted_file(self) -> str:
        return os.path.join(self.dot_rawr, "trusted-workspaces")

    @cached_property
    def bun_bin_dir(self) -> str:
        """Bun's global bin folder, worked out as Bun does but without starting it."""
        return os.path.normpath(os.path.join(self.home, self._bun_bin_dir()))

    def _bun_bin_dir(self) -> str:
        named = self.variable("BUN_INSTALL_BIN") or self._bunfig_bin_dir()
        if named:
            return named
        if install := self.variable("BUN_INSTALL"):
            return os.path.join(install, "bin")
        cache = self.variable("XDG_CACHE_HOME")
        if cache and os.path.isdir(os.path.join(cache, ".bun")):
            return os.path.join(cache, ".bun", "bin")
        return os.path.join(self.home, ".bun", "bin")

    def _bunfig_bin_dir(self) -> str | None:
        for folder in (self.variable("XDG_CONFIG_HOME"), self.home):
            path = os.path.join(folder, ".bunfig.toml") if folder else None
            if path and os.path.isfile(path):
                return _global_bin_dir(path, self.home)
        return None

    @property
    def bun_entry(self) -> str:
        """The Bun-global entry, ``<Bun bin dir>/rawr``."""
        return os.path.join(self.bun_bin_dir, "rawr")

    @property
    def local_bin(self) -> str:
        """Where a user's own programs go (systemd's file-hierarchy(7)), and pipx's and uv's links."""
        return os.path.join(self.home, ".local", "bin")

    @property
    def plugin_manager_dir(self) -> str:
        data = self.variable("XDG_DATA_HOME") or os.path.join(self.home, ".local", "share")
        return os.path.join(data, "@rawr", "cli")

    @property
    def pnpm_shim_wire(self) -> str:
        """The macOS place, which the wire field names on every platform."""
        return os.path.join(self.home, "Library", "pnpm", "rawr")

    @property
    def pnpm_shims(self) -> tuple[str, ...]:
        """Every place where pnpm may have left a shim; the wire's place first."""
        return (self.pnpm_shim_wire, os.path.join(self.home, ".local", "share", "pnpm", "rawr"))

    # -- the toolkit's own -----------------------------------------------------

    @cached_property
    def state_dir(self) -> str:
        elsewhere = self.variable("XDG_STATE_HOME") or self.variable("ANDROID_ROOT")
        if sys.platform == "linux" and not elsewhere and self.environ.get("HOME") == self.home:
            # What platformdirs says there. Importing it costs a short command a tenth of its time (docs/adr/0016),
            # and every changing command needs this folder for its events.
            return os.path.join(self.home, ".local", "state", "rawr")
        import platformdirs

        return platformdirs.user_state_dir("rawr", appauthor=False)

    @property
    def history_file(self) -> str:
        return os.path.join(self.state_dir, "history.json")

    @property
    def receipt_file(self) -> str:
        return os.path.join(self.state_dir, "receipt.json")

    @property
    def refresh_file(self) -> str:
        return os.path.join(self.state_dir, "refreshed.json")

    @property
    def machine_lock(self) -> str:
        return os.path.join(self.state_dir, "install.lock")

    @property
    def events_file(self) -> str:
        return os.path.join(self.state_dir, "events.jsonl")


def _global_bin_dir(bunfig: str, home: str) -> str | None:
    import tomllib

    try:
        with open(bunfig, "rb") as file:
            document = tomllib.loads(file.read(1 << 20).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    install = document.get("install")
    named = install.get("globalBinDir") if isinstance(install, dict) else None
    if not isinstance(named, str) or not named:
        return None
    named = from_wire(named)
    return os.path.join(home, named[2:]) if named.startswith("~/") else named
