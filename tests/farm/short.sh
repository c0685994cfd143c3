#!/bin/bash
# A worker whose machine is short of memory or disk takes no task, says so, and
# goes on by itself once there is enough again.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mkdir small
group=''
leave_machine() {
    mountpoint -q "$scratch/small" && umount -l "$scratch/small"
    private_end "$farm"
    [ -z "$group" ] || await 5 rmdir "$group" 2>/dev/null
    farm_leave
}
trap leave_machine EXIT

farm_up
clip_make short.mp4 320x180 12 || bail "no clip"
fact "a dispatcher" dispatcher_start

reason_of() { api GET /v1/workers | jq -r --arg w "$1" '.workers[] | select(.id == $w) | .reason // ""'; }
is_short() { case $(reason_of "$1") in "$2 is short: "*" MiB are free"*) ;; *) return 1 ;; esac }
is_fine() { [ -z "$(reason_of "$1")" ]; }
known() { api GET /v1/workers | jq -e --arg w "$1" 'any(.workers[]; .id == $w)' >/dev/null; }
took_none() { not grep -q '"event":"task\.\(done\|failed\)"' "$farm/log/$1"; }
# waits_for_room SHORT-OF ID WORKER COMMAND...: the job waits until COMMAND gives it what it wants
waits_for_room() {
    local of=$1 id=$2 worker=$3
    shift 3
    await 15 is_short "$worker" "$of" || { echo "it says: $(reason_of "$worker")" && api GET /v1/workers && return 1; }
    posted 202 "$id" short.mp4 quick.yaml && await 20 eval '[ "$(job '"$id"' .progress.tasks)" -gt 0 ]' || return 1
    sleep 3 # nothing is to happen
    took_none "$worker" && [ "$(tasks_done "$id")" = 0 ] && [ "$(api GET /v1/workers | jq '[.workers[].running[]] | length')" = 0 ] ||
        { echo "it took a task" && return 1; }
    "$@" && await 15 is_fine "$worker" && wait_for "$id" "done" 60 && [ "$(job "$id" .progress.attempts_failed)" = 0 ]
}

# ---- disk ----

if mount -t tmpfs -o size=8m,mode=700 gopmill-test small 2>/dev/null; then
    worker_start disk --disk "$scratch/small"
    fact "a worker whose disk is short takes no task, says so, and goes on when it has room" \
        waits_for_room disk d disk mount -o remount,size=600m "$scratch/small"
    fact "it is short again" eval 'mount -o remount,size=8m "$scratch/small" && await 15 is_short disk disk'
    fact "another worker does the next job, and nothing fails" eval 'worker_start other && posted 202 e short.mp4 quick.yaml && wait_for e "done" 60 &&
        [ "$(job e .progress.attempts_failed)" = 0 ]'
    worker_stop disk && worker_stop other
else
    skip "a worker whose disk is short takes no task" "no file system can be mounted here"
fi

# ---- memory: a control group's limit ----

group_make() { # of version 2, else 1, below the one that this script is in
    local own
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    if grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
        group=/sys/fs/cgroup/gopmill-test-$$ limit=memory.max
    elif [ -d /sys/fs/cgroup/memory ]; then
        own=$(sed -n 's/^[0-9]*:\([^:]*,\)*memory\(,[^:]*\)*://p' /proc/self/cgroup)
        [ -d "/sys/fs/cgroup/memory$own" ] || own=''
        group=/sys/fs/cgroup/memory${own%/}/gopmill-test-$$ limit=memory.limit_in_bytes
    else
        return 1
    fi
    mkdir "$group" 2>/dev/null && [ -w "$group/$limit" ] && echo $((900 << 20)) 2>/dev/null >"$group/$limit" && return 0
    rmdir "$group" 2>/dev/null
    group=''
    return 1
}
limit_to() { echo $(($1 << 20)) >"$group/$limit"; } # MIB
in_group() { # NAME: a worker
    # shellcheck disable=SC2016 # for the inner shell
    run_in "$farm" "$1" bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' _ "$group" "$GOPMILL_WORKER_PROGRAM" \
        --broker "$broker" --id "$1" --log-level debug "--slots=$2"
}
if group_make; then
    in_group memory 1
    fact "a worker sees the limit of its control group" eval 'await 15 known memory &&
        [ "$(api GET /v1/workers | jq ".workers[] | select(.id == \"memory\") | .memory_bytes")" = '"$((900 << 20))"' ]'
    fact "there is little left" limit_to 200
    fact "it takes no task, says so, and goes on when it has enough" waits_for_room memory m memory limit_to 900
    worker_stop memory
else
    skip "a worker sees the limit of its control group" "no control group can be made here"
fi
finish
