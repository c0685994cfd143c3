#!/bin/bash
# S3 that answers with errors, slowly or half, and everything else that may be
# wrong with it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_servers rgw
farm_up
export GOPMILL_STORE_STALL=2 # where a network swallows requests on purpose
clip_make long.mp4 384x216 16 || bail "no clip"
clip_make short.mp4 320x180 12 || bail "no clip"
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null && reference short.mp4 quick.yaml >/dev/null'
proxy_start workers "${AWS_ENDPOINT_URL_S3#http://}" && proxy_start dispatcher "${AWS_ENDPOINT_URL_S3#http://}" ||
    bail "no proxy"
s3_does() { proxy_do workers "$@" && proxy_do dispatcher "$@"; }
fact "a dispatcher" over dispatcher dispatcher_start
fact "two workers" over workers two_workers

disturbed() { # ID FAULT...
    local id=$1 r
    shift
    posted 202 "$id" short.mp4 quick.yaml && s3_does "$@" || return 1
    wait_for "$id" "done"
    r=$?
    s3_does pass
    [ $r -eq 0 ] && same_as_run "$id" short.mp4 quick.yaml
}
fact "every fifth request answered with 500" disturbed e500 status 500 5
fact "every fifth request answered with 503" disturbed e503 status 503 5
fact "every fifth answer cut in the middle of its body" disturbed cut cut-body 5
fact "slow: 400 kB a second" disturbed slow slow 400000
fact "every answer 200 ms late" disturbed late delay 200
fact "every fourth answer lost, what was asked for done" disturbed lose lose 4
fact "every eighth request without an answer" disturbed hang hang 8

hangs() {
    posted 202 dumb long.mp4 slow.yaml && await 120 done_at_least dumb 1 && s3_does hang || return 1
    sleep 8
    s3_does pass
    wait_for dumb "done" && same_as_run dumb long.mp4 slow.yaml
}
fact "S3 without a word for 8 s in the middle of a job" hangs

# Nothing but errors for longer than a request is tried: workers hand back what they have and take
# nothing, the dispatcher isn't ready, what is submitted waits to be planned.
away() {
    posted 202 away long.mp4 slow.yaml && await 120 done_at_least away 1 && s3_does "$@" || return 1
    await 60 workers_say "the store is away" && posted 202 waiting short.mp4 quick.yaml && await 60 not_ready
    local r=$?
    s3_does pass
    [ $r -eq 0 ] && wait_for away "done" && wait_for waiting "done" && same_as_run away long.mp4 slow.yaml &&
        [ "$(job away .progress.attempts_failed)$(job waiting .progress.attempts_failed)" = 00 ] && dispatcher_ready &&
        api DELETE /v1/jobs/away?package=1 && api DELETE /v1/jobs/waiting?package=1
}
workers_say() { # TEXT: all of them
    peek /v1/workers && jq -e --arg text "$1" '[.workers[] | select(.state != "lost")] | length > 0 and all(.reason // "" | contains($text))' <<<"$seen" >/dev/null
}
not_ready() { [ "$(curl -s -o "$scratch/answer" -w '%{http_code}' "$url/readyz")" = 503 ] && grep -q "the store is away" "$scratch/answer"; }
fact "S3 that answers nothing but 503 in the middle of a job is waited for" away status 503 1


gateway_dies() {
    posted 202 gateway long.mp4 slow.yaml && await 120 done_at_least gateway 1 || return 1
    rgw_do kill rgw && await 60 workers_say "the store is away"
    local r=$?
    rgw_do restart rgw
    [ $r -eq 0 ] && wait_for gateway "done" && same_as_run gateway long.mp4 slow.yaml &&
        [ "$(job gateway .progress.attempts_failed)" = 0 ]
}
fact "the S3 server killed -9 and started again" gateway_dies
fact "nothing is left over" nothing_left

# ---- failed, and the requeue of what failed ----

# What is forbidden is not tried for long: attempts are soon spent.
fails_halfway() {
    proxy_do workers status 403 1 PUT video/full/seg-00005
    posted 202 partly long.mp4 slow.yaml && wait_for partly failed && error_says partly storage "403" "seg-00005"
    local r=$?
    proxy_do workers pass
    await 120 no_child
    return $r
}
fact "an object that can't be stored fails the job, naming it" fails_halfway
only_the_rest() {
    local before encodings
    before=$(job partly .progress.tasks_done) encodings=$(encoded partly | wc -l)
    [ "$(status_of POST /v1/jobs/partly/requeue '{}')" = 202 ] && wait_for partly "done" &&
        encoded_at_most partly $((encodings + chunks + 1 - before))
}
fact "requeued, only what is missing is encoded" only_the_rest
fact "into the same package" same_as_run partly long.mp4 slow.yaml

# ---- the source ----

# Workers that are new have nothing of it in their cache.
replaced() {
    worker_stop w1 && worker_stop w2 && posted 202 replaced long.mp4 slow.yaml && await 120 planned replaced || return 1
    s3_put "$shared/short.mp4" "$bucket/long.mp4"
    over workers two_workers && wait_for replaced failed && error_says replaced input "long.mp4" "changed"
    local r=$?
    s3_put "$shared/long.mp4" "$bucket/long.mp4"
    return $r
}
fact "a source that is replaced in the middle fails the job with that reason" replaced

# The bucket has the old source again; then the new one, to stay.
requeue_done() { [ "$(status_of POST "/v1/jobs/$1/requeue" '{}')" = 202 ] && wait_for "$1" "done"; }
fact "put back, the requeue goes on with it" eval 'requeue_done replaced && same_as_run replaced long.mp4 slow.yaml'
replaced_for_good() {
    proxy_do workers hang 1 PUT out/other/video/full/seg-00005
    posted 202 other long.mp4 slow.yaml && await 120 done_at_least other 2 && worker_kill w1 && worker_kill w2 ||
        return 1
    s3_put "$shared/short.mp4" "$bucket/long.mp4"
    proxy_do workers pass
    over workers two_workers && wait_for other failed && error_says other input "changed" &&
        requeue_done other && same_media_as_run other short.mp4 slow.yaml
    local r=$?
    s3_put "$shared/long.mp4" "$bucket/long.mp4"
    return $r
}
fact "left as it is, the requeue makes the whole package of the new source" replaced_for_good

# ---- credentials ----

wrong_worker() {
    worker_stop w1 && worker_stop w2 || return 1
    AWS_SECRET_ACCESS_KEY=wrong worker_start bad && await 60 workers_say "$AWS_ACCESS_KEY_ID" &&
        posted 202 wrong short.mp4 quick.yaml && await 60 planned wrong && worker_start w1 && wait_for wrong "done" &&
        same_as_run wrong short.mp4 quick.yaml && [ "$(job wrong .progress.attempts_failed)" = 0 ] &&
        ! encoded_by bad
    local r=$?
    worker_stop bad
    return $r
}
encoded_by() { grep -q '"event":"task.done"' "$farm/log/$1"; }
fact "a worker with wrong credentials says so and takes nothing, a good one makes the job" wrong_worker
wrong_dispatcher() {
    dispatcher_stop && AWS_SECRET_ACCESS_KEY=wrong dispatcher_start || return 1
    posted 202 wrong2 short.mp4 quick.yaml && wait_for wrong2 failed && error_says wrong2 storage "403" "$AWS_ACCESS_KEY_ID"
}
fact "a dispatcher with wrong credentials: likewise" wrong_dispatcher
no_secret() { ! grep -rqF -e "$AWS_SECRET_ACCESS_KEY" -e "$RMQ_PASSWORD" -e "$token" "$farm/log"; }
fact "no secret is in any log" no_secret
finish
