#!/bin/bash
# Workers and dispatchers that are killed at any moment cost what was running
# in them and nothing else; the package is that of an undisturbed run.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# The same moments again: GOPMILL_TEST_SEED=<what was printed>.
seed=${GOPMILL_TEST_SEED:-$(($(date +%s) % 32768))}
echo "# GOPMILL_TEST_SEED=$seed"
RANDOM=$seed
random_below() { echo "0.$(printf '%03d' $((RANDOM * $1 / 32768)))"; } # MS (< 1000): as seconds

own_servers
farm_up
clip_make long.mp4 384x216 16 || bail "no clip"
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null'
fact "a dispatcher" dispatcher_start
fact "two workers" two_workers

# ---- a worker ----

posted 202 worker long.mp4 slow.yaml >/dev/null
fact "a worker is killed -9 in the middle: its children go with it" \
    eval 'await 120 done_at_least worker 2 && worker_kill w1'
fact "the other one makes the rest" wait_for worker "done"
fact "the same package" same_as_run worker long.mp4 slow.yaml
fact "no task was encoded that hadn't run in it" encoded_at_most worker $((chunks + 2))
fact "nothing is left over" nothing_left
worker_start w1

# SIGTERM twice: running tasks are handed back, without counting as failures.
handed_back() {
    posted 202 drained long.mp4 slow.yaml && await 120 done_at_least drained 1 || return 1
    kill -TERM "$(pid_of "$farm" w1)" && sleep 0.3
    kill -TERM "$(pid_of "$farm" w1)" 2>/dev/null
    await 60 not is_up "$farm" w1 || { echo "w1 doesn't go" && return 1; }
    wait_for drained "done" && [ "$(job drained .progress.attempts_failed)" = 0 ]
}
fact "a worker that is told to go twice hands its task back" handed_back
fact "into the same package" same_as_run drained long.mp4 slow.yaml
worker_start w1

# ---- the dispatcher ----

dispatcher_dies() { # ID AFTER-TASKS SECONDS
    posted 202 "$1" long.mp4 slow.yaml && await 120 done_at_least "$1" "$2" || return 1
    sleep "$3"
    dispatcher_kill
    sleep "$(random_below 900)"
    dispatcher_start && wait_for "$1" "done" && same_as_run "$1" long.mp4 slow.yaml &&
        [ "$(job "$1" .progress.attempts_failed)" = 0 ]
}
for n in 0 3 6; do
    wait_s=$(random_below 600)
    fact "the dispatcher is killed -9 $wait_s s after $n tasks and started again" dispatcher_dies "disp$n" $n "$wait_s"
    fact "no task was encoded twice" encoded_at_most "disp$n" $((chunks + 1))
done
fact "nothing is left over" nothing_left

# ---- cancel ----

canceled() {
    posted 202 cancel long.mp4 slow.yaml && await 120 done_at_least cancel 1 || return 1
    [ "$(status_of POST /v1/jobs/cancel/cancel '{}')" = 202 ] && wait_for cancel canceled 5 && idle_within 2 &&
        await 5 queues_empty
}
fact "a job that is canceled in the middle leaves workers and queue idle within 2 s" canceled
revived() {
    posted 200 cancel long.mp4 slow.yaml || posted 202 cancel long.mp4 slow.yaml || return 1
    wait_for cancel "done" && same_as_run cancel long.mp4 slow.yaml
}
fact "submitted again, it goes on" revived
fact "without encoding what was done" \
    encoded_at_most cancel $((chunks + 1))

# ---- everything ----

everything_dies() {
    posted 202 all long.mp4 slow.yaml && await 120 done_at_least all 2 || return 1
    dispatcher_kill & worker_kill w1 & worker_kill w2 & rabbitmq_do kill & rgw_do kill rgw
    wait
    rabbitmq_do restart && rgw_do restart rgw && rabbitmq_do wait || return 1
    dispatcher_start && two_workers && wait_for all "done"
}
sleep 2 # a queue that is younger may come back without a leader
fact "dispatcher, workers, broker and S3 are killed at once and started again" everything_dies
fact "the same package" same_as_run all long.mp4 slow.yaml
fact "encoded again was what ran at that moment, and no more" encoded_at_most all $((chunks + 3))
fact "nothing is left over" nothing_left
finish
