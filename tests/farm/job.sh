#!/bin/bash
# One video through a whole farm: by HTTP and by AMQP, over two workers, the
# same bytes as `gopmill run`; then everything that is wrong with a job.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
clip_make short.mp4 320x180 12 || bail "no clip"
fact "a dispatcher starts" dispatcher_start
fact "two workers are seen" two_workers

# ---- a job ----

fact "a job by HTTP is accepted" posted 202 one short.mp4 quick.yaml
fact "it is done" wait_for one "done"
fact "its package is that of gopmill run, by sha256 of every object" same_as_run one short.mp4 quick.yaml
fact "gopmill verify accepts it" "$GOPMILL_VERIFY" "package-one" --source "$shared/short.mp4"
both_worked() {
    [ "$(jq '[.run.tasks[].worker] | unique | length' package-one/job.json)" = 2 ] ||
        { jq -c '.run.tasks[] | [.id, .worker]' package-one/job.json && return 1; }
}
fact "both workers had a share" both_worked
fact "no task was encoded twice" encoded_at_most one $((chunks + 1))
status_complete() {
    job one '[.id, .state, .source, .output, .priority, .progress.percent, .progress.tasks, .progress.tasks_done,
        .progress.attempts_failed, (.renditions | length), (.tasks | length), .error] | tojson' >status
    diff status - <<END
["one","done","s3://$bucket/short.mp4","s3://$bucket/out/one/",5,100,7,7,0,3,7,null]
END
}
fact "its status tells all of it" status_complete
end_told() {
    grep "job.ended" "$farm/log/dispatcher" >ends
    [ "$(grep -c "job.ended.*job=one state=done .* tasks=7 " ends)" = 1 ] || { cat ends && return 1; }
}
fact "the log tells its end, once" end_told

fact "the same submission again is the same job" posted 200 one short.mp4 quick.yaml
fact "which stays done" wait_for one "done" 10
fact "its id with another priority is refused or the same, never a second job" \
    eval '[ "$(api GET /v1/jobs | jq ".jobs | length")" = 1 ]'
fact "its id with another ladder is refused" posted 409 one short.mp4 slow.yaml

by_amqp() {
    job_json two short.mp4 quick.yaml '{"tenant": "acme", "metadata": {"title": "Zwei"}}' >two.json
    publish_text gopmill.jobs two.json && await 60 job two >/dev/null && wait_for two "done"
}
fact "a job by AMQP is done" by_amqp
fact "with the same package" same_as_run two short.mp4 quick.yaml
fact "its metadata are echoed" eval '[ "$(job two .metadata.title)" = Zwei ]'
amqp_again() {
    publish_text gopmill.jobs two.json && publish_text gopmill.jobs two.json && await 60 queues_empty &&
        [ "$(api GET '/v1/jobs?tenant=acme' | jq '.jobs | length')" = 1 ]
}
fact "the same message three times is one job" amqp_again

# ---- again ----

requeued() { # ID JSON: accepted
    local got
    got=$(status_of POST "/v1/jobs/$1/requeue" "$2")
    [ "$got" = 202 ] || { echo "requeue: $got: $(cat answer)" && return 1; }
}
one_rendition() {
    local before
    wait_for two "done" || return 1 # the messages before had it looked at again
    before=$(encoded two | wc -l)
    requeued two '{"rendition": "sound"}' && wait_for two "done" && encoded_at_most two $((before + 1)) &&
        [ "$(encoded two | tail -n +$((before + 1)) | wc -l)" = 1 ]
}
fact "requeue of one rendition encodes nothing else" one_rendition
fact "into the same bytes" same_as_run two short.mp4 quick.yaml
fact "requeue of a rendition that isn't there is refused" \
    eval '[ "$(status_of POST /v1/jobs/two/requeue "{\"rendition\": \"8k\"}")" = 404 ]'

something_lost() {
    s3_delete "$bucket/out/two/video/full/seg-00003.m4s" && requeued two '{}' && wait_for two "done"
}
fact "a segment that was lost in the bucket is made again by requeue" something_lost
fact "the package is whole again" same_as_run two short.mp4 quick.yaml

# ---- what can't work ----

refused() { # STATUS WORDS ID CLIP LADDER [JSON]
    local want=$1 words=$2
    shift 2
    posted "$want" "$@" && { grep -q -- "$words" answer || { cat answer && return 1; }; }
}
fact "an unknown ladder is refused, naming the known ones" refused 400 web-h264 bad short.mp4 web-h265
fact "a ladder that breaks a rule is refused with its line" \
    refused 400 'size' bad short.mp4 web-h264 '{"ladder": {"yaml": "name: x\nvideo:\n  - { name: a, codec: h264, size: 7 }\n"}}'
fact "a source that isn't allowed is refused" refused 400 source bad short.mp4 web-h264 '{"source": "file:///etc/passwd"}'
fact "priority 10 is refused" refused 400 priority bad short.mp4 web-h264 '{"priority": 10}'
fact "what is no JSON is refused" eval '[ "$(status_of POST /v1/jobs "{\"source\":")" = 400 ]'
fact "an unknown job is 404" eval '[ "$(status_of GET /v1/jobs/nobody)" = 404 ]'
no_token() {
    [ "$(token=wrong status_of GET /v1/jobs)" = 401 ] &&
        [ "$(curl -s -o /dev/null -w '%{http_code}' "$url/v1/jobs")" = 401 ]
}
fact "without the token it is 401" no_token

fails_with() { # ID CLASS TEXT JSON
    posted 202 "$1" short.mp4 quick.yaml "$4" && wait_for "$1" failed && error_says "$1" "$2" "$3"
}
fact "a source that isn't there fails the job, naming it" \
    fails_with nosource input "nothing.mp4" "{\"source\": \"s3://$bucket/nothing.mp4\"}"
fact "a source in a bucket that isn't there does so" \
    fails_with nobucket storage "no-such-bucket" '{"source": "s3://no-such-bucket/short.mp4"}'
fact "an output bucket that isn't there does so" \
    fails_with nooutput storage "no-such-bucket" '{"output": "s3://no-such-bucket/out/"}'
printf 'this is no video\n' >text.mp4
s3_put text.mp4 "$bucket/text.mp4"
fact "a source that is no video does so" fails_with novideo input "" "{\"source\": \"s3://$bucket/text.mp4\"}"

# ---- the end ----

deleted() {
    local got
    got=$(status_of DELETE "/v1/jobs/one?package=1")
    [ "$got" = 204 ] || { echo "$got: $(cat answer)" && return 1; }
    [ "$(status_of GET /v1/jobs/one)" = 404 ] && await 60 package_gone one ||
        { s3_list "$bucket" "out/one/" && return 1; }
}
package_gone() { [ -z "$(s3_list "$bucket" "out/$1/")" ]; }
fact "a job is deleted with its package" deleted
fact "nothing is left over" nothing_left
fact "SIGTERM ends a worker at once where it has nothing to do" worker_stop w1
fact "and the dispatcher" dispatcher_stop
finish
