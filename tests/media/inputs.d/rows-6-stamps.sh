# Rows about MPEG-TS whose pictures lack times (one PES packet in N has them), and whose PES packets
# aren't aligned with pictures.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# timeless FILE N OPTION...
timeless() {
    local file=$1 n=$2
    shift 2
    silent whole.ts "$@" && "$PES" strip "$n" <whole.ts >"$file"
}
told='"video":{"frames":100,"every":0.04},"numbers":"0-99","warning":"no time of their own"'

row "a time each 12 pictures, B pyramid" "{$told}" sparse.ts timeless sparse.ts 12 $H264 -bf 3 -g 30
row "a time each 7 pictures, open GOPs" "{$told}" sparse.ts timeless sparse.ts 7 $H264 -bf 2 -x264-params open-gop=1:keyint=20
row "a time each 5 pictures, HEVC" "{$told}" sparse.ts timeless sparse.ts 5 $HEVC -x265-params bframes=4:open-gop=0:keyint=25:log-level=error
row "a time each 12 pictures, as fields" "{$told}" sparse.ts timeless sparse.ts 12 $H264 -flags +ildct+ilme -x264opts tff=1
row "a time each 9 pictures, MPEG-2" '{"video":{"frames":100,"every":0.04},"numbers":"0-99"}' sparse.ts timeless sparse.ts 9 -c:v mpeg2video -q:v 3 -g 12 -bf 2
row "a time each 9 pictures, MPEG-2 in PS" '{"video":{"frames":100,"every":0.04},"numbers":"0-99"}' sparse.vob \
    eval 'timeless sparse.ts 9 -c:v mpeg2video -q:v 3 -g 12 -bf 2 && copy sparse.ts sparse.vob -f vob'

# misaligned FILE BYTES PICTURES OPTION...
misaligned() {
    local file=$1 bytes=$2 pictures=$3
    shift 3
    silent aligned.ts "$@" && "$PES" shift "$bytes" "$pictures" <aligned.ts >"$file"
}
whole='{"video":{"frames":100,"every":0.04},"numbers":"0-99"}'

row "PES that begin in the picture before, six slices" "$whole" shifted.ts misaligned shifted.ts 500 1 $H264 -bf 2 -g 25 -x264-params slices=6
row "PES of three pictures that begin in the one before, HEVC" "$whole" shifted.ts misaligned shifted.ts 20 3 $HEVC -x265-params bframes=4:keyint=25:log-level=error
row "PES that begin in the picture before, MPEG-2" "$whole" shifted.ts misaligned shifted.ts 700 1 -c:v mpeg2video -q:v 3 -g 12 -bf 2
row "PES that begin several small pictures before" "$whole" shifted.ts misaligned shifted.ts 1500 1 $H264 -bf 3 -g 25

# twice N OPTION...: the same recording end to end, with one time in N.
twice() {
    timeless once.ts "$@" && cat once.ts once.ts >twice.ts
}
row "a time each 12 pictures, twice end to end" '{"video":{"frames":200,"every":0.04},"numbers":"0-99 0-99","warning":"no time of their own"}' \
    twice.ts twice 12 $H264 -bf 3 -g 25

# The last picture is repeated beside longer sound: a chunk has spans, and these have the times.
timeless_beside_sound() {
    quiet_ffmpeg -i "$scratch/base.nut" -f lavfi -i sine=500:d=7 -threads 1 $H264 -bf 2 $AAC whole.ts && "$PES" strip 12 <whole.ts >"$1"
}
row "a time each 12 pictures, beside longer sound" '{"video":{"held":true,"frames":100,"first":0.021},"sound":{"channels":1,"end":7.02},"outcome":"whole","warning":"no time of their own"}' \
    sparse.ts timeless_beside_sound sparse.ts
