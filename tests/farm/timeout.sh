#!/bin/bash
# A broker that takes back what isn't settled in time (consumer_timeout: half
# an hour by default, eight seconds here) costs time and nothing else. A task that
# is taken back a fourth time is dead: beside other farms one takes ten seconds.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_servers
farm_up --set consumer_timeout=8000
chunks=4
clip_make held.mp4 480x270 48 || bail "no clip"
fact "the undisturbed package" eval 'reference held.mp4 slow.yaml >/dev/null'
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers

running_on() { # WORKER ID: the tasks of the job that it has
    api GET /v1/workers | jq -r --arg w "$1" --arg id "$2" '.workers[] | select(.id == $w) | .running[] | select(.job == $id) | .task'
}
runs_one() { [ -n "$(running_on "$@")" ]; }
children() { pgrep -s "$(pid_of "$farm" "$1")" gopmill-child; }
# However fast this machine is: the task takes as long as is wanted.
hold() { children "$1" | xargs -r kill -STOP 2>/dev/null; }
go_on() { children "$1" | xargs -r kill -CONT; }
taken_back() { # WORKER NUMBER: so often, at least
    [ "$(jq -rR 'fromjson? | select(.event == "amqp.channel_closed" and .code == 406) | .text' "$farm/log/$1" |
        grep -c 'timed out')" -ge "$2" ]
}
# One that ended at that very moment is no longer seen a second later.
holds_one() { # WORKER ID
    runs_one "$@" && hold "$1" && sleep 1 && runs_one "$@" || { go_on "$1" && return 1; }
}
held_in_w1() { # ID
    posted 202 "$1" held.mp4 slow.yaml && await 30 holds_one w1 "$1"
}

outlives() {
    held_in_w1 once && await 60 taken_back w1 2 || { go_on w1 && echo "the broker took nothing back" && return 1; }
    go_on w1
    wait_for once "done" 60
}
fact "a task that outlives the broker's patience is done all the same" outlives
none_failed() { [ "$(job "$1" .progress.attempts_failed)" = 0 ] || { job "$1" .progress && return 1; }; }
fact "no attempt failed" none_failed once
fact "none was encoded twice" encoded_at_most once $((chunks + 1))
fact "the package is the undisturbed one" same_as_run once held.mp4 slow.yaml
# The deliveries that came meanwhile, to a channel that was closed, cost no connection.
connected_once() { [ "$(grep -c '"event":"amqp.lost"' "$farm"/log/w1 "$farm"/log/w2 | grep -vc ':0$')" = 0 ]; }
fact "the connections have held" connected_once
fact "nothing is left over" nothing_left
fact "a job after that" eval 'posted 202 after held.mp4 slow.yaml && wait_for after "done" 60 && none_failed after'
finish
