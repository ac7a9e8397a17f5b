"""``rawr-install``, the one Python entry point.

``rawr-install dispatch ...`` is the call that the shell entry makes; it goes to the Python fallback before any
command-line library is imported. A first Ctrl-C is noted until the program is loaded (the command line then acts on
it, see :mod:`rawr_install.cli.interrupt`), a second one ends it. So what would be imported first comes after that.
"""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum, and rawr waits for it


def hold(_number: int, _frame: object) -> None:
    """Note a Ctrl-C: the next one ends the process."""
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else the caller has it ignored
    _signal.signal(_signal.SIGINT, hold)

import os  # noqa: E402
import sys  # noqa: E402

from rawr_install import encoding  # noqa: E402


def main() -> int:
    """Run the fallback for ``dispatch``, the command line for everything else; returns the exit code.

    What was ended by a signal (128 + its number) dies of it here. On Windows the command line refuses both.
    """
    encoding.ensure_utf8_mode()
    encoding.prepare_streams()
    code = _run(sys.argv[1:])
    if code > 128:
        _signal.signal(code - 128, _signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    return code


def _run(words: list[str]) -> int:
    if words[:1] == ["dispatch"] and sys.platform != "win32":
        from rawr_install.dispatch import decide

        return decide.main(words[1:], _run_command)
    return _run_command(words)


def _run_command(argv: "Sequence[str]") -> int:
    try:
        from rawr_install.cli.main import main as run_command
    except (ImportError, OSError) as error:
        return _damaged(error, "--json" in argv)
    return run_command(argv)


def _damaged(error: Exception, json: bool) -> int:
    from rawr_install.errors import unexpected
    from rawr_install.report import failure, printable, remedy_text, to_text

    told = unexpected(error)
    print(to_text(failure("", told)) if json else "", end="\n" if json else "")
    print(printable(f"rawr: {told.message} [{told.code}]"), f"  try: {remedy_text(told)}", sep="\n", file=sys.stderr)
    return told.exit_code


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

if __name__ == "__main__":
    sys.exit(main())
