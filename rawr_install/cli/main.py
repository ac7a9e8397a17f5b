"""The root command, and the one place where failures become output and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from rawr_install import __version__
from rawr_install.cli.base import (
    COMPLETE_VARIABLE,
    Context,
    EarlyResult,
    LazyGroup,
    OutputFailed,
    Result,
    emit,
    help_of,
    help_result,
    json_option,
    print_error,
)
from rawr_install.cli.screen import interrupt
from rawr_install.errors import RawrError, UsageError, os_error_reason, unexpected

COMMANDS = {
    "install": "setup:install",
    "activate": "setup:activate",
    "deactivate": "setup:deactivate",
    "rollback": "setup:rollback",
    "uninstall": "setup:uninstall",
    "history": "history:history",
    "refresh": "refresh:refresh",
    "which": "which:which",
    "doctor": "doctor:doctor",
    "fallback": "policy:fallback",
    "trust": "policy:trust",
    "state": "state:state",
    "plugins": "plugins:plugins",
    "events": "events:events",
    "schema": "schema:schema",
    "tour": "tour:tour",
    "completion": "completion:completion",
}

# One line each for the list of commands, short enough for 80 columns.
SUMMARIES = {
    "install": "put a `rawr` on this machine, where there is none",
    "activate": "make this workspace the machine's owner",
    "deactivate": "forget the owner; the entry stays",
    "rollback": "return to the owner and entry before the last change",
    "uninstall": "remove what was installed, put back what was set aside",
    "history": "list the changes made on this machine",
    "refresh": "for git hooks: mend entry and owner after a checkout",
    "which": "show the chain from `rawr` to the program that starts",
    "doctor": "explain what `rawr` does here, and how to mend it",
    "fallback": "allow or forbid the owner's CLI outside workspaces",
    "trust": "allow or forbid other users' workspaces",
    "state": "show, change, recover a workspace's state; its lock",
    "plugins": "plugin links, and web plugins",
    "events": "show what happened on this machine",
    "schema": "print the JSON Schemas of what --json prints",
    "tour": "see all of it work in a throw-away home",
    "completion": "print completion for bash, zsh or fish",
}


class Root(LazyGroup):
    """The root command, whose list shows the summaries above."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found:
            found.short_help = SUMMARIES.get(cmd_name)
        return found


def _print_version(_ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        raise EarlyResult(Result({"version": __version__}, [f"rawr-install {__version__}"]))


@click.group(
    cls=Root,
    members=COMMANDS,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",  # as newer clicks say it; the command page must not depend on that
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def root(ctx: click.Context) -> None:
    """Put a global `rawr` on this machine, choose what it runs, and find out why it misbehaves.

    \b
    rawr-install install        a `rawr` that runs the workspace you stand in
    rawr-install activate       make that workspace the machine's owner
    rawr-install doctor global  explain what `rawr` does here, and how to mend it
    rawr-install tour           see all of it work in a throw-away home
    """
    if ctx.invoked_subcommand is None:
        raise EarlyResult(help_result(ctx))


root.params.append(json_option())
root.help = root.help or help_of(root.callback)


def main(argv: Sequence[str]) -> int:
    """Run one command; prints its result and returns the exit code. No exception leaves it.

    128 and a signal's number: SIGINT for what Ctrl-C ended, SIGPIPE where stdout's reader (head, less) has had enough.
    """
    if sys.platform == "win32":  # before a command's module is imported: those need fcntl and POSIX flags of open
        return emit(Context(json="--json" in _before_dashes(list(argv))), Result(error=_unsupported()))
    before = signal.getsignal(signal.SIGINT)
    words = _canonical(list(argv))
    context = Context(command=_command_name(words), json="--json" in _before_dashes(words))
    result = None
    try:
        result = _attempt(words, context)
        return emit(context, result) if result else 0
    except OutputFailed as failed:
        return _unanswered(result, failed.__cause__)
    finally:
        signal.signal(signal.SIGINT, before)


def _unanswered(result: Result | None, cause: BaseException | None) -> int:
    if isinstance(cause, BrokenPipeError):
        return 128 + signal.SIGPIPE
    why = os_error_reason(cause) if isinstance(cause, OSError) else cause
    done = f"The command failed: {result.error.message} Its" if result and result.error else "The command is done, its"
    print_error(RawrError(f"{done} answer could not be written: {why}.", code="OUTPUT_FAILED"))
    return 1


def _unsupported() -> UsageError:
    return UsageError(
        "rawr-install does not run on Windows.",
        code="UNSUPPORTED_PLATFORM",
        hint="install it in WSL (Windows Subsystem for Linux) and run it there",
    )


def _attempt(words: list[str], context: Context) -> Result | None:
    try:
        try:
            interrupt.listen()
            return _run(words)
        except (RawrError, OutputFailed):
            raise
        except Exception as error:
            raise unexpected(error) from error
        finally:
            interrupt.hold_back(kill=not context.json)
    except RawrError as error:
        return Result(error=error)
    except KeyboardInterrupt:
        return Result(error=RawrError("Interrupted.", code="INTERRUPTED", exit_code=130))


def _run(words: list[str]) -> Result | None:
    try:
        made = root.main(args=words, prog_name="rawr-install", complete_var=_tab_pressed(), standalone_mode=False)
    except EarlyResult as finished:
        return finished.result
    except click.UsageError as error:
        raise _usage(error) from None
    except click.Abort:
        raise KeyboardInterrupt from None
    return made if isinstance(made, Result) else None


def _tab_pressed() -> str:
    """The variable by which a completion script asks, where it does; click's `source` would start the bash on PATH."""
    return COMPLETE_VARIABLE if os.environ.get(COMPLETE_VARIABLE, "").endswith("_complete") else ""


def _usage(error: click.UsageError) -> UsageError:
    path = error.ctx.command_path if error.ctx else "rawr-install"
    message = " ".join(error.format_message().split())
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the whole help page
        group = error.ctx.command
        named = ", ".join(group.list_commands(error.ctx)) if isinstance(group, click.Group) else ""
        message = f"{path} needs a subcommand: {named}."
    return UsageError(message, remedy=(*path.split(), "--help"))


def _canonical(words: list[str]) -> list[str]:
    """``doctor:global`` (so the workspace CLI spells topics) and ``doctor`` alone are ``doctor global``."""
    at = next((number for number, word in enumerate(words) if not word.startswith("-")), len(words))
    before, name, after = words[:at], words[at : at + 1], words[at + 1 :]
    alone = name == ["doctor"] and all(word.startswith("-") and word not in ("-h", "--help") for word in after[:1])
    if name == ["doctor:global"] or (alone and "global" not in after):
        return [*before, "doctor", "global", *after]
    return words


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _command_name(words: list[str]) -> str:
    """The command path as typed, for the envelope; options and arguments left out as far as they show."""
    path: list[str] = []
    group: click.Command | None = root
    for word in words:
        if not isinstance(group, click.Group):
            break
        if word.startswith("-"):
            continue  # groups have flags only
        group = _subcommand(group, word)
        if group is None:
            break
        path.append(word)
    return " ".join(path)


def _subcommand(group: click.Group, word: str) -> click.Command | None:
    try:
        return group.get_command(click.Context(group), word)
    except Exception:
        return None  # running it tells
