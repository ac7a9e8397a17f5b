"""``completion``: the script that teaches a shell the toolkit's commands, as click makes it."""

from __future__ import annotations

import click

from rawr_install.cli.base import COMPLETE_VARIABLE, Result, command

# What `rawr` itself answers inside a workspace; the rest is the workspace CLI's.
VERBS = "install uninstall activate deactivate rollback which doctor"
# A completion of `rawr` that is there already (the workspace CLI may bring one) is kept, but in fish both count.
_RAWR = {
    "bash": f"""\
_rawr_verbs() {{ ((COMP_CWORD > 1)) || COMPREPLY=($(compgen -W '{VERBS}' -- "$2")); }}
complete -p rawr >/dev/null 2>&1 || complete -o bashdefault -o default -F _rawr_verbs rawr""",
    "zsh": f"""\
_rawr_verbs() {{ _arguments '1: :({VERBS})' '*: :_default' }}
(( ${{+_comps[rawr]}} )) || compdef _rawr_verbs rawr""",
    "fish": f"complete -c rawr -n __fish_use_subcommand -a '{VERBS}'",
}


@command(
    "completion",
    epilog="""
bash  eval "$(rawr-install completion bash)"       in ~/.bashrc
zsh   eval "$(rawr-install completion zsh)"        in ~/.zshrc, after compinit
fish  rawr-install completion fish | source        in ~/.config/fish/config.fish
""",
)
@click.argument("shell", type=click.Choice(list(_RAWR)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> Result:
    """Print the completion script for SHELL.

    It completes `rawr-install`, and of `rawr` the verbs that the toolkit
    answers; nothing of a workspace runs. bash must be 4.4 or newer.
    """
    text = f"{_script(ctx.find_root().command, shell)}\n{_RAWR[shell]}\n"
    return Result({"shell": shell, "script": text}, text.splitlines())


def _script(root: click.Command, shell: str) -> str:
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click knows every shell of the option"
    made = found(root, {}, "rawr-install", COMPLETE_VARIABLE)
    # Not made.source(): for bash it starts the `bash` on PATH to learn its version.
    return (made.source_template % made.source_vars()).strip()
