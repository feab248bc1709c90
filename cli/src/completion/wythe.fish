function __wythe_words
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -e words[1]
    set -l found (command wythe complete-words fish -- $words $current 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path $current
    end
end
complete --command wythe --no-files --keep-order --arguments "(__wythe_words)"
