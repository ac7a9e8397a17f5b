#compdef rawr-install rawr
# zsh completion for rawr-install, and for the toolkit's verbs of rawr.
# Printed by: rawr-install completion zsh
# A table made from the command tree: pressing Tab starts no program.

_rawr_install_is_command() {
    case $1 in
@COMMANDS@
    (*) return 1 ;;
    esac
}

_rawr_install_lookup() {
    subs=() opts=() vals=() kind=''
    case $1 in
@TABLE@
    esac
}

_rawr_install() {
    local at='' word kind prev=${words[CURRENT-1]} cur=${words[CURRENT]}
    local -a subs opts vals
    for word in "${(@)words[2,CURRENT-1]}"; do
        _rawr_install_is_command "$at $word" && at="$at $word"
    done
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        compset -P '*='
    fi
    _rawr_install_lookup "$at $prev"
    if [[ -z $kind ]]; then
        _rawr_install_lookup "$at"
        if [[ $cur == -* ]]; then
            kind=options
        elif (( $#subs )); then
            kind=commands
        elif [[ -z $kind ]]; then
            kind=options
        fi
    fi
    case $kind in
    (words) compadd -- "${(@)vals}" ;;
    (dir) _files -/ ;;
    (file) _files ;;
    (commands) _describe -t commands command subs ;;
    (options) _describe -o -t options option opts ;;
    esac
}

_rawr() {
    local -a verbs
    verbs=(
@VERBS@
    )
    if (( CURRENT == 2 )); then
        _describe -t commands 'toolkit verb' verbs
        return 0
    fi
    # Words that the toolkit does not answer belong to the workspace CLI: file names are all we can offer.
    case ${words[2]} in
    (@VERB_PATTERN@) _rawr_install ;;
    (*) _files ;;
    esac
}

# Three ways to load this: `source`/`eval` after compinit, or a file named _rawr-install on fpath,
# which zsh autoloads and calls.
if [[ ${funcstack[1]} == _rawr-install ]]; then
    case $service in
    (rawr) _rawr "$@" ;;
    (*) _rawr_install "$@" ;;
    esac
else
    compdef _rawr_install rawr-install
    # A completion that the workspace CLI brought for rawr knows more than this one.
    (( $+_comps[rawr] )) || compdef _rawr rawr
fi
