# reference.sh - sourced by `local`: what ffmpeg makes of the same plan.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with it
#
# Every function reads $work/plan.json and the clip $clip, and leaves its
# files in $work. Times are those of bash's `time`: wall, user and system
# seconds of a command and all its children, to a millisecond.

here=$(dirname "${BASH_SOURCE[0]}")

ask() { # WHAT [NAME]: of the plan
    jq -n -r --slurpfile plan "$work/plan.json" --arg what "$1" --arg name "${2-}" -f "$here/plan.jq"
}

# timed COMMAND...: sets $wall and $cpu.
timed() {
    local TIMEFORMAT='%3R %3U %3S' user sys
    { time "$@" >"$work/log" 2>&1 </dev/null; } 2>"$work/time" || {
        tail -n 20 "$work/log" >&2
        echo "tests/bench/local: failed: $*" >&2
        exit 1
    }
    read -r wall user sys <"$work/time"
    cpu=$(calc "$user + $sys")
}

calc() { # an awk expression
    awk "BEGIN { v = $1; printf \"%.6f\", v }"
}

fragmented=(-movflags frag_keyframe+empty_moov+default_base_moof -f mp4)
# Source times are kept, since the plan's are; and no frame is dropped or doubled.
as_it_is=(-copyts -fps_mode passthrough)

# To $command: all renditions from the graph's ends, each encoded as `ask` tells by that name.
add_renditions() { # WHAT FILE-PREFIX
    local name args
    while IFS=$'\t' read -r name _; do
        mapfile -t args < <(ask "$1" "$name")
        command+=(-map "[$name]" "${as_it_is[@]}" "${args[@]}" "${fragmented[@]}" "$work/$2-$name.mp4")
    done < <(ask renditions)
}

# All renditions by one process with its default threads: $wall, $cpu.
reference_one_process() {
    local command=(ffmpeg -nostdin -v error -y -copyts -i "$clip" -filter_complex "$(ask graph)") name args
    add_renditions threads one
    while read -r name; do
        mapfile -t args < <(ask sound "$name")
        command+=(-map "0:$audio_stream" "${args[@]}" "${fragmented[@]}" "$work/one-$name.mp4")
    done < <(ask sounds)
    timed "${command[@]}"
}

# bare_sound NAME FILE: one rendition of sound by itself.
bare_sound() {
    local args
    mapfile -t args < <(ask sound "$1")
    ffmpeg -nostdin -v error -y -threads 1 -i "$clip" -map "0:$audio_stream" "${args[@]}" "${fragmented[@]}" "$2"
}

# half NAME INPUT-OPTION...: all renditions of a part of the clip, on one thread.
half() {
    local part=$1
    shift
    local command=(ffmpeg -nostdin -v error -y -copyts -filter_threads 1 -filter_complex_threads 1
        -threads 1 "$@" -i "$clip" -filter_complex "$(ask graph)")
    add_renditions half "half-$part"
    "${command[@]}"
}

all_sound() {
    local name
    while read -r name; do
        bare_sound "$name" "$work/half-$name.mp4" || return
    done < <(ask sounds)
}

both_halves() {
    local middle first
    middle=$(ask middle)
    { all_sound && half first -to "$middle"; } &
    first=$!
    half second -ss "$middle" && wait $first
}

# By two processes of one thread, each a half: what splitting gives on this machine with
# nothing around it. $wall, $cpu.
reference_halves() {
    timed both_halves
}

# encode_bare NAME FILTERS FILE: one rendition on one thread, with a decode of its own.
encode_bare() {
    local args
    mapfile -t args < <(ask one-thread "$1")
    timed ffmpeg -nostdin -v error -y -copyts -threads 1 -filter_threads 1 -i "$clip" \
        -map "0:$video_stream" -vf "$2" "${as_it_is[@]}" "${args[@]}" "${fragmented[@]}" "$3"
}

# Every rendition on its own, one after the other: $bare_cpu is their sum.
# unsplit-NAME.mp4 is an encode in one piece of the very pictures that
# gopmill encodes: the bare one, where both scale alike.
reference_bare() {
    local name direct same
    bare_cpu=0
    while IFS=$'\t' read -r name direct same; do
        encode_bare "$name" "$direct" "$work/unsplit-$name.mp4"
        bare_cpu=$(calc "$bare_cpu + $cpu")
        [ "$direct" = "$same" ] || encode_bare "$name" "$same" "$work/unsplit-$name.mp4"
    done < <(ask renditions)
    while read -r name; do
        timed bare_sound "$name" "$work/bare-$name.mp4"
        bare_cpu=$(calc "$bare_cpu + $cpu")
    done < <(ask sounds)
}

payload() { # FILE: pictures, bytes of its video, and where its keyframes are
    ffprobe -v error -select_streams v:0 -show_entries packet=size,flags -of csv=p=0 "$1" |
        awk -F, '$2 ~ /K/ { key = key ":" n + 0 } { n++; bytes += $1 } END { print n + 0, bytes + 0, key }'
}

psnr() { # FILE FILTERS: dB against the clip behind these filters, frame by frame
    local number='settb=1/1000,setpts=N'
    ffmpeg -nostdin -hide_banner -nostats -copyts -i "$1" -i "$clip" -lavfi \
        "[1:$video_stream]$2,${number}[want];[0:v]${number}[got];[got][want]psnr=shortest=1" \
        -f null - 2>&1 | sed -n 's/.*PSNR .*average:\([0-9.inf]*\).*/\1/p'
}
