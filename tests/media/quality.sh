#!/bin/bash
# Nobody sees a joint: the ten pictures on either side of each look as good
# as the clip's worst twentieth, in every rendition of every codec.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL clips=$GOPMILL_TEST_CLIPS

cat >codecs.yaml <<'Y'
name: codecs
gop_seconds: 2
segment_seconds: 4
defaults:
  h264: { preset: fast, crf: 23 }
  hevc: { preset: superfast, crf: 25 }
video:
  - { name: h264-270p, codec: h264, size: 270, maxrate: 1500k }
  - { name: h264-144p, codec: h264, size: 144, maxrate: 300k }
  - { name: hevc-270p, codec: hevc, size: 270, maxrate: 1M }
  - { name: hevc-144p, codec: hevc, size: 144, maxrate: 200k }
  - { name: svt-270p, codec: av1, encoder: libsvtav1, preset: 10, size: 270, maxrate: 1M }
  - { name: svt-144p, codec: av1, encoder: libsvtav1, preset: 10, size: 144, maxrate: 200k }
  - { name: aom-144p, codec: av1, encoder: libaom-av1, preset: 6, size: 144, maxrate: 200k }
Y
renditions='h264-270p h264-144p hevc-270p hevc-144p svt-270p svt-144p aom-144p'

# A view that moves over something with detail, 16 s.
ffmpeg -nostdin -v error -f lavfi -i "mandelbrot=size=1920x1080:rate=1:start_scale=0.3" -t 16 \
    -vf "loop=-1:1,fps=25,crop=480:270:x='200+n*2':y='100+n',format=yuv420p" \
    -c:v libx264 -preset veryfast -crf 12 -g 50 drawn.mp4

package() { # CLIP CHUNKS: in out-CLIP
    "$gopmill" run "$1" --ladder codecs.yaml --chunks "$2" --output "out-${1##*/}" --slots 2
}
# Numbers of the first pictures of all chunks but the first.
joints() { # CLIP CHUNKS
    "$gopmill" plan "$1" --ladder codecs.yaml --chunks "$2" --json |
        jq '[.chunks[].pts | 1 + ([.runs | range(1; length; 2) as $i | .[$i]] | add // 0)] |
            foreach .[:-1][] as $n (0; . + $n)'
}
# PSNR and SSIM of each picture, in dB, against the source scaled like it.
marks() { # CLIP RENDITION
    local dir=out-${1##*/} size
    cat "$dir/video/$2/init.mp4" "$dir/video/$2"/seg-*.m4s >joined.mp4
    size=$(ffprobe -v error -select_streams v -show_entries stream=width,height -of csv=p=0:s=x joined.mp4)
    ffmpeg -nostdin -v fatal -i joined.mp4 -i "$1" -an -lavfi "[0:v]settb=1/25,setpts=N,split[a][c];
        [1:v]scale=${size/x/:}:flags=bicubic,format=yuv420p,settb=1/25,setpts=N,split[b][d];
        [a][b]psnr=stats_file=psnr.log;[c][d]ssim=stats_file=ssim.log" -f null - || return
    paste -d ' ' <(sed -n 's/.*psnr_y:\([0-9.inf]*\).*/\1/p' psnr.log) \
        <(sed -n 's/.* Y:\([0-9.]*\) .*/\1/p' ssim.log) |
        awk '{ print ($1 == "inf" || $1 > 100 ? 100 : $1),
            ($2 >= 1 ? 100 : -10 * log(1 - $2) / log(10)) }'
}
nobody_sees_a_joint() { # CLIP CHUNKS RENDITION
    marks "$1" "$3" >marks
    joints "$1" "$2" >joints
    local column
    for column in 1 2; do
        cut -d ' ' -f $column marks | sort -n >sorted
        awk -v column=$column -v kind="$([ $column = 1 ] && echo PSNR || echo SSIM)" '
            FILENAME == "sorted" { s[++n] = $1; next }
            FILENAME == "joints" { at[++joints] = $1; next }
            { m[++frames] = $column }
            function mean(from,   i, sum) {
                for (i = from; i < from + 10; i++) sum += m[i]
                return sum / 10
            }
            END {
                floor = s[int(n / 20) + 1] - 0.5
                for (i = 1; i <= joints; i++) {
                    before = mean(at[i] - 9)
                    after = mean(at[i] + 1)
                    printf "%s at picture %d: %.2f before, %.2f after, at least %.2f\n", kind, at[i],
                        before, after, floor
                    if (before < floor || after < floor) bad = 1
                }
                exit bad || joints != '"$2"' - 1 || frames < 40
            }' sorted joints marks || return
    done
}

fact "a drawn clip becomes four chunks" package drawn.mp4 4
for rendition in $renditions; do
    fact "$rendition: nobody sees a joint" nobody_sees_a_joint drawn.mp4 4 "$rendition"
done
clip=$clips/wave_tos_1080p2997.mp4
if [ -f "$clip" ]; then
    fact "a film becomes four chunks" package "$clip" 4
    for rendition in $renditions; do
        fact "$rendition: nobody sees a joint in a film" nobody_sees_a_joint "$clip" 4 "$rendition"
    done
else
    skip "nobody sees a joint in a film" "no such clip here"
fi
finish
