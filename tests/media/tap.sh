# tap.sh - sourced by the scripts here: facts, a scratch folder, an end.
# shellcheck shell=bash
#
#   fact "name" command...   runs it; prints "ok N - name" or "not ok N - name"
#                            with what it printed
#   skip "name" "why"
#   finish                   exits with 0 when every fact held
#
# $scratch is a new folder that goes away at the end, also after a signal.

set -u
facts=0
facts_failed=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/gopmill-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

# What took a second or more says so.
took() { # SINCE (µs)
    local ms=$(((${EPOCHREALTIME/./} - $1) / 1000))
    [ $ms -lt 1000 ] || printf ' (%d.%d s)' $((ms / 1000)) $((ms % 1000 / 100))
}

fact() {
    local name=$1 out since=${EPOCHREALTIME/./}
    shift
    facts=$((facts + 1))
    if out=$("$@" 2>&1); then
        echo "ok $facts - $name$(took "$since")"
    else
        echo "not ok $facts - $name$(took "$since")"
        printf '%s\n' "$out" | head -n 40 | sed 's/^/#   /'
        facts_failed=$((facts_failed + 1))
    fi
}

skip() {
    facts=$((facts + 1))
    echo "ok $facts - $1 # SKIP $2"
}

finish() {
    echo "1..$facts"
    [ "$facts_failed" -eq 0 ]
    exit
}
