#!/bin/bash
# A broker of three nodes, of which one dies in the middle of a job.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_servers rabbitmq
farm_up --nodes 3
clip_make long.mp4 480x270 16 || bail "no clip"
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null'
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers
three_copies() {
    [ "$(rabbitmq_do api GET "queues/$vhost/gopmill.tasks" | jq '.members | length')" = 3 ]
}
fact "queues have a copy on each node" await 10 three_copies
sleep 2 # a queue that is younger may come back without a leader

node_dies() { # ID NODE
    posted 202 "$1" long.mp4 slow.yaml && await 30 done_at_least "$1" 1 || return 1
    rabbitmq_do kill "$2"
    wait_for "$1" "done" 90 && same_as_run "$1" long.mp4 slow.yaml || return 1
    [ "$(job "$1" .progress.attempts_failed)" = 0 ] || { job "$1" .progress && return 1; }
}
back() { rabbitmq_do restart "$1" && rabbitmq_do wait "$1"; }
fact "the node with our connections dies: the job goes on over the others" node_dies first 1
fact "it comes back" back 1
fact "another one dies" node_dies second 2
fact "nothing is left over" nothing_left
finish
