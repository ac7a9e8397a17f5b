# fish completion for rawr-install, and for the toolkit's verbs of rawr.
# Printed by: rawr-install completion fish
# A table made from the command tree: pressing Tab starts no other program.

function __rawr_install_at --description 'whether the command path so far is the argument'
    set -l at ''
    set -l tokens (commandline -opc)
    for word in $tokens[2..-1]
        switch "$at $word"
@COMMANDS@
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end

complete -c rawr-install -f
@TABLE@
