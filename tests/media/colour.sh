#!/bin/bash
# What is seen is what was there: an untagged picture comes through with the
# values it had, a full-range one with those that limited range has for them.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1

cat >one.yaml <<'Y'
name: one
video:
  - { name: hd, codec: h264, size: 720, maxrate: 40M, preset: ultrafast, crf: 4 }
  - { name: sd, codec: h264, size: 360, maxrate: 20M, preset: ultrafast, crf: 4 }
Y

picture() { # picture NAME OPTION...: half a second of colours, nearly lossless
    local name=$1
    shift
    ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=1280x720:rate=25 -t 0.5 "$@" \
        -c:v libx264 -preset ultrafast -crf 2 "$name"
}

# package_is_like NAME RENDITION FILTER: every plane of every frame within
# 38 dB of the clip by ffmpeg's filter.
package_is_like() {
    local planes
    cat "out-$1/video/$2/init.mp4" "out-$1/video/$2"/seg-*.m4s >joined.mp4
    planes=$(ffmpeg -nostdin -v info -i joined.mp4 -i "$1" -an \
        -lavfi "[0:v]setpts=N[a];[1:v]$3,setpts=N[b];[a][b]psnr" -f null - 2>&1 |
        grep -o 'PSNR y:.*')
    echo "$planes"
    echo "$planes" | tr ' ' '\n' | awk -F: '/^[yuv]:/ { n++; if ($2 != "inf" && $2 < 38) bad = 1 }
        END { exit bad || n != 3 }'
}

picture untagged.mp4 -pix_fmt yuv420p
picture tagged.mp4 -pix_fmt yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709
picture full.mp4 -vf scale=in_range=limited:out_range=full -pix_fmt yuvj420p

for clip in untagged.mp4 tagged.mp4 full.mp4; do
    filter=null
    [ $clip = full.mp4 ] && filter=scale=in_range=full:out_range=limited,format=yuv420p
    fact "$clip becomes a package" "$GOPMILL" run $clip --ladder one.yaml --output out-$clip
    fact "$clip: colours stay what they were" package_is_like $clip hd $filter
    fact "$clip: also where it is scaled down" package_is_like $clip sd "$filter,scale=640:360:flags=bicubic"
done
finish
