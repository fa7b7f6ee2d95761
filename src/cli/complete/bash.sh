# bash completion for arcusctl, which is asked itself what fits: commands, options, live service codes, their nodes.
# shellcheck shell=bash
_arcusctl() {
    local line=${COMP_LINE:0:COMP_POINT} words reply word
    # Not COMP_WORDS: readline breaks words at ':' and '=', so IP:PORT would be three.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[${#words[@]} - 1]}
    mapfile -t reply < <(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) ARCUSCTL_COMPLETE=bash \
            arcusctl -- "${words[@]}" 2>/dev/null
    )
    # readline replaces only what follows the last break.
    local rest=$current
    [[ $COMP_WORDBREAKS == *:* ]] && rest=${rest##*:}
    [[ $COMP_WORDBREAKS == *=* ]] && rest=${rest##*=}
    local before=${current%"$rest"}
    COMPREPLY=()
    for word in "${reply[@]}"; do
        [[ -n $word ]] || continue
        # A name from outside must not become shell syntax.
        printf -v word '%q' "${word#"$before"}"
        COMPREPLY+=("${word/#\\~\//\~/}")
    done
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/] ]] && compopt -o nospace
    return 0
}
complete -o nosort -F _arcusctl arcusctl
