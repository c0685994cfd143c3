#!/bin/bash
# Who goes first: tenants share, priorities overtake, whoever floods waits.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=3
clip_make little.mp4 320x180 6 || bail "no clip"
# As few tasks are handed out ahead that turns can be seen in 30 jobs.
fact "a dispatcher" dispatcher_start --queue-min 16
fact "two workers" two_workers

# ---- tenants ----

submit_all() {
    local i
    for ((i = 1; i <= 20; i++)); do posted 202 "flood-$i" little.mp4 quick.yaml '{"tenant": "flood"}' || return 1; done
    for ((i = 1; i <= 5; i++)); do
        posted 202 "one-$i" little.mp4 quick.yaml '{"tenant": "one"}' || return 1
        posted 202 "two-$i" little.mp4 quick.yaml '{"tenant": "two"}' || return 1
    done
}
all_ended() { # TENANT
    [ "$(api GET "/v1/jobs?tenant=$1&limit=100" | jq '[.jobs[] | select(.state != "done")] | length')" = 0 ]
}
fact "30 jobs of three tenants are accepted, one of which floods" submit_all
knows_its_place() { # once it is planned
    job "$1" '.progress.queue_position > 0 and .progress.eta_s > 0' | grep -q true
}
fact "a job that waits knows its place and its time" await 60 knows_its_place flood-20
fact "all of them are done" eval 'await 600 all_ended flood && await 60 all_ended one && await 60 all_ended two'
small_ones_first() {
    api GET '/v1/jobs?limit=100' >jobs.json
    jq -e '([.jobs[] | select(.tenant != "flood") | .ended] | max) as $others
        | [.jobs[] | select(.tenant == "flood" and .ended > $others)] | length >= 4' jobs.json >/dev/null || {
        jq -r '.jobs | sort_by(.ended)[] | "\(.ended) \(.id)"' jobs.json
        return 1
    }
}
fact "the small tenants' jobs were not behind the flood" small_ones_first
in_order() { # within a tenant, the first one first
    jq -r '[.jobs[] | select(.tenant == "flood")] | sort_by(.created) | .[].id' jobs.json >by-created
    jq -r '[.jobs[] | select(.tenant == "flood")] | sort_by(.ended) | .[].id' jobs.json >by-ended
    [ "$(head -n 10 by-created | sort)" = "$(head -n 10 by-ended | sort)" ] || { paste by-created by-ended && return 1; }
}
fact "a tenant's jobs end in their order, give or take the two that run at once" in_order
fact "all packages are the same" eval 'for id in flood-1 flood-20 one-5 two-5; do same_as_run $id little.mp4 quick.yaml || exit 1; done'

# ---- priority ----

big_clip() {
    ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=size=160x120:rate=25 -t 1000 -pix_fmt yuv420p \
        -c:v libx264 -preset ultrafast -g 12 -f mp4 big.mp4 && s3_put big.mp4 "$bucket/big.mp4"
}
big_job() {
    chunks=2000 posted 202 big big.mp4 quick.yaml '{"priority": 3}' && await 300 done_at_least big 5 &&
        [ "$(job big .progress.tasks)" -ge 2000 ] || { job big '{state, error, progress}' && return 1; }
}
fact "a clip for 2,000 chunks" big_clip
fact "a job of 2,000 chunks is at work" big_job
overtakes() {
    posted 202 urgent little.mp4 quick.yaml '{"priority": 9}' && wait_for urgent "done" || return 1
    state_is big running || { echo "the big one is $(job big .state)" && return 1; }
    echo "$(tasks_done big) tasks of the big one were done" && [ "$(tasks_done big)" -lt 1000 ]
}
fact "one of priority 9 overtakes it" overtakes
canceled() {
    [ "$(status_of POST /v1/jobs/big/cancel '{}')" = 202 ] && wait_for big canceled 5 && idle_within 2 &&
        await 5 queues_empty
}
fact "canceled, queue and workers are idle within 2 s" canceled
fact "nothing is left over" nothing_left
finish
