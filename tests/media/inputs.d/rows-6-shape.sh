# Rows about pictures whose shape changes in mid-stream.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# both FIRST SECOND: options of two recordings that are joined end to end, 60 and 40 frames.
both_shapes() {
    # shellcheck disable=SC2086
    part a.ts 0 60 -output_ts_offset 1 $1 && part b.ts 60 100 -output_ts_offset 3.4 $2 && cat a.ts b.ts >shapes.ts
}
row "320x180, then 180x320" '{"video":{"frames":100,"every":0.04,"width":320,"height":180},"outcome":"whole","warning":"another shape .180x320"}' \
    shapes.ts both_shapes "" "-s 180x320"
row "a pixel aspect of 1:1, then 4:3" '{"video":{"frames":100,"every":0.04,"width":320,"height":180},"outcome":"whole","warning":"another shape"}' \
    shapes.ts both_shapes "" "-aspect 64:27"
row "180x320, then 320x180" '{"video":{"frames":100,"every":0.04},"outcome":"whole","warning":"another shape .320x180"}' \
    shapes.ts both_shapes "-s 180x320" ""

# mixed_fields FILE CODEC: 25 progressive pictures, then 50 frames of fields, in one stream of bits.
mixed_fields() {
    quiet_ffmpeg -f lavfi -i mandelbrot=size=320x180:rate=25 -frames:v 25 -threads 1 $2 1.ts &&
        quiet_ffmpeg -f lavfi -i testsrc2=size=320x180:rate=50 -frames:v 50 -vf "interlace=scan=tff:lowpass=off" -threads 1 $3 -output_ts_offset 1 2.ts &&
        cat 1.ts 2.ts >mixed.ts && { [ "$1" = mixed.ts ] || copy mixed.ts "$1"; }
}
fields='{"video":{"frames":75,"every":0.04,"interlaced":1}}'
row "progressive, then fields, H.264" "$fields" mixed.ts mixed_fields mixed.ts "$H264 -bf 0" "$H264 -bf 0 -x264-params tff=1"
row "progressive, then fields, MPEG-2" "$fields" mixed.ts \
    mixed_fields mixed.ts "-c:v mpeg2video -q:v 3 -g 12 -avoid_negative_ts disabled" \
    "-c:v mpeg2video -q:v 3 -g 12 -flags +ildct+ilme -alternate_scan 1 -top 1 -avoid_negative_ts disabled"
