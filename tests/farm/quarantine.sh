#!/bin/bash
# Whose fault it was: an upload that crashes every child, a worker that others do better than.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
clip_make tiny.mp4 320x180 8 || bail "no clip"
chunks=4
fact "the undisturbed package" eval 'reference tiny.mp4 quick.yaml >/dev/null'
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers

# As a decoder would that trips over a file: every child that works is ended by a signal.
crash_children() { # WORKER...
    local w
    for w in "$@"; do
        pkill -SEGV -s "$(pid_of "$farm" "$w")" -x gopmill-child
    done
}
crashes_until_failed() { # ID
    local i
    for i in {1..400}; do
        crash_children w1 w2
        ! has_ended "$1" || break
        sleep 0.02
    done
    wait_for "$1" failed
}
poison() {
    posted 202 poison tiny.mp4 slow.yaml && crashes_until_failed poison &&
        error_says poison crash "crashed on two workers" w1 w2 SIGSEGV
}
fact "an upload that crashes its child on two workers fails its job, which names both" poison
not_tried() {
    [ "$(post poison tiny.mp4 slow.yaml)" = 409 ] && grep -q "gopmill requeue poison" "$scratch/answer" &&
        posted 202 again tiny.mp4 quick.yaml && wait_for again failed && error_says again crash "not tried again"
}
fact "it isn't tried again, by whatever id" not_tried
fact "no worker is in quarantine for that" workers_known 2
requeued() {
    [ "$(status_of POST /v1/jobs/again/requeue '{}')" = 202 ] && wait_for again "done" && same_as_run again tiny.mp4 quick.yaml
}
fact "until a person says so" requeued

# ---- a quarantine ----

state_of() { # WORKER STATE
    peek /v1/workers && jq -e --arg id "$1" --arg state "$2" '.workers[] | select(.id == $id and .state == $state)' <<<"$seen" >/dev/null
}
command_to() { # WORKER WHAT BODY
    amqp-publish --url "$RMQ_URL$vhost" -e gopmill.events -r "command.worker.$1.$2" -b "$3"
}
told() {
    command_to w1 quarantine '{"v":1,"reason":"told by a test","seconds":3600}' && await 20 state_of w1 quarantined &&
        api GET /v1/workers | jq -e '.workers[] | select(.id == "w1") | .reason | contains("told by a test")' >/dev/null &&
        worker_stop w2 && posted 202 waits tiny.mp4 quick.yaml
}
fact "a worker that is told to takes no tasks, and says why" told
released() {
    "$GOPMILL" workers --release w1 && await 20 state_of w1 active && wait_for waits "done" &&
        same_as_run waits tiny.mp4 quick.yaml
}
fact "gopmill workers --release ends that" released
fact "a worker that there isn't is none" eval '! "$GOPMILL" workers --release nobody'
fact "nothing is left over" nothing_left
finish
