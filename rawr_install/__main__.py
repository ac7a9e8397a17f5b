"""``rawr-install``, the one Python entry point.

``rawr-install dispatch ...`` is the call that the shell entry makes; it goes to the Python fallback before any
command-line library is imported. A first Ctrl-C is noted until the program is loaded (the command line then acts on
it, see :mod:`rawr_install.cli.screen.interrupt`), a second one ends it. What would be imported first comes after that.
"""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum, and rawr waits for it


def hold(_number: int, _frame: object) -> None:
    """Note a Ctrl-C: the next one ends the process."""
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else the caller has it ignored
    _signal.signal(_signal.SIGINT, hold)

import os  # noqa: E402
import sys  # noqa: E402


def _leave_current_folder() -> None:
    """Import nothing from the folders that a relative or empty element of PYTHONPATH means: anybody may fill them.

    Python has put them in front, as absolute paths, and a wrapper script of pip's or uv's does not ask for ``-E``.
    """
    variable = os.environ.get("PYTHONPATH")
    for folder in variable.split(os.pathsep) if variable else ():
        if not os.path.isabs(folder):
            try:
                sys.path.remove(os.path.abspath(folder))
            except (OSError, ValueError):
                pass  # no such folder, so it is not in there


_leave_current_folder()

from rawr_install import encoding  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> int:
    """Run the fallback for ``dispatch``, the command line for everything else; returns the exit code.

    What was ended by a signal (128 + its number) dies of it here. On Windows the command line refuses both.
    """
    encoding.ensure_utf8_mode()
    encoding.prepare_streams()
    words = sys.argv[1:]
    if words[:1] == ["dispatch"] and sys.platform != "win32":
        from rawr_install.dispatch.main import main as run_dispatch

        code = run_dispatch(words[1:], _run_command)
    else:
        code = _run_command(words)
    if code > 128:
        _signal.signal(code - 128, _signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    return code


def _run_command(argv: "Sequence[str]") -> int:
    import gc

    gc.disable()  # to collect while it imports costs a tenth of a command, and its end takes all at once
    try:
        from rawr_install.cli.main import main as run_command
    except (ImportError, OSError) as error:
        return _damaged(error, "--json" in argv)
    try:
        return run_command(argv)
    finally:
        gc.freeze()  # else Python's end looks through all of it, which costs another tenth


def _damaged(error: Exception, json: bool) -> int:
    from rawr_install.errors import unexpected
    from rawr_install.report import failure, printable, remedy_text, to_text

    told = unexpected(error)
    if json:
        print(to_text(failure("", told)))
    print(printable(f"rawr: {told.message} [{told.code}]"), f"  try: {remedy_text(told)}", sep="\n", file=sys.stderr)
    return told.exit_code


if __name__ == "__main__":
    sys.exit(main())
