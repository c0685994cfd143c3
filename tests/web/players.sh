#!/bin/bash
# Packages play right where people watch: in Chromium, by hls.js, dash.js and
# shaka-player, in H.264 and AV1. run.js has the facts; here are the clips and their
# packages, and the players from npm.
#
# Where there is no network to get them from, this fails in words. GOPMILL_NO_WEB=1
# leaves it out. By hand: players.sh [PATTERN] checks only the facts whose names match.
# shellcheck source-path=SCRIPTDIR/../media
. "$(dirname "$0")/../media/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
gopmill=$GOPMILL
modules=$GOPMILL_BUILD/web
failures=$GOPMILL_BUILD/web-failures
seconds=24 fps=25

if [ -n "${GOPMILL_NO_WEB-}" ]; then
    echo "1..0 # SKIP GOPMILL_NO_WEB is set"
    exit 77
fi

# ---- players ----

programs_are_there() {
    local program missing=
    for program in "${GOPMILL_CHROMIUM:-/usr/bin/chromium}" node npm; do
        command -v "$program" >/dev/null || missing="$missing $program"
    done
    [ -z "$missing" ] && return
    echo "not on this machine:$missing. scripts/deps --web installs them; GOPMILL_NO_WEB=1 leaves out this test"
    return 1
}

# Once for each package-lock.json.
players_are_there() {
    local lock
    lock=$(sha256sum <"$here/package-lock.json")
    [ "$(cat "$modules/installed" 2>/dev/null)" = "$lock" ] && return
    rm -rf "$modules"
    mkdir -p "$modules"
    cp "$here/package.json" "$here/package-lock.json" "$modules"
    (cd "$modules" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || {
        echo "npm can't install the players (is there a network?); GOPMILL_NO_WEB=1 leaves out this test"
        return 1
    }
    echo "$lock" >"$modules/installed"
}

fact "Chromium, node and npm are there" programs_are_there
fact "npm installs the players" players_are_there
[ "$facts_failed" -eq 0 ] || finish

# ---- packages ----
cd "$scratch" || exit 1
mkdir packages

ladder() { # NAME CODEC OPTIONS
    cat >"$1.yaml" <<Y
name: $1
gop_seconds: 1
segment_seconds: 2
defaults:
  $2: { $3 }
video:
  - { name: high, codec: $2, size: 180, maxrate: 1M }
  - { name: middle, codec: $2, size: 120, maxrate: 600k }
  - { name: low, codec: $2, size: 90, maxrate: 300k }
audio:
  - { name: sound, codec: aac, bitrate: 96k }
Y
}
ladder h264 h264 'preset: veryfast, crf: 24'
ladder av1 av1 'encoder: libsvtav1, preset: 12, crf: 35'

# Every picture shows its number; the sound has a pulse each 1.07 s (judge.js).
pulse='sin(2*PI*1000*t)*exp(-pow((mod(t\,1.07)-0.3)/0.005\,2))'
"$GOPMILL_BUILD/tests/media/numbered" make $((seconds * fps)) 320 180 $fps:1 |
    ffmpeg -v error -f yuv4mpegpipe -i pipe:0 -f lavfi -i "aevalsrc='0.5*$pulse|0.5*$pulse':d=$seconds:s=48000" \
        -c:v libx264 -preset veryfast -crf 12 -g 50 -pix_fmt yuv420p -c:a aac -b:a 160k clip.mp4

package() { # NAME CLIP [LADDER]
    "$gopmill" run "$2" --ladder "./${3-$1}.yaml" --output "packages/$1" --chunk-seconds 6
}
fact "a clip becomes a package in H.264" package h264 clip.mp4
fact "a clip becomes a package in AV1" package av1 clip.mp4

# The same in Opus, with the smallest picture.
sed '/high/d; /middle/d; s/codec: aac/codec: opus/; s/^name: .*/name: opus/' h264.yaml >opus.yaml
fact "a clip becomes a package with Opus" package opus clip.mp4

# With sheets of tiles, the last of which isn't full.
(sed '/high/d; /middle/d; s/^name: .*/name: storyboard/' h264.yaml && echo 'storyboard: { size: 90, every: 2, columns: 3, rows: 3 }') >storyboard.yaml
fact "a clip becomes a package with a storyboard" package storyboard clip.mp4

# Two languages, each a tone of its own (run.js).
ffmpeg -nostdin -v error -i clip.mp4 -f lavfi -i sine=500:d=$seconds:r=48000 -f lavfi -i sine=2000:d=$seconds:r=48000 \
    -map 0:v -map 1 -map 2 -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -c:v copy -c:a aac spoken.mp4
fact "a clip in two languages becomes a package" package languages spoken.mp4 h264

# Pictures that last 5 ms to 0.3 s, with B-frames up to the end.
"$GOPMILL_BUILD/tests/media/numbered" make 300 320 180 25:1 |
    ffmpeg -v error -f yuv4mpegpipe -i pipe:0 \
        -vf "settb=1/90000,setpts='N*3600+mod(N*N*31\,3100)+floor(N/37)*20000'" -vsync passthrough -enc_time_base 1/90000 \
        -video_track_timescale 90000 -c:v libx264 -preset veryfast -crf 12 -bf 2 -g 40 -pix_fmt yuv420p uneven.mp4
fact "a clip of variable rate becomes a package" package uneven uneven.mp4 h264
"$GOPMILL_BUILD/tests/media/numbered" read uneven.mp4 |
    awk '{ split($2, b, "/"); t = $1 * b[1] / b[2]; if (NR == 1) first = t; printf "%.6f\n", t - first }' >packages/uneven.times

# Sound and picture of different lengths (run.js: lasting): one picture and sound, either of them the
# shorter one by far, and a picture that begins long after the sound.
lasts() { # NAME PICTURE SOUND DELAY
    ffmpeg -nostdin -v error -i clip.mp4 -map 0:v -t "$2" -c:v libx264 -preset veryfast -bf 2 -g 50 picture.mp4 -y &&
        ffmpeg -nostdin -v error -itsoffset "$4" -i picture.mp4 -i clip.mp4 -map 0:v -map 1:a -t "$3" -c copy "lasts-$1.mp4" &&
        package "lasts-$1" "lasts-$1.mp4" h264
}
# Of 12 s Chromium buffers 12.031999 s of sound: each time of a packet is cut to a microsecond.
fact "one picture and its sound become a package" lasts still 0.04 12 0
fact "a picture and longer sound become a package" lasts sound 4 12 0
fact "a picture that begins after its sound becomes a package" lasts late 6 14 6.65
lasts_picture() {
    ffmpeg -nostdin -v error -i clip.mp4 -t 4 -vn -c copy sound.mp4 &&
        ffmpeg -nostdin -v error -t 12 -i clip.mp4 -i sound.mp4 -map 0:v -map 1:a -c copy lasts-picture.mp4 &&
        package lasts-picture lasts-picture.mp4 h264
}
fact "sound and a longer picture become a package" lasts_picture

# As a phone held upright writes it: lying on its side, with a matrix. A quarter of the
# picture is of one colour each; upright they are yellow and red above blue and lime.
ffmpeg -nostdin -v error -f lavfi -i "color=red:s=320x180:r=$fps:d=3" -vf "
    drawbox=x=160:y=0:w=160:h=90:c=lime:t=fill, drawbox=x=160:y=90:w=160:h=90:c=blue:t=fill,
    drawbox=x=0:y=90:w=160:h=90:c=yellow:t=fill" \
    -c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p lying.mp4
ffmpeg -nostdin -v error -i lying.mp4 -c copy -metadata:s:v rotate=270 portrait.mp4
fact "a portrait clip becomes a package" package portrait portrait.mp4 h264

# Real ones, with what ffmpeg shows of them: 8 by 8 means of luma, upright.
real() { # CLIP SECONDS
    local name=real-${1%.*}
    if [ ! -f "$GOPMILL_TEST_CLIPS/$1" ]; then
        skip "$1 becomes a package" "no such clip here"
        return
    fi
    fact "$1 becomes a package" package "$name" "$GOPMILL_TEST_CLIPS/$1" h264
    ffmpeg -nostdin -v error -ss "$2" -i "$GOPMILL_TEST_CLIPS/$1" -frames:v 1 \
        -vf "scale=8:8:flags=area,format=gray" -f rawvideo - | od -An -v -tu1 >"packages/$name.luma"
    echo "$2" >"packages/$name.at"
}
real ax_portrait_4k60.mp4 0.1
real ax_editlist_hlg_rot90.mp4 1

# Two languages of sound and subtitles.
film=d_sintel_2audio_sub_editlist.mp4
if [ -f "$GOPMILL_TEST_CLIPS/$film" ]; then
    fact "$film becomes a package" package tracks "$GOPMILL_TEST_CLIPS/$film" h264
else
    skip "$film becomes a package" "no such clip here"
fi
[ "$facts_failed" -eq 0 ] || finish

# ---- plays ----

# Lines of run.js, with the numbers that facts have here.
relay() {
    local line
    while IFS= read -r line; do
        case $line in
        'ok - '*) facts=$((facts + 1)) && echo "ok $facts - ${line#ok - }" ;;
        'not ok - '*)
            facts=$((facts + 1)) facts_failed=$((facts_failed + 1))
            echo "not ok $facts - ${line#not ok - }"
            ;;
        'skip - '*' # '*)
            line=${line#skip - }
            skip "${line% # *}" "${line#* # }"
            ;;
        '#'*) echo "$line" ;;
        *) echo "# $line" ;;
        esac
    done
}
rm -rf "$failures"
relay < <(node "$here/run.js" "$scratch/packages" "$modules/node_modules" "$failures" "${1-}" 2>&1)
wait $!
came_to_its_end() { return $1; }
fact "the players' program came to its end" came_to_its_end $?
[ ! -d "$failures" ] || echo "# what was on the screen then: $failures"
finish
