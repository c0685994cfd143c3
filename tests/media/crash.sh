#!/bin/bash
# A child that dies costs one attempt of one task and nothing else; a task
# whose children always die costs its job, in words, and can be taken up
# again.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/killed.sh"

# Tasks that take a while.
chunks=2
sed -i 's/preset: fast/preset: slow/' ladder.yaml
fact "a package, undisturbed" run undisturbed

# An encoding child: running, and beyond what loading libraries takes; its
# number is $child. Fields 3, 14 and 15 are its state and its time in ticks of
# 10 ms; its name has no space.
find_child() {
    local files
    mapfile -t files < <(ps -o pid= -s "$session" | sed 's,.* \|^,/proc/,; s,$,/stat,')
    child=$(awk '/gopmill-child/ && $3 == "R" && $14 + $15 >= 12 { print $1; exit }' "${files[@]}" \
        /dev/null 2>/dev/null)
    [ -n "$child" ]
}
ended() { [[ $(ps -o stat= -p "$session") == [Z]* ]] || ! kill -0 "$session" 2>/dev/null; }
found_or_ended() { find_child || ended; }

attempts() { # DIR: "<attempts beyond the first> <tasks that had them> <last class of error>"
    sqlite3 "$1/.gopmill/job.db" "SELECT sum(attempt - 1), sum(attempt > 1), max(CASE WHEN attempt > 1
        THEN error_class || ': ' || error_text END) FROM tasks"
}

struck() { # SIGNAL DIR
    start "$2"
    wait_until 60 found_or_ended
    kill -s "$1" "$child" || return 1
    wait "$job" || { cat err "$2.json" && return 1; }
    all_gone || return 1
    attempts "$2"
    [[ $(attempts "$2") == "1|1|crash: child died by SIG$1"* ]] || return 1
    [ "$(jq '[.run.tasks[] | select(.attempt == 2)] | length' "$2/job.json")" -eq 1 ] &&
        [ "$(jq '[.run.tasks[] | select(.attempt > 2)] | length' "$2/job.json")" -eq 0 ] &&
        jq -es 'map(select(.event == "done"))[0].attempts_failed == 1' "$2.json"
}
for signal in KILL SEGV; do
    fact "a child that dies by SIG$signal costs one attempt of one task" struck $signal by-$signal
    fact "and nothing else" same_package undisturbed by-$signal
done

# ---- children that have no task yet ----
struck_early() { # DIR: the first there are, which plan, or load their libraries
    local children
    start "$1"
    wait_until 60 pgrep -s "$session" gopmill-child >/dev/null
    mapfile -t children < <(pgrep -s "$session" gopmill-child)
    kill -s KILL "${children[@]}"
    wait "$job" || { cat err && return 1; }
    all_gone
}
fact "children that die before they have a task cost the job nothing" struck_early early
fact "as the package shows" same_package undisturbed early

# ---- each and every child ----
all_struck() { # DIR
    local status=0
    start "$1"
    until ended; do
        wait_until 60 found_or_ended
        [ -z "$child" ] || kill -s KILL "$child" 2>/dev/null
    done
    wait "$job" || status=$?
    echo "status $status" && cat err
    [ $status -eq 1 ] && grep -qE '^gopmill: .*clip.mp4: .*task [av]-[0-9-]+ failed [0-9]+ times.*SIGKILL' err || return 1
    [ -z "$(find "$1" -name '*.m3u8' -o -name '*.mpd')" ] && all_gone
}
taken_up_again() { # DIR
    run "$1" && same_package undisturbed "$1"
}
fact "where every child dies the job fails, says why, and makes no playlist" all_struck lost
fact "run again it is taken up, and ends well" taken_up_again lost
finish
