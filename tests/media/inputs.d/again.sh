# again.sh - sourced by ../inputs: the same source in chunks of a second.
# shellcheck shell=bash disable=SC2154
#
#   is_cut_again NUMBER   whether that row is, this time
#   cut_again FILE        prints what the second package has that the first one hasn't,
#                         a line each
#
# Works in the current folder, which is a row's own.

# 0 to 3, another one with each commit. A tree without git has no turns.
turn_of_rows() {
    local id
    id=$(git -C "$INPUTS_DIR" rev-parse --short=7 HEAD 2>/dev/null) || id=0
    echo $((16#$id % 4))
}

is_cut_again() {
    [ -z "$quick" ] || [ $(($1 % 4)) -eq "${rows_turn:=$(turn_of_rows)}" ]
}

join_parts() { # FOLDER FILE
    [ ! -e "$1/init.mp4" ] || cat "$1/init.mp4" "$1"/seg-*.m4s >"$2"
}

# Sound is one task, whatever the cutting: its packets are the same ones.
digest_of_sound() { # OUT
    join_parts "$1/audio/aac" sound.mp4
    [ ! -e sound.mp4 ] || ffmpeg -nostdin -v error -i sound.mp4 -map 0:a -c copy -f md5 -
    rm -f sound.mp4
}

concealed_in() { jq '.totals.frames_concealed // 0' "$1/job.json"; }

# Two encodes of one picture are alike; what is smeared, frozen or another picture isn't.
compare_again() {
    local n m moved mean block number
    if ! read -r n m moved mean block number < <("$APART" joined.mp4 again.mp4); then
        echo "in chunks of a second: can't be decoded"
        return
    fi
    [ "$n" = "$m" ] || echo "in chunks of a second: $m frames instead of $n"
    [ "$moved" = -1 ] || echo "in chunks of a second: frame $moved stands at another time"
    awk -v mean="$mean" -v block="$block" 'BEGIN { exit !(mean > 10 || block > 40) }' &&
        echo "in chunks of a second: frame $number is another picture (off by $mean of 255, in a block by $block)"
}

cut_again() {
    [ -e out/job.json ] || return 0
    make_package "$1" again --chunk-seconds 1 || {
        echo "in chunks of a second: status $?: $(tail -n 1 again.err)"
        return
    }
    join_parts again/video/full again.mp4
    [ ! -e joined.mp4 ] || compare_again
    [ "$(digest_of_sound out)" = "$(digest_of_sound again)" ] || echo "in chunks of a second: the sound differs"
    [ "$(concealed_in out)" = "$(concealed_in again)" ] ||
        echo "in chunks of a second: $(concealed_in again) frames are stood in for, else $(concealed_in out)"
    rm -rf again
}
