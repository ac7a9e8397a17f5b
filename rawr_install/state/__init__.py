"""``state.json`` of a workspace, safe under contention. The library that other programs import.

Other programs and the command line come in through the names below, the doctor
through :mod:`~rawr_install.state.status`. Start with the docstring of
:mod:`~rawr_install.state.lock`, the manual of the lock, then
:mod:`~rawr_install.state.store`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own constant would cost importing typing
if TYPE_CHECKING:
    from rawr_install.state.store import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """Import the library when one of its names is first asked for: who looks at a status loads no lock."""
        if name.startswith("__"):
            raise AttributeError(name)
        from importlib import import_module

        return getattr(import_module("rawr_install.state.store"), name)
