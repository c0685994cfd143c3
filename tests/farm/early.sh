#!/bin/bash
# Played before it is finished: when playlists appear, what they name, and what
# becomes of them where storing them fails or the dispatcher dies over it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=4
clip_make short.mp4 320x180 12 || bail "no clip"
clip_make long.mp4 320x180 24 || bail "no clip"
clip_make film.mp4 320x180 96 || bail "no clip" # takes a while, also on a fast machine that is busy
cat >two.yaml <<'END'
name: two
gop_seconds: 1
segment_seconds: 2
defaults:
  h264: { preset: fast, crf: 24 }
  hevc: { preset: superfast, crf: 28 }
video:
  - { name: full, codec: h264, size: 180, maxrate: 2M }
  - { name: new, codec: hevc, size: 180, maxrate: 1M }
  - { name: half, codec: h264, size: 90, maxrate: 1M }
audio:
  - { name: sound, codec: aac, bitrate: 96k }
END
proxy_start dispatcher "${AWS_ENDPOINT_URL_S3#http://}" || bail "no proxy"
fact "a dispatcher" over dispatcher dispatcher_start
fact "two workers" two_workers

# ---- when, and what ----

playable() { [ "$(job "$1" .progress.playable)" != null ]; }
playable_or_ended() { playable "$1" || has_ended "$1"; }
starts_early() {
    # The planner's own cut: a small first chunk.
    posted 202 film film.mp4 two.yaml '{"options": {"chunk_count": 0}}' && await 30 playable_or_ended film || return 1
    job film '"\(.state) \(.progress.percent)"' >seen
    read -r state percent <seen
    [ "$state" = running ] && [ "${percent%.*}" -lt 40 ] || { echo "playable when it was: $(cat seen)" && return 1; }
    for object in master video/full/index video/half/index audio/sound/index; do
        s3_get "$bucket/out/film/$object.m3u8" "early-$(basename "$(dirname "$object")").m3u8" || return 1
    done
}
fact "it plays when little of it is done" starts_early
one_segment() {
    # shellcheck disable=SC2016 # SQL
    sqlite3 "file:$scratch/jobs.db?mode=ro" 'SELECT plan FROM plans' | jq -e '.chunks[0].segments | length <= 2' >/dev/null
}
fact "its first chunk is about one segment long" one_segment
names_both() {
    for name in full half; do
        grep -qx "video/$name/index.m3u8" early-..m3u8 || { cat early-..m3u8 && return 1; }
    done
}
fact "the master names all H.264 renditions" names_both
fact "it is done" wait_for film "done" 120
grows_only() {
    fetch film || return 1
    for name in full half sound; do
        folder=video
        [ $name != sound ] || folder=audio
        sed -i 's/EVENT/VOD/' early-$name.m3u8
        head -n "$(wc -l <early-$name.m3u8)" package-film/$folder/$name/index.m3u8 | diff early-$name.m3u8 - || return 1
    done
}
fact "the finished playlists begin with what players have seen" grows_only
fact "gopmill verify accepts it" "$GOPMILL_VERIFY" package-film --source "$shared/film.mp4"

# ---- it comes to nothing ----

list_has() { s3_get "$bucket/out/stopped/video/full/index.m3u8" stopped.m3u8 && grep -q "$1" stopped.m3u8; }
ends_with_it() {
    posted 202 stopped film.mp4 two.yaml '{"options": {"chunk_count": 0}}' && await 30 playable_or_ended stopped &&
        list_has TYPE:EVENT && api POST /v1/jobs/stopped/cancel >/dev/null && await 20 list_has '^#EXT-X-ENDLIST$'
}
fact "canceled, it ends with what was listed" ends_with_it
whole_list() { # every segment that it names is there
    local name
    grep '^seg-' stopped.m3u8 >stopped && while read -r name; do
        s3_has "$bucket/out/stopped/video/full/$name" || return 1
    done <stopped
}
fact "all of which is there" whole_list

# ---- it can't be stored ----

fails_early() { [ "$(job "$1" '.progress.early_failures > 0')" = true ]; }
# The board tells a job's failure a moment before the metric counts it.
is_counted() { curl -s -H "authorization: Bearer $token" "$url/metrics" | grep '^gopmill_early_publish_failures_total [1-9]'; }
told_and_tried_again() {
    proxy_do dispatcher status 403 1 PUT index.m3u8
    posted 202 denied long.mp4 two.yaml '{"options": {"chunk_count": 12}}' && await 30 fails_early denied || return 1
    job denied .progress.early_error | grep 403 && job denied .progress.early_error | grep index.m3u8 &&
        await 10 is_counted || return 1
    proxy_do dispatcher pass
    wait_for denied "done" 120 && [ "$(job denied .progress.early_failures)" = 0 ] &&
        [ "$(job denied .progress.attempts_failed)" = 0 ]
}
fact "playlists that can't be stored are told, and cost the job nothing" told_and_tried_again

# ---- the dispatcher dies over it ----

dispatcher_stop
GOPMILL_DISPATCHER_PROGRAM=$GOPMILL_BUILD/tests/farm/dispatcher-faults
died_or_done() { ! is_up "$farm" dispatcher || state_is "$1" "done"; }
dies_at() { # ID POINT
    GOPMILL_FAULT=$2 dispatcher_start && posted 202 "$1" short.mp4 quick.yaml && await 30 died_or_done "$1" || return 1
    if is_up "$farm" dispatcher; then
        echo "the point was never reached"
        dispatcher_stop
        return 1
    fi
    dispatcher_start && wait_for "$1" "done" && same_as_run "$1" short.mp4 quick.yaml &&
        encoded_at_most "$1" $((chunks + 1)) && [ "$(job "$1" .progress.attempts_failed)" = 0 ]
    local r=$?
    dispatcher_stop
    return $r
}
fact "the undisturbed package" eval 'reference short.mp4 quick.yaml >/dev/null'
for point in early-before early-media early-after; do
    fact "it dies at $point" dies_at "at-$point" $point
done
fact "it is ready again" dispatcher_start
fact "nothing is left over" nothing_left
finish
