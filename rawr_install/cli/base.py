"""What every command shares: base options, one result, one place that prints.

A command's body returns an :class:`Result` or raises a
:class:`~rawr_install.errors.RawrError`; it prints nothing on stdout itself.
Progress and logs go to stderr through :func:`note`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click

from rawr_install.cli.screen.terminal import stdout
from rawr_install.errors import RawrError
from rawr_install.events.log import Run
from rawr_install.report import Line, failure, printable, remedy_text, success, to_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

JSON_KEY = "rawr_install.json"  # in click's ctx.meta, for the one command that prints by itself

COMPLETE_VARIABLE = "_RAWR_INSTALL_COMPLETE"  # what the completion scripts set when Tab is pressed


class Result(NamedTuple):
    """What a command has to say: ``data`` for programs, ``lines`` for people.

    A negative result that still has everything to tell (an unhealthy doctor)
    carries ``error`` beside its lines; the exit code is then the error's.
    """

    data: object = None
    lines: Iterable[Line] = ()  # only gone through where they are printed
    warnings: Sequence[str] = ()
    error: RawrError | None = None
    told: bool = False  # the lines tell the warnings themselves


class Context(NamedTuple):
    """The facts of one invocation that the printer needs."""

    command: str = ""
    json: bool = False


Body = Callable[..., Result]


class EarlyResult(Exception):  # noqa: N818 - an answer, not an error
    """An eager option (``--help``, ``--version``) has the whole answer; parsing stops here."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def help_result(ctx: click.Context) -> Result:
    """The command's help page as a result."""
    from rawr_install.cli.screen.help import page

    text = page(ctx)
    return Result({"help": text}, text.split("\n"))


class HelpMixin:
    """Makes ``--help`` a result like any other, so that ``--help --json`` is one document too."""

    def get_help_option(self, ctx: click.Context) -> click.Option:
        return click.Option(
            ["-h", "--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_answer_with_help,
            help="Show this page.",
        )


def _answer_with_help(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        raise EarlyResult(help_result(ctx))


class Command(HelpMixin, click.Command):
    """A click command whose help page is a result."""


class Group(HelpMixin, click.Group):
    """A click group whose help page is a result; its subcommands are Commands."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but that a wrong name is answered with the right one: click knows no names of a lazy group."""
        name, names = args[0], self.list_commands(ctx)
        if name in names or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        close = " or ".join(repr(each) for each in get_close_matches(name, names, 2))
        raise click.UsageError(f"No such command {name!r}." + (f" Did you mean {close}?" if close else ""), ctx)


class LazyGroup(Group):
    """A group that imports a command's module when the command is asked for: none pays for another's imports.

    ``members``: name -> ``module:attribute`` in this package.
    """

    def __init__(self, *args: Any, members: Mapping[str, str], **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.members = members

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.members:
            return None
        module, _, attribute = self.members[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"rawr_install.cli.{module}"), attribute)
        return found


def command(
    name: str, *, changes: bool = False, epilog: str = "", cls: type[Command] = Command, **attrs: object
) -> Callable[[Body], click.Command]:
    """Make a click command of a body that returns an Result.

    Adds ``--json``; with ``changes=True`` also ``--dry-run`` and ``--yes/-y``,
    which reach the body as ``dry_run`` and ``yes``. ``epilog`` holds examples,
    a line each, shown as they are written; paragraphs of text may follow.
    """

    def wrap(body: Body) -> click.Command:
        attrs.setdefault("help", help_of(body))
        made = click.command(name, cls, epilog=_verbatim(epilog), **attrs)(_recorded(body) if changes else body)
        made.params += [*(_changing_options() if changes else ()), json_option()]
        for param in made.params:
            if (param.metavar or "").strip("[]") in ("PATH", "DIR"):
                param.type = _Folder()
        return made

    return wrap


def help_of(body: Callable[..., object] | None) -> str | None:
    """The docstring, also where ``python -OO`` has left it out: then from the source."""
    if body is None or body.__doc__:
        return body and body.__doc__
    import ast
    import inspect
    import textwrap

    try:
        found = ast.parse(textwrap.dedent(inspect.getsource(body))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    return ast.get_docstring(found) if isinstance(found, ast.FunctionDef) else None


class _Folder(click.types.StringParamType):
    """A folder, for completion only: click.Path would judge it, with messages of its own, before the command does."""

    name = "folder"

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


def _recorded(body: Body) -> Body:
    """``body`` as a run in the event log; a dry run writes nothing, so it is not a run."""

    @wraps(body)
    def run(*args: Any, **words: Any) -> Result:
        if words.get("dry_run"):
            return body(*args, **words)
        with Run(click.get_current_context().command_path) as record:
            result = body(*args, **words)
            record.failure = result.error
            record.unchanged = isinstance(result.data, dict) and result.data.get("changed") is False
        return result

    return run


def group(name: str, cls: type[Group] = Group, **attrs: object) -> Callable[[Callable[..., None]], click.Group]:
    """Make a click group; called without a subcommand it is wrong usage (2) that names its subcommands."""

    def wrap(body: Callable[..., None]) -> click.Group:
        attrs.setdefault("help", help_of(body))
        made = click.group(name, cls, **attrs)(body)
        made.params.append(json_option())
        return made

    return wrap


def json_option() -> click.Option:
    """``--json``, which the printer reads from the command line itself (also when parsing fails)."""
    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=_remember_json,
        help="Print one JSON document on stdout.",
    )


def _remember_json(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[JSON_KEY] = True


workspace_option = click.option("--workspace", metavar="PATH", help="The workspace (default: the one you stand in).")


def root_to_change(named: str | None) -> str:
    """The workspace whose state a command may change; raises as ``find_workspace`` and ``require_own_state``."""
    from rawr_install.dispatch.locate import find_workspace
    from rawr_install.install.policy import require_own_state

    root = find_workspace(named, os.environ)
    require_own_state(root, os.environ)
    return root


def _changing_options() -> tuple[click.Option, ...]:
    return (
        click.Option(["--dry-run"], is_flag=True, help="Print the plan and change nothing."),
        click.Option(["--yes", "-y"], is_flag=True, help="Do not ask before changing anything."),
    )


def _verbatim(epilog: str) -> str | None:
    """The epilog under its heading: examples first, then paragraphs of text."""
    if not epilog:
        return None
    examples, *rest = epilog.strip("\n").split("\n\n")
    indented = "\n".join("  " + line.strip() for line in examples.split("\n"))
    # click re-wraps a paragraph unless it starts with \b on a line of its own.
    return "\n\n".join((f"\b\nExamples:\n{indented}", *rest))


class OutputFailed(Exception):  # noqa: N818 - its cause is the error
    """stdout takes no more: the disk is full, it was closed, its reader went away."""


def log(text: str) -> None:
    """One line of progress or explanation for a person, on stderr; where that takes none, nobody is told."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let what the buffer still holds go where nobody reads: the flush at exit would fail once more, with code 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def show(lines: Iterable[Line]) -> None:
    """Print lines on stdout: all that a command has for a person, or what cannot wait for its end."""
    terminal = stdout()
    _write("".join(terminal.show(line) + "\n" for line in lines))


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        raise OutputFailed from error


def emit(context: Context, result: Result) -> int:
    """Print a result in the form asked for; returns the exit code. Raises OutputFailed."""
    if context.json:
        _write(_document(context, result) + "\n")
    else:
        show(result.lines)
        for warning in () if result.told else result.warnings:
            log(f"warning: {warning}")
        if result.error and not result.lines:
            print_error(result.error)
    return result.error.exit_code if result.error else 0


def _document(context: Context, result: Result) -> str:
    if result.error:
        return to_text(failure(context.command, result.error, result.warnings))
    return to_text(success(context.command, result.data, result.warnings))


def print_error(error: RawrError) -> None:
    """An error for a person, on stderr."""
    for line in error_lines(error):
        log(line)


def error_lines(error: RawrError) -> list[str]:
    """An error in words: what was looked at, then the way out, or one of several."""
    first, *more = remedy_text(error).split("\nor ")
    ways = [f"  try: {first}", *(f"   or {way}" for way in more)] if first else []
    return [f"rawr: {error.message} [{error.code}]", *ways]
