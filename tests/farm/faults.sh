#!/bin/bash
# A dispatcher that dies just before and just after each thing that it does for
# good: started again, it neither loses nor repeats anything.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=4
clip_make tiny.mp4 320x180 8 || bail "no clip"
fact "the undisturbed package" eval 'reference tiny.mp4 quick.yaml >/dev/null'
GOPMILL_DISPATCHER_PROGRAM=$GOPMILL_BUILD/tests/farm/dispatcher-faults
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers
dispatcher_stop

accepted() { # ID: a client that goes on until it is told
    case $(post "$1" tiny.mp4 quick.yaml 2>/dev/null) in 200 | 202) ;; *) return 1 ;; esac
}
died_or_done() { ! is_up "$farm" dispatcher || state_is "$1" "done"; }

# Between the confirm of tasks and the commit of that they are out, dying sends
# them twice: whoever takes the second one while the first runs elsewhere knows
# nothing of it. Two slots can do that to a few tasks only.
most_encodings() { # POINT
    case $1 in
    publish-after:* | commit-before:*) echo $((chunks + 1 + 4)) ;;
    *) echo $((chunks + 1)) ;;
    esac
}

# Dies at the point, comes back, goes on.
dies_at() { # ID POINT
    local asked=''
    # One that dies at once is never ready: that is as good.
    GOPMILL_FAULT=$2 dispatcher_start >/dev/null || ! is_up "$farm" dispatcher || return 1
    accepted "$1" && asked=1
    await 120 died_or_done "$1" || { echo "it neither died nor ended" && job "$1" && return 1; }
    if is_up "$farm" dispatcher; then
        echo "the point was never reached"
        dispatcher_stop
        return 1
    fi
    dispatcher_start || return 1
    # What was acknowledged must be there without being sent again.
    [ -z "$asked" ] || job "$1" .id >/dev/null || { echo "an acknowledged job is gone" && return 1; }
    [ -n "$asked" ] || accepted "$1" || return 1
    wait_for "$1" "done" && same_as_run "$1" tiny.mp4 quick.yaml &&
        encoded_at_most "$1" "$(most_encodings "$2")" && [ "$(job "$1" .progress.attempts_failed)" = 0 ]
    local r=$?
    dispatcher_stop
    return $r
}

for point in commit-before:1 commit-after:1 commit-before:3 commit-after:3 commit-before:6 commit-after:6 \
    publish-before:1 publish-after:1 ack-before:1 ack-after:1 ack-before:4 ack-after:4 \
    package-before:1 package-after:1; do
    fact "it dies at $point" dies_at "${point/:/-}" $point
done
fact "it is ready again" dispatcher_start
fact "nothing is left over" nothing_left
finish
