#!/bin/sh
# The sample's workspace CLI. A real one starts Bun; to `rawr` it is an executable file, and that is all.
printf "This is the CLI of workspace %s.\n" "@NAME@"
[ $# -eq 0 ] || printf '  argument: %s\n' "$@"
