#!/bin/bash
# A worker that begins at any keyframe reads the packets that the planner's one
# reading of the source found: the same bytes, the same times.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
tools=$GOPMILL_BUILD/tests/media

make() { # FILE OPTION...
    ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=160x96:rate=${rate:-25}:duration=4" "${@:2}" "$1"
}
H264=(-c:v libx264 -preset ultrafast -bf 3 -g 25 -x264-params slices=4)
HEVC=(-c:v libx265 -preset ultrafast -x265-params bframes=4:keyint=25:log-level=error)
MPEG2=(-c:v mpeg2video -q:v 3 -g 12 -bf 2)
MPEG4=(-c:v mpeg4 -q:v 3 -g 12 -bf 2)
{
    make h264.ts "${H264[@]}"
    rate=60000/1001 make h264-5994.ts -c:v libx264 -preset ultrafast -bf 3 -x264-params open-gop=1:keyint=30
    make fields.ts -c:v libx264 -preset ultrafast -bf 2 -g 25 -flags +ildct+ilme -x264opts tff=1
    make hevc.ts "${HEVC[@]}"
    make mpeg2.ts "${MPEG2[@]}"
    make mpeg4.ts "${MPEG4[@]}"
    make h264.m2ts "${H264[@]}" -mpegts_m2ts_mode 1
    make h264.vob "${H264[@]}" -f vob
    make mpeg2.vob "${MPEG2[@]}"
    make mpeg1.mpg -c:v mpeg1video -q:v 3 -g 12 -bf 2
    make h264.flv "${H264[@]}"
    make h264.mkv "${H264[@]}"
    make mpeg4.avi "${MPEG4[@]}"
} >/dev/null 2>&1

for name in h264 h264-5994 fields hevc mpeg2 mpeg4; do
    "$tools/pes" strip 12 <$name.ts >$name-sparse.ts
    "$tools/pes" shift 0 4 <$name.ts >$name-four.ts
    "$tools/pes" shift 500 1 <$name.ts >$name-shifted.ts
    cat $name-sparse.ts $name-sparse.ts >$name-sparse-twice.ts
    cat $name-shifted.ts $name-shifted.ts >$name-shifted-twice.ts
done

reads_the_same() { # FILE
    timeout 60 "$tools/reseek" "$1"
}
for file in *.*; do
    fact "$file from any keyframe on" reads_the_same "$file"
done
finish
