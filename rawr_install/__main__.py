"""``rawr-install``, the one Python entry point.

``rawr-install dispatch ...`` is the call that the shell entry makes; it goes
to the Python twin before any command-line library is imported.
"""

from __future__ import annotations

import sys

from rawr_install import encoding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> int:
    """Run the twin for ``dispatch``, the command line for everything else; returns the exit code.

    On Windows the command line refuses both.
    """
    encoding.ensure_utf8_mode()
    encoding.escape_unprintable()
    if sys.argv[1:2] == ["dispatch"] and sys.platform != "win32":
        from rawr_install.dispatch import decide as dispatch

        return dispatch.main(sys.argv[2:], _run_command)
    return _run_command(sys.argv[1:])


def _run_command(argv: Sequence[str]) -> int:
    from rawr_install.cli.main import main as run_command

    return run_command(argv)


if __name__ == "__main__":
    sys.exit(main())
