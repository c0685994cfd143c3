#!/bin/bash
# Parts of a job that are made again: one rendition without its mates, and
# what was done of a job whose segments are just being removed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=4
clip_make short.mp4 320x180 12 || bail "no clip"
proxy_start dispatcher "${AWS_ENDPOINT_URL_S3#http://}" || bail "no proxy"
fact "a dispatcher" over dispatcher dispatcher_start --keep-failed 1
fact "two workers" two_workers
requeued() { # ID JSON
    [ "$(status_of POST "/v1/jobs/$1/requeue" "$2")" = 202 ] || { cat answer && return 1; }
}

# ---- one rendition ----

fact "a job is accepted" posted 202 one short.mp4 quick.yaml
fact "and done" wait_for one "done"

# Again, so many tasks were encoded, and of them RENDITION alone.
only_made() { # RENDITION NUMBER
    cat "$farm"/log/w* | jq -rR 'fromjson? | select(.event == "task.done" and .job == "one" and .attempt > 1) | .only' |
        sort | uniq -c >made
    [ "$(awk '{ print $1, $2 }' made)" = "$2 $1" ] || { cat made && return 1; }
}
one_of_two() {
    requeued one '{"rendition": "half"}' && wait_for one "done" && only_made half "$chunks"
}
fact "requeue of one of two renditions encodes that one alone" one_of_two
fact "into the same bytes as gopmill run makes" same_as_run one short.mp4 quick.yaml

# All of its segments are gone: they come back, and nothing else is touched.
lost_and_found() {
    local object
    for object in $(s3_list "$bucket" out/one/video/half/ | cut -d ' ' -f 2 | grep -E 'm4s|mp4'); do
        s3_delete "$bucket/$object" || return 1
    done
    requeued one '{"rendition": "half"}' && await 10 busy_with one && dispatcher_kill &&
        over dispatcher dispatcher_start --keep-failed 1 && wait_for one "done" && same_as_run one short.mp4 quick.yaml
}
busy_with() { [ "$(job "$1" .state)" = running ] || [ "$(job "$1" .state)" = "done" ]; }
fact "a rendition whose segments are lost comes back, across a kill of the dispatcher" lost_and_found
no_failures() { [ "$(job one .progress.attempts_failed)" = 0 ] || { job one .progress && return 1; }; }
fact "without a failed attempt" no_failures

# ---- a rendition that is copied ----

sed 's/^name: .*/name: copied/; s/- { name: full.*/- { name: full, codec: h264, size: 180, maxrate: 20M, copy: when-compatible }/' \
    quick.yaml >copied.yaml
has_copy() { fetch "$1" && jq -e 'any(.renditions[]; .copied)' "$scratch/package-$1/job.json" >/dev/null; }
fact "a job copies what fits" eval 'posted 202 copy short.mp4 copied.yaml && wait_for copy "done" && has_copy copy'
fact "as gopmill run does" same_as_run copy short.mp4 copied.yaml
copy_again() { requeued copy '{"rendition": "full"}' && wait_for copy "done" && has_copy copy; }
fact "requeue of the copy copies it again" copy_again
fact "into the same bytes" same_as_run copy short.mp4 copied.yaml

# ---- during a sweep ----

swept_some() { [ "$(s3_list "$bucket" out/late/ | wc -l)" -lt "$1" ]; }
during_sweep() {
    local all n
    posted 202 late short.mp4 quick.yaml && await 30 done_at_least late 3 || return 1
    api POST /v1/jobs/late/cancel >/dev/null || { state_is late "done" && echo "it was too fast" && return 1; }
    idle_within 20 && dispatcher_stop || return 1
    sqlite3 "$scratch/jobs.db" "UPDATE jobs SET ended_ms = ended_ms - 7200000 WHERE id = 'late'"
    all=$(s3_list "$bucket" out/late/ | wc -l)
    [ "$all" -gt 3 ] || return 1
    proxy_do dispatcher delay 300 1 DELETE out/late
    over dispatcher dispatcher_start --keep-failed 1 && await 20 swept_some "$all" || return 1
    n=$(encoded late | wc -l)
    requeued late '{}' && wait_for late "done" || return 1
    proxy_do dispatcher pass
    encoded_at_most late $((n + chunks + 1)) && [ "$(job late .progress.attempts_failed)" = 0 ]
}
fact "requeued while its segments are removed, a job makes each of them once" during_sweep
fact "and nothing of them is missing" same_as_run late short.mp4 quick.yaml
fact "nothing is left over" nothing_left
finish
