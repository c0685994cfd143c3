#!/bin/bash
# No frame is lost, none is doubled, none moves: whatever the number of
# chunks, the same frames stand at the same times. Every frame of the clips
# shows its number (numbered.c), which is read back from the packages.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL
numbered=$GOPMILL_BUILD/tests/media/numbered
frames=192 # 8 s at 23.976

# ---- ladders ----
cat >h264.yaml <<'Y'
name: h264
gop_seconds: 1
segment_seconds: 2
defaults:
  h264: { preset: veryfast, crf: 20 }
video:
  - { name: full, codec: h264, size: 180, maxrate: 2M }
  - { name: half, codec: h264, size: 90, maxrate: 1M, max_fps: 30 }
Y
cat >codecs.yaml <<'Y'
name: codecs
gop_seconds: 1
segment_seconds: 2
video:
  - { name: h264, codec: h264, size: 180, maxrate: 2M, preset: veryfast, crf: 20 }
  - { name: hevc, codec: hevc, size: 180, maxrate: 2M, preset: superfast, crf: 20 }
  - { name: av1, codec: av1, encoder: libaom-av1, size: 90, maxrate: 1M, preset: 6, crf: 25 }
  - { name: svt, codec: av1, encoder: libsvtav1, size: 90, maxrate: 2M, preset: 12, crf: 25 }
Y

# ---- clips: clip NAME RATE ENCODER-OPTIONS... ----
clip() {
    local name=$1 rate=$2
    shift 2
    "$numbered" make $frames 320 180 "$rate" |
        ffmpeg -nostdin -v error -f yuv4mpegpipe -i pipe:0 -threads 1 "$@" "$name"
}

clip closed.mp4 24000:1001 -c:v libx264 -preset veryfast -crf 16 -bf 3 -g 60
clip open.mp4 24000:1001 -c:v libx264 -preset veryfast -crf 16 -bf 3 -g 48 -x264-params open-gop=1
clip open-hevc.mp4 24000:1001 -c:v libx265 -preset superfast -crf 16 -pix_fmt yuv420p10le \
    -x265-params keyint=48:min-keyint=48:bframes=4:open-gop=1:log-level=error
clip one-key.mkv 25:1 -c:v libx264 -preset veryfast -crf 16 -g 9999 -sc_threshold 0
clip sixty.mp4 60:1 -c:v libx264 -preset veryfast -crf 16 -g 45
# Durations from 5 ms to 0.3 s, without a pattern that repeats soon.
clip vfr.mp4 25:1 -vf "settb=1/90000,setpts='N*3600+mod(N*N*31\,3100)+floor(N/37)*20000'" \
    -vsync passthrough -enc_time_base 1/90000 -video_track_timescale 90000 \
    -c:v libx264 -preset veryfast -crf 16 -bf 2 -g 40

# ---- reading back ----

# frames_of DIR RENDITION: "<time> <time base> <number>" a line. Each is read once.
frames_of() {
    if [ ! -s "$1/$2.frames" ]; then
        cat "$1/video/$2/init.mp4" "$1/video/$2"/seg-*.m4s >joined.mp4 &&
            "$numbered" read joined.mp4 >frames.part && mv frames.part "$1/$2.frames"
    fi
    cat "$1/$2.frames"
}

package() { # package CLIP LADDER CHUNKS
    "$gopmill" run "$1" --ladder "$2.yaml" --chunks "$3" --output "$1-$2-$3" --slots 2
}

# Every frame of the clip, once, in order.
whole() {
    local n
    n=$(frames_of "$1" "$2" | awk '$3 != NR - 1 { bad = 1 } END { print bad ? "bad" : NR }')
    [ "$n" = $frames ] || { frames_of "$1" "$2" | awk '$3 != NR - 1' | head -5; return 1; }
}

# The frames' times are the source's.
times_of_source() {
    "$numbered" read "$1" | awk '{ split($2, b, "/"); printf "%.4f %s\n", $1 * b[1] / b[2], $3 }' >want
    frames_of "$2" "$3" | awk '{ split($2, b, "/"); printf "%.4f %s\n", $1 * b[1] / b[2], $3 }' >got
    diff want got
}

same_frames() { # same_frames RENDITION DIR DIR
    frames_of "$2" "$1" >a
    frames_of "$3" "$1" >b
    [ -s a ] && diff a b
}

chunks_of() {
    sqlite3 "$1/.gopmill/job.db" "SELECT count(DISTINCT chunk) FROM tasks WHERE id LIKE 'v-%'"
}

cut_as_told() { [ "$(chunks_of "$1")" = "$2" ] || { chunks_of "$1"; return 1; }; }

# ---- facts ----
for source in closed.mp4:h264 open.mp4:h264 open-hevc.mp4:h264 one-key.mkv:h264 sixty.mp4:h264 \
    vfr.mp4:h264 closed.mp4:codecs vfr.mp4:codecs; do
    clip=${source%:*} ladder=${source#*:}
    renditions="full half"
    [ "$ladder" = codecs ] && renditions="h264 hevc av1 svt"
    counts="1 2 3 7 50"
    for n in $counts; do
        dir=$clip-$ladder-$n
        fact "$clip by $ladder becomes a package in $n chunks" package "$clip" "$ladder" "$n"
        fact "$clip by $ladder: there are $n chunks" cut_as_told "$dir" "$n"
        for r in $renditions; do
            if [ "$n" = 1 ]; then
                [ "$r" = half ] && [ "$clip" != closed.mp4 ] && continue
                fact "$clip by $ladder, $r: every frame once, in order" whole "$dir" "$r"
                fact "$clip by $ladder, $r: at the source's times" times_of_source "$clip" "$dir" "$r"
            else
                fact "$clip by $ladder, $r: $n chunks give the frames of one" \
                    same_frames "$r" "$clip-$ladder-1" "$dir"
            fi
        done
    done
done
finish
