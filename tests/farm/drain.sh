#!/bin/bash
# Workers that are told to go in the middle of a task, with little time: what
# they have is handed back, and costs neither an attempt nor a delivery.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=4
clip_make long.mp4 480x270 12 || bail "no clip"
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null'
fact "a dispatcher" dispatcher_start

runs_one() { # WORKER
    api GET /v1/workers | jq -e --arg w "$1" 'any(.workers[] | select(.id == $w); .running | length > 0)' >/dev/null
}
gone() { ! is_up "$farm" "$1"; }
# Between two tasks a worker has no child: one that is stopped, and stays, is in the middle of a task.
stands_still() { # WORKER
    local children
    children=$(pgrep -s "$(pid_of "$farm" "$1")" gopmill-child) && xargs kill -STOP <<<"$children" || return 1
    sleep 0.2
    ps -o stat= -p "${children//$'\n'/,}" | grep -q '^T'
}
# The only worker goes while its task runs, whose child stands still: COMMAND tells it to.
goes() { # WORKER SECONDS COMMAND...
    local worker=$1 within=$2
    shift 2
    await 30 runs_one "$worker" && await 30 stands_still "$worker" || { echo "$worker runs nothing" && return 1; }
    "$@" && await "$within" gone "$worker" || { echo "$worker doesn't go" && tail -n 5 "$farm/log/$worker" && return 1; }
    grep -q '"worker.handing_back"' "$farm/log/$worker" && grep -q '"worker.ended"' "$farm/log/$worker" ||
        { echo "it handed nothing back" && tail -n 5 "$farm/log/$worker" && return 1; }
}
unsettled() {
    queues | jq -e '.[] | select(.name == "gopmill.tasks") | .messages_unacknowledged == 0 and .messages_ready > 0' >/dev/null
}
# The messages that wait: as if nobody ever had them.
uncounted() {
    await 15 unsettled || { echo "nothing waits" && queue_rows && return 1; }
    rabbitmq_do api POST "queues/$vhost/gopmill.tasks/get" '{"count":50,"ackmode":"ack_requeue_true","encoding":"auto"}' >messages || return 1
    jq -e 'length > 0 and all(.[]; .redelivered == false and (.properties.headers["x-delivery-count"] // 0) == 0)' messages >/dev/null ||
        { jq -c '.[] | [.redelivered, .properties.headers]' messages && return 1; }
}
untried() { [ "$(job job .progress.attempts_failed)" = 0 ] || { job job .progress && return 1; }; }

fact "a job" posted 202 job long.mp4 slow.yaml
signal() { kill "-$1" "$(pid_of "$farm" "$2")"; }
worker_start w1 --drain-seconds 1
fact "SIGTERM: when the time to drain is over a worker hands its task back, and goes" goes w1 12 signal TERM w1
fact "that was no delivery" uncounted
fact "and no attempt" untried

worker_start w2 --drain-seconds 1
by_name() { "$GOPMILL" drain "$1" >out 2>&1 || { cat out && return 1; }; }
fact "gopmill drain: likewise" goes w2 12 by_name w2
fact "no attempt" untried

worker_start w3 --drain-seconds 600
draining() { grep -q '"worker.draining"' "$farm/log/$1"; }
twice() { signal TERM "$1" && await 5 draining "$1" && signal TERM "$1"; }
fact "a second signal: at once, whatever the time to drain" goes w3 5 twice w3
fact "no attempt" untried

worker_start w4
fact "another worker does what is left" wait_for job "done" 60
fact "no attempt failed in all that" untried
fact "nothing was encoded twice" encoded_at_most job $((chunks + 1))
fact "the package is the undisturbed one" same_as_run job long.mp4 slow.yaml
fact "nothing is left over" nothing_left
finish
