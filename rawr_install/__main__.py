"""``rawr-install``, the one Python entry point.

``rawr-install dispatch ...`` is the call that the shell entry makes; it goes
to the Python twin before any command-line library is imported.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the twin for ``dispatch``, the command line for everything else; returns the exit code."""
    if sys.argv[1:2] == ["dispatch"]:
        from rawr_install import dispatch

        return dispatch.main(sys.argv[2:])
    from rawr_install.cli.main import main as run_command

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
