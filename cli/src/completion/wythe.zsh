#compdef wythe
_wythe() {
    local -a lines words_here candidates
    words_here=("${(@)words[2,CURRENT]}")
    words_here[-1]=$PREFIX
    lines=("${(@f)$(command wythe complete-words zsh -- "${(@Q)words_here}" 2> /dev/null)}")
    lines=(${lines:#})
    if ((${#lines})); then
        candidates=("${(@)lines//:/\\:}")
        candidates=("${(@)candidates/$'\t'/:}")
        _describe -V wythe candidates
    else
        _files
    fi
}
if [[ $funcstack[1] == _wythe ]]; then
    _wythe "$@"
else
    compdef _wythe wythe
fi
