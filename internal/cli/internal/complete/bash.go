package complete

import "strings"

// Bash replaces what cobra's script does with the words of a line where the package bash-completion
// is not there, which is so on many machines: the script would do nothing then.
// program is the name of the command.
func Bash(program string) string {
	return strings.ReplaceAll(bash, "openmas", strings.NewReplacer("-", "_", ":", "_").Replace(program))
}

const bash = `
# The words of the line, without bash-completion too.
__openmas_init_completion()
{
    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        COMPREPLY=()
        _get_comp_words_by_ref "$@" cur prev words cword
        return
    fi
    COMPREPLY=()
    local line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"${line}"
    [[ ${line} == *[[:space:]] ]] && words+=("")
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword > 0 ? cword - 1 : 0]}
}
`
