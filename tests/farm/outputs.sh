#!/bin/bash
# An output belongs to one job. What replaces its package is made beside it: no playlist names
# bytes that aren't its own, and no URL of a segment ever has others.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=2
clip_make first.mp4 320x180 4 || bail "no clip"
clip_make second.mp4 256x144 5 || bail "no clip"
cat >dispatcher.yaml <<END
uploads:
  - { bucket: $bucket, prefix: in/, suffix: .mp4, ladder: film, output: "s3://$bucket/out/{stem}/", tenant: buckets }
ladders: $scratch/ladders
END
mkdir ladders
cat quick.yaml - >ladders/film.yaml <<END
poster: { size: 90 }
storyboard: { size: 64, every: 1 }
END
sed -i 's/^name: .*/name: film/' ladders/film.yaml
printf '1\n00:00:00,500 --> 00:00:02,000\nhello\n' >titles.srt
ffmpeg -nostdin -v error -i "$shared/second.mp4" -i titles.srt -c copy -c:s mov_text titled.mp4 || bail "no subtitles"
start() { dispatcher_start --config "$scratch/dispatcher.yaml"; }
fact "a dispatcher" start
fact "two workers" two_workers

at() { jq -nc --arg out "s3://$bucket/out/$1" --argjson replace "${2-false}" '{output: $out, replace: $replace}'; }
verified() { "$GOPMILL_VERIFY" "$1" >verified || { tail -n 20 verified && return 1; }; }
# Whatever lies beside it. What nobody needs may be removed between a listing and a GET.
whole() { await 20 fetch old 2>fetched && verified package-old; }

fact "a job is accepted" posted 202 old first.mp4 quick.yaml
refused() { # OUTPUT
    posted 409 other second.mp4 quick.yaml "$(at "$1")" && grep -q 'job old' answer || { cat answer && return 1; }
}
fact "another one with its output is refused while it is at work" refused old/
fact "one with an output inside of it, too" refused old/inside/
fact "and one with an output around it" refused ''
fact "it is done" wait_for old "done"
fact "and keeps its output" refused old
kept_on() { dispatcher_kill && start && refused old/; }
fact "also when the dispatcher was killed" kept_on

# ---- replacing ----

whole
mv package-old before

# Of two copies of an output: what has a name in both has the same bytes in both.
same_urls() { # BEFORE AFTER
    (cd "$1" && find . -type f | grep -vE '^\./(master\.m3u8|manifest\.mpd|job\.json)$' | sort) >urls
    while read -r name; do
        [ ! -e "$2/$name" ] || cmp "$1/$name" "$2/$name" || return 1
    done <urls
}
canceled() {
    posted 202 never second.mp4 slow.yaml "$(at old/ true)" && await 30 done_at_least never 1 &&
        api POST /v1/jobs/never/cancel >/dev/null && idle_within 20 && whole &&
        cmp before/master.m3u8 package-old/master.m3u8 && same_urls before package-old
}
fact "a job that was to replace it and is canceled leaves it whole" canceled
replaced() {
    posted 202 new second.mp4 quick.yaml "$(at old/ true)" && await 60 planned new &&
        await 20 fetch old 2>fetched && same_urls before package-old && wait_for new "done" && whole && same_urls before package-old
}
fact "one that replaces it is made beside it" replaced
swapped() {
    jq -e '.job == "new" and (.version | startswith("v2-"))' package-old/job.json >/dev/null &&
        grep -q '^v2-[0-9a-f]*/video/half/index.m3u8$' package-old/master.m3u8 &&
        grep -q 'media="v2-[0-9a-f]*/video/' package-old/manifest.mpd
}
fact "then playlists and receipt are its own" swapped
same_media() { same_media_as_run old second.mp4 quick.yaml; }
fact "with the bytes that gopmill run makes" same_media
old_gone() { [ "$(s3_list "$bucket" out/old/video/ | wc -l)" = 0 ]; }
goes_later() {
    ! old_gone && dispatcher_stop && sqlite3 jobs.db 'UPDATE replaced SET due_ms = 1' && start && await 60 old_gone
}
fact "what it replaced goes later" goes_later
fact "and nothing else" same_media
requeue_refused() { [ "$(status_of POST /v1/jobs/old/requeue '{}')" = 409 ] && grep -q 'job new' answer; }
fact "the job that was replaced can't be requeued" requeue_refused
fact "and says by whom" eval '[ "$(job old .replaced_by)" = new ] && [ "$(job new .replaced_by)" = null ]'

# ---- what a database doesn't know ----

forgotten() {
    dispatcher_stop && rm -f jobs.db* && start && posted 202 third first.mp4 quick.yaml "$(at old/)" &&
        wait_for third failed && error_says third usage "another job (new, made from" replace && whole
}
fact "a package of a database that is lost is not written over" forgotten
again() {
    posted 200 third first.mp4 quick.yaml "$(at old/ true)" && wait_for third "done" && whole &&
        jq -e '.job == "third" and (.version | startswith("v3-"))' package-old/job.json >/dev/null
}
fact "unless the job says so" again

# ---- a bucket ----

upload() { # ETAG FILE
    s3_put "$2" "$bucket/in/film.mp4"
    jq -n --arg b "$bucket" --arg e "$1" '{Records: [{eventVersion: "2.2", eventName: "ObjectCreated:Put",
        s3: {bucket: {name: $b}, object: {key: "in/film.mp4", size: 1, eTag: $e, sequencer: $e}}}]}' >event
    publish_text gopmill.uploads event
}
uploads_done() { [ "$(api GET '/v1/jobs?tenant=buckets&state=done' | jq '.jobs | length')" = "$1" ]; }
fetch_film() { rm -rf film && s3_fetch "$bucket" out/in/film/ film; }
uploaded_again() {
    upload 01 "$shared/first.mp4" && await 60 uploads_done 1 && upload 02 titled.mp4 && await 60 uploads_done 2 &&
        await 20 fetch_film 2>fetched && verified film &&
        jq -e '(.version | startswith("v2-")) and ([.extras[].kind] | sort == ["poster", "storyboard", "text"])' film/job.json >/dev/null
}
fact "an object that is put again replaces its package" uploaded_again
deleted() {
    local id
    for id in $(api GET '/v1/jobs?tenant=buckets' | jq -r '.jobs[].id'); do
        api DELETE "/v1/jobs/$id?package=1" || return 1
    done
    await 30 film_gone
}
film_gone() { [ "$(s3_list "$bucket" out/in/film/ | wc -l)" = 0 ]; }
fact "deleted with its package, no version is left" deleted
fact "nothing is left over" nothing_left
finish
