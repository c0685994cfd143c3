#!/bin/bash
# A cut shows neither in bytes nor in quality: chunks joined, against the same
# clip in one chunk with the same keyframes. An encoder that has seen nothing
# yet gives its first keyframe less than later ones; here it must not.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL

cat >two.yaml <<'Y'
name: two
gop_seconds: 2
segment_seconds: 4
video:
  - { name: h264, codec: h264, size: 270, maxrate: 4M, preset: medium, crf: 22 }
  - { name: hevc, codec: hevc, size: 270, maxrate: 4M, preset: fast, crf: 24 }
Y

# A view that moves over something with detail, 16 s: 8 GOPs of 50 pictures.
ffmpeg -nostdin -v error -f lavfi -i "mandelbrot=size=1920x1080:rate=1:start_scale=0.3" -t 16 \
    -vf "loop=-1:1,fps=25,crop=480:270:x='200+n*2':y='100+n',format=yuv420p" \
    -c:v libx264 -preset veryfast -crf 12 -g 50 clip.mp4

package() { # CHUNKS
    "$gopmill" run clip.mp4 --ladder two.yaml --chunks "$1" --output "$1" --slots 2
}
joined() { # CHUNKS RENDITION
    cat "$1/video/$2/init.mp4" "$1/video/$2"/seg-*.m4s >"$1-$2.mp4"
}
# Size of each packet and whether it is a keyframe, in decoding order.
packets() {
    ffprobe -v error -show_entries packet=size,flags -of csv=p=0 "$1"
}
# Mean squared error of each frame against the clip.
errors_of() {
    ffmpeg -nostdin -v error -i "$1" -i clip.mp4 \
        -lavfi "[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]psnr=stats_file=-" -f null - | sed -n 's/.*mse_avg:\([0-9.]*\).*/\1/p'
}

keyframes_are_the_same() { # RENDITION
    cmp <(packets "1-$1.mp4" | awk -F, '/K/ { print NR }') <(packets "4-$1.mp4" | awk -F, '/K/ { print NR }')
}
as_many_bytes() { # RENDITION: within a hundredth, of chunks of four seconds
    paste -d, <(packets "1-$1.mp4") <(packets "4-$1.mp4") | awk -F, '
        { one += $1; four += $3 }
        END {
            print "four chunks have " four " bytes, one has " one
            exit !(four < one * 1.005 && four > one * 0.99)
        }'
}
# The first keyframe of chunks 2, 3 and 4: GOPs 3, 5 and 7.
first_keyframes_as_large() { # RENDITION
    paste -d, <(packets "1-$1.mp4") <(packets "4-$1.mp4") | awk -F, '
        /K/ && ++gop % 2 == 1 && gop > 1 {
            print "GOP " gop ": " $3 " bytes, in one chunk " $1
            if ($3 < 0.94 * $1 || $3 > 1.06 * $1) bad = 1
            n++
        }
        END { exit bad || n != 3 }'
}
# dB between the errors of the GOPs that follow a joint.
joints_look_the_same() { # RENDITION
    paste -d ' ' <(errors_of "1-$1.mp4") <(errors_of "4-$1.mp4") | awk '
        NR > 100 && (NR - 1) % 100 < 50 { one += $1; four += $2; n++ }
        END {
            db = 10 * log(one / four) / log(10)
            print "PSNR after joints differs by " db " dB over " n " pictures"
            exit !(n == 150 && db > -0.2)
        }'
}

fact "a clip becomes one chunk" package 1
fact "a clip becomes four chunks" package 4
for codec in h264 hevc; do
    joined 1 $codec
    joined 4 $codec
    fact "$codec: keyframes are at the same pictures" keyframes_are_the_same $codec
    fact "$codec: a chunk's first keyframe is as large as in one chunk" first_keyframes_as_large $codec
    fact "$codec: what follows a joint looks as good as in one chunk" joints_look_the_same $codec
    fact "$codec: four chunks have as many bytes as one" as_many_bytes $codec
done
finish
