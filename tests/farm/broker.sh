#!/bin/bash
# RabbitMQ that is restarted, killed or out of reach costs time and nothing else.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_servers rabbitmq
farm_up
clip_make long.mp4 384x216 16 || bail "no clip"
proxy_start broker "$RMQ_HOSTS" --raw || bail "no proxy"
broker=amqp://$RMQ_USER:$RMQ_PASSWORD@$(proxy_at broker)/$vhost
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null'
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers
sleep 2 # a queue that is younger may come back without a leader

# DISTURBANCE happens when a first task is done.
disturbed() { # ID DISTURBANCE...
    local id=$1
    shift
    posted 202 "$id" long.mp4 slow.yaml && await 120 done_at_least "$id" 1 && "$@" || return 1
    wait_for "$id" "done" && same_as_run "$id" long.mp4 slow.yaml
}
# What ran when the connection was lost may run once more, but doesn't fail.
none_failed() { [ "$(job "$1" .progress.attempts_failed)" = 0 ] || job "$1" .progress; }

cut_connections() { proxy_do broker cut; }
fact "all connections cut in the middle of a job" disturbed cut cut_connections
fact "no attempt failed" none_failed cut

restarted() { rabbitmq_do restart && rabbitmq_do wait; }
fact "the broker restarted in the middle of a job" disturbed restarted restarted
fact "no attempt failed" none_failed restarted

killed() { rabbitmq_do kill && rabbitmq_do restart && rabbitmq_do wait; }
fact "the broker killed -9 in the middle of a job" disturbed killed killed
fact "no attempt failed" none_failed killed

unreachable() {
    proxy_do broker refuse && proxy_do broker cut
    await 60 not dispatcher_ready || { echo "the dispatcher still says that it is ready" && return 1; }
    [ "$(status_of GET /v1/jobs/away)" = 200 ] || { echo "status isn't answered" && return 1; }
    [ "$(post later long.mp4 quick.yaml)" = 202 ] || { echo "no job is accepted: $(cat answer)" && return 1; }
    sleep "$1"
    proxy_do broker pass
}
fact "the broker out of reach for 30 s: status and submissions go on" disturbed away unreachable 30
fact "no attempt failed" none_failed away
fact "the job that was submitted meanwhile is done" wait_for later "done"
fact "nothing is left over" nothing_left
finish
