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
