# bash completion for rawr-install, and for the toolkit's verbs of rawr.
# Printed by: rawr-install completion bash
# A table made from the command tree: pressing Tab starts no program.

_rawr_install_is_command() {
    case $1 in
@COMMANDS@
    *) return 1 ;;
    esac
}

_rawr_install_lookup() {
    subs='' opts='' vals='' kind=''
    case $1 in
@TABLE@
    esac
}

_rawr_install_offer() {
    local line
    while IFS= read -r line; do
        [ -n "$line" ] && COMPREPLY+=("$line")
    done
}

_rawr_install() {
    local at='' i cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local subs opts vals kind
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        _rawr_install_is_command "$at ${COMP_WORDS[i]}" && at="$at ${COMP_WORDS[i]}"
    done
    # "=" is a word break of its own in bash: --mode=shim arrives as three words.
    [ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}
    [ "$cur" = = ] && cur=''
    _rawr_install_lookup "$at $prev"
    if [ -z "$kind" ]; then
        _rawr_install_lookup "$at"
        case $cur in
        -*) kind=words vals=$opts ;;
        *) [ -n "$subs" ] && kind=words vals=$subs ;;
        esac
        [ -z "$kind" ] && kind=words vals=$opts
    fi
    case $kind in
    words) _rawr_install_offer < <(compgen -W "$vals" -- "$cur") ;;
    dir) compopt -o filenames 2>/dev/null; _rawr_install_offer < <(compgen -d -- "$cur") ;;
    file) compopt -o filenames 2>/dev/null; _rawr_install_offer < <(compgen -f -- "$cur") ;;
    esac
}

_rawr() {
    # Words that the toolkit does not answer belong to the workspace CLI: file names are all we can offer.
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        _rawr_install_offer < <(compgen -W '@VERBS@' -- "${COMP_WORDS[1]}")
        return
    fi
    case ${COMP_WORDS[1]} in
    @VERB_PATTERN@) _rawr_install ;;
    esac
}

complete -F _rawr_install rawr-install
# A completion that the workspace CLI brought for rawr knows more than this one.
complete -p rawr >/dev/null 2>&1 || complete -o default -F _rawr rawr
