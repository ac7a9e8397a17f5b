#!/bin/sh
# chezmoi runs this once its files are in place, and again whenever it changes: edit it, and each of your machines follows.
set -eu
toolkit=rawr-install
PATH=$HOME/.local/bin:$PATH
if command -v uv >/dev/null; then
    uv tool install --quiet --python '>=3.11' "$toolkit"
else
    pipx install --quiet --force "$toolkit"
fi
rawr-install install
# rawr-install activate "$HOME/src/rawr" && rawr-install fallback enable
rawr-install doctor global
