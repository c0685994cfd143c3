#!/bin/bash
# Edit lists, whole: pictures and sound of random and of odd lists stand where
# the boxes say, in one chunk and in many. The reference is edits.c, which reads
# boxes by itself. GOPMILL_EDIT_LISTS=200 tries so many random lists of each clip.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
edits=$GOPMILL_BUILD/tests/media/edits
numbered=$GOPMILL_BUILD/tests/media/numbered
lists=${GOPMILL_EDIT_LISTS:-6}

cat >l.yaml <<'Y'
name: l
gop_seconds: 1
segment_seconds: 2
video:
  - { name: v, codec: h264, size: 180, maxrate: 2M, preset: veryfast, crf: 18 }
audio:
  - { name: a, codec: aac, bitrate: 512k, channels: 2 }
storyboard: { size: 180, every: 1, columns: 3, rows: 2 }
Y

# Ten seconds of numbers and noise: B pictures, a keyframe in two seconds. clip NAME RATE OPTION...
clip() {
    local name=$1 rate=$2
    shift 2
    "$numbered" make 240 320 180 "$rate" |
        ffmpeg -nostdin -v error -f yuv4mpegpipe -i pipe:0 \
            -f lavfi -i "anoisesrc=d=10:r=48000:a=0.4:seed=5,lowpass=f=6000" -threads 1 \
            -c:v libx264 -preset veryfast -crf 16 -bf 3 -g 48 -c:a aac -b:a 192k "$@" "$name"
}

# right SOURCE [OPTION...]: its package has what its lists say.
right() {
    local source=$1
    shift
    rm -rf out
    if ! "$GOPMILL" run "$source" --ladder l.yaml --output out "$@" >log 2>&1; then
        tail -n 3 log
        return 1
    fi
    cat out/video/v/init.mp4 out/video/v/seg-*.m4s >video.mp4
    cat out/audio/a/init.mp4 out/audio/a/seg-*.m4s >audio.mp4
    "$edits" check "$source" video.mp4 audio.mp4
}

# list VIDEO AUDIO [CLIP]: such lists, cut at every second and as planned.
list() {
    "$edits" set "${3:-closed.mp4}" list.mp4 "$1" "$2" && right list.mp4 --chunk-seconds 1 && right list.mp4
}

# random_lists FROM TO CLIP
random_lists() {
    local seed bad=0
    for ((seed = $1; seed <= $2; seed++)); do
        "$edits" random "$seed" "$3" random.mp4 >lists && right random.mp4 --chunk-seconds 1 >why && continue
        echo "seed $seed: $(tr '\n' ' ' <lists)" && cat why
        bad=1
    done
    return $bad
}

# Cues of a text track, which is in microseconds: to the end, back, held, and too fast.
texts_follow() {
    printf '%s\n' 1 '00:00:01,000 --> 00:00:02,000' one '' 2 '00:00:02,500 --> 00:00:04,000' two '' \
        3 '00:00:06,000 --> 00:00:07,500' three >t.srt
    ffmpeg -nostdin -v error -i closed.mp4 -i t.srt -map 0 -map 1 -c copy -c:s mov_text t.mp4 &&
        "$edits" set t.mp4 texts.mp4 "2000,77824,1;3000,13824,1" "2000,288000,1" \
            "2000,6000000,1;1500,1000000,1;1000,3000000,0;500,1000000,2" &&
        { cat l.yaml && echo 'subtitles: all'; } >s.yaml && rm -rf out &&
        "$GOPMILL" run texts.mp4 --ladder ./s.yaml --output out >log 2>&1 || return
    local got
    got=$(tail -n +3 out/text/*/all.vtt | tr '\n' ' ')
    [ "$got" = "00:00:00.000 --> 00:00:01.500 three  00:00:02.000 --> 00:00:03.000 one \
 00:00:03.500 --> 00:00:04.500 two  00:00:04.500 --> 00:00:05.000 one  " ] || { echo "$got" && return 1; }
}

warned() {
    jq -r '.warnings[]' out/job.json | grep -q "$1"
}

# The numbers that the storyboard's tiles show.
tiles() {
    local got
    got=$(ffmpeg -nostdin -v error -i out/storyboard/sheet-00001.jpg -vf untile=3x2,format=yuv420p \
        -f yuv4mpegpipe -strict -1 - | "$numbered" read - | awk '{ printf "%s ", $3 }')
    [ "${got% }" = "$1" ] || { echo "$got" && return 1; }
}

clip closed.mp4 25:1
clip open.mp4 24000:1001 -x264-params open-gop=1 -movflags negative_cts_offsets

s=48000 t=12800 # sound and picture: ticks of a second; the first picture is at 1024
adjacent="1000,$((t + 1024)),1;1000,$((2 * t + 1024)),1;1000,$((3 * t + 1024)),1"
fact "three adjacent edits are one" list "$adjacent" "1000,$s,1;1000,$((2 * s)),1;1000,$((3 * s)),1"
fact "edits go back, overlap and are repeated" list \
    "1500,90000,1;700,20000,1;700,20000,1;333,22222,1" "900,300000,1;1100,100,1;1233,300017,1"
fact "… and so are the storyboard's tiles" tiles "173 198 49 43 0 0"
fact "a dwell holds its picture, and sound is silent" list "1000,14000,1;1500,60000,0;1000,26000,1" "1000,49000,1;1500,200000,0;1000,97000,1"
fact "… which is told" warned "holds a picture for 1.500 s"
fact "empty edits, at the start and between" list "40,-1,1;1000,14000,1;500,-1,1;1000,30000,1" "1000,9999,1;700,-1,1;800,200000,1"
fact "… which is told" warned "0.500 s without picture"
fact "an empty edit at the end" list "1000,14000,1;400,-1,1" "500,20000,1;900,-1,1"
fact "other rates" list "1000,14000,2;1000,60000,0.5;500,14000,1.25" "1000,60000,0.5;500,9000,2;500,33333,1"
fact "an edit that begins inside of a picture" list "2000,$((t + 1024 + 100)),1" "2000,$((s + 375)),1"
fact "a length of 0 goes to the end" list "0,$((7 * t)),1" "0,$((7 * s)),1"
fact "… of the last edit, too" list "1000,0,1;0,$((8 * t)),1" "700,0,1;0,$((8 * s)),1"
fact "subtitles follow their own" texts_follow
fact "edits that go past the end" list "3000,$((9 * t)),1;1000,20000,1" "3000,$((9 * s)),1;1000,30000,1"
fact "$lists random lists" random_lists 1 "$lists" closed.mp4
fact "$lists random lists of open GOPs, with offsets below 0" random_lists 1001 $((1000 + lists)) open.mp4

finish
