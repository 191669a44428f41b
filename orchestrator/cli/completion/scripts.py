"""The scripts that make shells ask `pystack __complete`."""

from __future__ import annotations

from collections.abc import Mapping

# Bash has cut the line at `=` and `:` as well: words are taken from the line itself, and what
# stands before the last of these marks is taken off the candidates again.
_BASH = r"""# bash completion of pystack: source <(pystack completion bash)
_pystack() {
    local line=${COMP_LINE:0:COMP_POINT} words word begun candidate kind= paths=()
    read -ra words <<<"$line"
    case $line in *[[:space:]]) words+=("") ;; esac
    word=${words[${#words[@]} - 1]}
    begun=${word%"${word##*[=:]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        case $candidate in
            :file | :directory) kind=$candidate ;;
            *) COMPREPLY+=("${candidate#"$begun"}") ;;
        esac
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    case $kind in
        :file) mapfile -t paths < <(compgen -f -- "${word#"$begun"}") ;;
        :directory) mapfile -t paths < <(compgen -d -- "${word#"$begun"}") ;;
    esac
    # Bash would quote the marks of names as well.
    ((${#COMPREPLY[@]})) || [[ -z $kind ]] || compopt -o filenames 2>/dev/null
    COMPREPLY+=("${paths[@]}")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _pystack pystack
"""
_ZSH = r"""#compdef pystack
# zsh completion of pystack: source <(pystack completion zsh)
_pystack() {
    local -a candidates open
    local line kind= name summary
    while IFS= read -r line; do
        case $line in
            :file | :directory) kind=$line; continue ;;
        esac
        name=${line%%$'\t'*}
        summary=
        [[ $line == *$'\t'* ]] && summary=${line#*$'\t'}
        if [[ $name == *[=:] ]]; then
            open+=("${name//:/\\:}${summary:+:$summary}")
        else
            candidates+=("${name//:/\\:}${summary:+:$summary}")
        fi
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#candidates} )) && _describe -t pystack 'pystack' candidates
    (( ${#open} )) && _describe -t pystack 'pystack' open -S ''
    case $kind in
        :file) _files ;;
        :directory) _files -/ ;;
    esac
}
if [[ ${funcstack[1]} == _pystack ]]; then
    _pystack "$@"
elif (( $+functions[compdef] )); then
    compdef _pystack pystack
fi
"""
_FISH = r"""# fish completion of pystack: pystack completion fish | source
function __pystack_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    for line in ($program __complete $words[2..-1] "$word" 2>/dev/null)
        switch $line
            case :file
                __fish_complete_path "$word"
            case :directory
                __fish_complete_directories "$word"
            case '*'
                printf '%s\n' $line
        end
    end
end
complete -c pystack -f -a '(__pystack_complete)'
"""
SCRIPTS: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
