"""The remedy for PATH: a line for the file that the user's login shell reads. Pure."""

from __future__ import annotations

from rawr_install.machine.facts import Facts
from rawr_install.report import Remedy

# The file of each kind of shell. Not zsh's .zshenv: on macOS /etc/zprofile comes after it, and has path_helper(8)
# put the system's folders first again. bash reads the first of three that is there.
_FILE = {
    "zsh": '"${ZDOTDIR:-$HOME}/.zprofile"',
    "bash": '"$(for f in .bash_profile .bash_login .profile; do [ ! -r "$f" ] || break; done; echo "$f")"',
    "yash": '"$HOME/.yash_profile"',
    "fish": '"${XDG_CONFIG_HOME:-$HOME/.config}/fish/config.fish"',
}
_SHOWN = {"zsh": "~/.zprofile", "yash": "~/.yash_profile", "fish": "~/.config/fish/config.fish"}


def to_profile(facts: Facts, folder: str) -> Remedy:
    """Put ``folder`` first on the PATH of new login shells; where it will be there anyway, say so."""
    if folder in facts.environment.system_path:
        return Remedy(f"open a new login shell: /etc/paths names {folder}")
    file = _FILE.get(facts.shell, '"$HOME/.profile"')
    if facts.shell == "fish":
        line = f"fish_add_path --path --prepend --move '{folder.translate(_IN_FISH)}'"
    else:
        line = f'export PATH="{folder.translate(_IN_SH)}:$PATH"'
    script = f'cd && f={file} && mkdir -p "$(dirname "$f")" && printf "%s\\n" "$1" >> "$f"'
    where = _SHOWN.get(facts.shell, "your shell's profile")
    return Remedy(f"add to {where}: {line}", ("sh", "-c", script, "sh", line))


_IN_SH = str.maketrans({char: "\\" + char for char in '\\"$`'})
_IN_FISH = str.maketrans({char: "\\" + char for char in "\\'"})
