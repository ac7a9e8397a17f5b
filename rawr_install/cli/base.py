"""What every command shares: base options, one outcome, one place that prints.

A command's body returns an :class:`Outcome` or raises a
:class:`~rawr_install.errors.RawrError`; it prints nothing on stdout itself.
Progress and logs go to stderr through :func:`note`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from rawr_install.errors import RawrError
from rawr_install.events.log import Run
from rawr_install.report import failure, printable, remedy_text, success, to_text

JSON_KEY = "rawr_install.json"  # in click's ctx.meta, for the one command that prints by itself


class Outcome(NamedTuple):
    """What a command has to say: ``data`` for programs, ``lines`` for people.

    A negative outcome that still has everything to tell (an unhealthy doctor)
    carries ``error`` beside its lines; the exit code is then the error's.
    """

    data: object = None
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    error: RawrError | None = None
    told: bool = False  # the lines tell the warnings themselves


class Context(NamedTuple):
    """The facts of one invocation that the printer needs."""

    command: str = ""
    json: bool = False


Body = Callable[..., Outcome]


class Answered(Exception):  # noqa: N818 - an answer, not an error
    """An eager option (``--help``, ``--version``) has the whole answer; parsing stops here."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def help_outcome(ctx: click.Context) -> Outcome:
    """The command's help page as an outcome."""
    text = ctx.get_help()
    return Outcome({"help": text}, [text])


class Helpful:
    """Makes ``--help`` an outcome like any other, so that ``--help --json`` is one document too."""

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
        raise Answered(help_outcome(ctx))


class Command(Helpful, click.Command):
    """A click command whose help page is an outcome."""


class Group(Helpful, click.Group):
    """A click group whose help page is an outcome; its subcommands are Commands."""

    command_class = Command


def command(
    name: str, *, changes: bool = False, epilog: str = "", cls: type[Command] = Command, **attrs: object
) -> Callable[[Body], click.Command]:
    """Make a click command of a body that returns an Outcome.

    Adds ``--json``; with ``changes=True`` also ``--dry-run`` and ``--yes/-y``,
    which reach the body as ``dry_run`` and ``yes``. ``epilog`` holds examples,
    a line each, shown as they are written; paragraphs of text may follow.
    """

    def wrap(body: Body) -> click.Command:
        made = click.command(name, cls, epilog=_verbatim(epilog), **attrs)(_recorded(body) if changes else body)
        options = (*made.params, *(_changing_options() if changes else ()), json_option())
        made.params = list(options)
        return made

    return wrap


def _recorded(body: Body) -> Body:
    """``body`` as a run in the event log; a dry run writes nothing, so it is no run."""

    @wraps(body)
    def run(*args: Any, **words: Any) -> Outcome:
        if words.get("dry_run"):
            return body(*args, **words)
        with Run(click.get_current_context().command_path) as record:
            outcome = body(*args, **words)
            record.failure = outcome.error
            record.unchanged = isinstance(outcome.data, dict) and outcome.data.get("changed") is False
        return outcome

    return run


def group(name: str, **attrs: object) -> Callable[[Callable[..., None]], click.Group]:
    """Make a click group; called without a subcommand it is wrong usage (2) that names its subcommands."""

    def wrap(body: Callable[..., None]) -> click.Group:
        made = click.group(name, Group, **attrs)(body)
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
    return "\n\n".join("\b\n" + part.strip() for part in (f"Examples:\n{indented}", *rest))


def note(text: str) -> None:
    """One line of progress or explanation for a person, on stderr."""
    print(printable(text), file=sys.stderr)


def emit(context: Context, outcome: Outcome) -> int:
    """Print an outcome in the form asked for; returns the exit code."""
    if context.json:
        print(_document(context, outcome))
    else:
        for line in outcome.lines:
            print(line)
        for warning in () if outcome.told else outcome.warnings:
            print(f"warning: {printable(warning)}", file=sys.stderr)
        if outcome.error and not outcome.lines:
            explain(outcome.error)
    return outcome.error.exit_code if outcome.error else 0


def _document(context: Context, outcome: Outcome) -> str:
    if outcome.error:
        return to_text(failure(context.command, outcome.error, outcome.warnings))
    return to_text(success(context.command, outcome.data, outcome.warnings))


def explain(error: RawrError) -> None:
    """An error for a person, on stderr: what was looked at, then the way out."""
    print(f"rawr: {printable(error.message)} [{error.code}]", file=sys.stderr)
    if text := remedy_text(error):
        print(f"  try: {printable(text)}", file=sys.stderr)
