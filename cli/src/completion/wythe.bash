# Bash takes words apart at : and =, which stand in names of images and behind flags: they are put together again.
_wythe() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() count=0 i word prefix
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if ((i == 0)) || [[ $rest == [[:blank:]]* ]]; then
            words[count++]=
        fi
        rest=${rest#"${rest%%[![:blank:]]*}"}
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then word=$rest; fi
        rest=${rest#"$word"}
        words[count - 1]+=$word
    done
    word=${words[count - 1]}
    COMPREPLY=()
    while IFS= read -r i; do
        COMPREPLY+=("$i")
    done < <(command wythe complete-words bash -- "${words[@]:1}" 2> /dev/null)
    prefix=${word%"${word##*[:=]}"}
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/:,] ]]; then
        compopt -o nospace
    fi
}
complete -o bashdefault -o default -F _wythe wythe
