#!/bin/bash
# A broker that hangs, its connections open, for longer than its heartbeat:
# whoever is connected notices by that alone, and comes back when it goes on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_servers
farm_up --set heartbeat=2 # the default is 10 s on our side: the smaller one counts
clip_make long.mp4 480x270 16 || bail "no clip"
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null'
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers
sleep 2 # a queue that is younger may come back without a leader

said() { # WHO EVENT [TEXT]: prints the lines of its log, dispatcher's or worker's
    grep -E "$2" "$farm/log/$1" | grep -F -e "${3-}"
}
lost_heartbeat() { said "$1" 'amqp\.lost' heartbeat >/dev/null; }
hangs() {
    posted 202 hung long.mp4 slow.yaml && await 30 done_at_least hung 1 || return 1
    rabbitmq_do pause
    for who in dispatcher w1 w2; do
        await 15 lost_heartbeat $who || { echo "$who doesn't notice:" && tail -n 5 "$farm/log/$who" && return 1; }
    done
}
fact "dispatcher and workers notice a broker that hangs by its heartbeat" hangs
fact "the dispatcher isn't ready, and says why" eval 'not dispatcher_ready && [ "$(status_of GET /readyz)" = 503 ] && grep -qi broker answer'
fact "status is answered" eval '[ "$(status_of GET /v1/jobs/hung)" = 200 ]'
fact "a job is accepted" posted 202 later long.mp4 quick.yaml
tries() { grep -c 'amqp\.lost' "$farm/log/$1"; } # WHO: how often its connection was lost or not made
tried() { [ "$(tries "$1")" -ge "$2" ]; }        # WHO NUMBER
# Connections are taken by the system, and nobody says a word on them: each costs 5 s, and then a pause.
not_hammered() {
    local who
    await 30 tried dispatcher 3 || { echo "it isn't tried again" && return 1; }
    for who in dispatcher w1 w2; do
        [ "$(tries $who)" -le 5 ] || { echo "$who tried $(tries $who) times" && return 1; }
    done
}
fact "they try again, but not all the time" not_hammered
comes_back() { rabbitmq_do resume && await 20 dispatcher_ready && await 20 workers_known 2; }
fact "it goes on, and they come back" comes_back
fact "the job is done" wait_for hung "done" 90
fact "no attempt failed" eval '[ "$(job hung .progress.attempts_failed)" = 0 ] || { job hung .progress && false; }'
fact "encoded again was what ran at that moment, and no more" encoded_at_most hung $((chunks + 3))
fact "the package is the undisturbed one" same_as_run hung long.mp4 slow.yaml
fact "the job that was submitted meanwhile is done" wait_for later "done" 60
fact "nothing is left over" nothing_left
finish
