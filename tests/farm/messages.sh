#!/bin/bash
# Whatever is sent to a queue: what nobody can use is set aside with a reason,
# and who reads that queue goes on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
clip_make short.mp4 320x180 12 || bail "no clip"
cat >dispatcher.yaml <<END
uploads:
  - { bucket: $bucket, prefix: in/, suffix: .mp4, ladder: preview, output: "s3://$bucket/out/{stem}/", tenant: buckets }
END
fact "a dispatcher with a rule for uploads" dispatcher_start --config "$scratch/dispatcher.yaml"
fact "two workers" two_workers
fact "a job before" eval 'posted 202 before short.mp4 quick.yaml && wait_for before "done"'

printf '{"v":1,"id":' >half
printf 'no JSON \377\376\000 at all' >binary
: >empty
printf '[1,2,3]' >array
printf '{"v":1}' >bare
printf '{"v":99,"job":"before","task":"v-0000-0"}' >future
jq -nc '{v: 1, job: "nobody", task: "v-0000-0", attempt: 1, renditions: "none"}' >wrong
{ printf '{"v":1,"id":"'; head -c 300000 /dev/zero | tr '\0' a; printf '"}'; } >long
head -c 200000 /dev/zero | tr '\0' '[' >deep
head -c $((9 << 20)) /dev/zero | tr '\0' ' ' >oversized

dead_has() { # NUMBER: letters, all of them with a reason
    [ "$(api GET /v1/dead | jq '[.dead[] | select((.reason // "") != "")] | length')" -ge "$1" ]
}
dead_count() { api GET /v1/dead | jq '.dead | length'; }

for queue in jobs tasks results uploads; do
    kinds="half binary empty array deep oversized"
    # A notification that names nothing is no mistake: S3 sends one to try its target.
    [ $queue = uploads ] || kinds="$kinds bare future wrong long"
    for kind in $kinds; do
        before=$(dead_count)
        set_aside() {
            publish_text "gopmill.$queue" "$scratch/$kind" || { echo "it can't be published" && return 1; }
            await 60 dead_has $((before + 1)) || {
                echo "dead letters: $(dead_count), before: $before"
                queue_rows
                return 1
            }
            api GET /v1/dead | jq -e --arg q "gopmill.$queue" 'any(.dead[]; .queue == $q and .reason != null)' >/dev/null ||
                { echo "none of gopmill.$queue with a reason:" && api GET /v1/dead | jq -c '.dead[] | [.queue, .reason]' && return 1; }
        }
        fact "gopmill.$queue: what is $kind is set aside with a reason" set_aside
    done
done

# A result that is well-formed, of a job that is not, is old news or nothing.
result_of_nobody() {
    jq -c '.' >stranger <<'J'
{"v":1,"job":"nobody","task":"v-0000-0","attempt":1,"error":{"class":"crash","text":"x"},"renditions":[],
 "frames_in":0,"frames_concealed":0,"warnings":[],"cpu_s":0,"wall_s":0,"first_frame_s":0,"peak_bytes":0,
 "bytes_read":0,"engine":"x","worker":"w9"}
J
    publish_text gopmill.results stranger && await 60 queues_empty
}
fact "a result of a job that nobody knows is taken away" result_of_nobody

# ---- a bucket's notification ----

s3_put "$shared/short.mp4" "$bucket/in/new.mp4"
upload_event() { # KEY
    jq -n --arg b "$bucket" --arg k "$1" '{Records: [{eventVersion: "2.2", eventName: "ObjectCreated:Put",
        s3: {bucket: {name: $b}, object: {key: $k, size: 1, eTag: "abc", sequencer: "01"}}}]}' >event
    publish_text gopmill.uploads event
}
upload_jobs() { api GET '/v1/jobs?tenant=buckets' | jq '.jobs | length'; }
new_upload() {
    upload_event in/new.mp4 && upload_event in/new.mp4 && upload_event elsewhere/new.mp4 &&
        await 60 queues_empty && [ "$(upload_jobs)" = 1 ] || { echo "$(upload_jobs) jobs" && return 1; }
    wait_for "$(api GET '/v1/jobs?tenant=buckets' | jq -r '.jobs[0].id')" "done"
}
fact "an object that is put into the bucket becomes one job, however often it is told" new_upload

limits() {
    queues >queues && jq -r '.[] | select(.type == "quorum") | "\(.name) \(.arguments["x-delivery-limit"])"' queues | sort >limits
    printf '%s\n' "gopmill.dead 1073741824" "gopmill.jobs 1073741824" "gopmill.results 1073741824" "gopmill.tasks 3" \
        "gopmill.uploads 1073741824" | diff - limits
}
fact "tasks alone are dropped when nobody survives them" limits
both_alive() { is_up "$farm" dispatcher && is_up "$farm" w1 && is_up "$farm" w2; }
fact "dispatcher and workers live" both_alive
fact "a job after all that" eval 'posted 202 after short.mp4 quick.yaml && wait_for after "done"'
fact "has the right bytes" same_as_run after short.mp4 quick.yaml
fact "nothing is left over" nothing_left
finish
