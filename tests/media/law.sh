#!/bin/bash
# The law of where decoding may begin, without an encoder that would hide
# something: each chunk's pictures are, to the bit, those of one decode.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
tools=$GOPMILL_BUILD/tests/media

make() { # FILE OPTION...: three seconds
    ffmpeg -nostdin -y -v error -f lavfi -i "testsrc2=size=160x96:rate=25:duration=3" -threads 1 "${@:2}" "$1"
}
copy() { # FROM TO OPTION...
    ffmpeg -nostdin -y -v error -i "$1" -c copy "${@:3}" "$2"
}
h264() { make "$1" -c:v libx264 -preset ultrafast -pix_fmt yuv420p -x264-params "keyint=25:scenecut=0:$2" "${@:3}"; }

# All frames of the plan are shown, and no others.
obeys() { # FILE [SECONDS]
    local out
    out=$(timeout 60 "$tools/law" "${2:-1}" "$1") && echo "$out" &&
        grep -Eq ': ([2-9]|[1-9][0-9]+) chunks, .* 0 concealed, 0 more, 0 differ' <<<"$out"
}

# Pictures come in another order than they are shown in, and no parameter set says by how many.
unsaid() { # FILE OPTION...
    h264 "$1" bframes=5:b-adapt=0:b-pyramid=normal:ref=6 "${@:2}" && "$tools/unsaid" "$1"
}
unsaid unsaid.mkv && copy unsaid.mkv unsaid-frag.mp4 -movflags frag_keyframe+empty_moov
fact "H.264 that doesn't say how far it is reordered, in Matroska" obeys unsaid.mkv
fact "H.264 that doesn't say how far it is reordered, in fragments" obeys unsaid-frag.mp4

# An MP4 without a list of keyframes, where every sample claims to be one.
unlist() { # FILE
    local at
    at=$(grep -abo stss "$1" | head -n 1 | cut -d: -f1) && printf free | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
# Scenes of 0.4 s: inside of the only GOP x264 begins each with an I picture that later ones refer past, and says
# nothing of it.
scenes() { # FILE
    ffmpeg -nostdin -y -v error -f lavfi -i "testsrc2=s=320x180:r=25:d=6" -f lavfi -i "mandelbrot=s=320x180:r=25" \
        -f lavfi -i "cellauto=s=320x180:r=25:rule=30:seed=7" -filter_complex "[0]noise=alls=8:allf=t:all_seed=7[a];[a][1]overlay=enable='eq(mod(floor(t*2.5)\,3)\,1)':shortest=1[b];
            [b][2]overlay=enable='eq(mod(floor(t*2.5)\,3)\,2)':shortest=1,format=yuv420p" -threads 1 -t 6 -c:v libx264 -preset veryfast \
        -x264-params keyint=500:min-keyint=251:scenecut=400:ref=8:bframes=2:weightp=0 "$1"
}
is_told() { timeout 60 "$tools/law" 1 "$1" | grep "told: pictures decoded from some of the source's keyframes"; }
scenes scenes.mp4 && unlist scenes.mp4
fact "H.264 whose I pictures aren't beginnings, and claim to be" obeys scenes.mp4
fact "… is told of" is_told scenes.mp4
make av1.mp4 -c:v libsvtav1 -preset 12 -g 24 -svtav1-params irefresh-type=1 2>/dev/null && unlist av1.mp4
fact "AV1 with forward keyframes, without a list of keyframes" obeys av1.mp4
make hevc.mp4 -c:v libx265 -preset ultrafast -x265-params keyint=25:min-keyint=25:bframes=4:open-gop=1:log-level=none && unlist hevc.mp4
fact "HEVC of open GOPs, without a list of keyframes" obeys hevc.mp4

# Pictures of MPEG-4 that aren't coded: a P picture of no macroblock, vop_coded 0.
for part in 1 2 3; do
    make $part.m4v -vf "trim=start=0.$part:duration=1,setpts=PTS-STARTPTS" -c:v mpeg4 -q:v 5 -g 12 -f m4v
done
printf '\x00\x00\x01\xb6\x50\x4f' >still
cat 1.m4v still still 2.m4v still 3.m4v still >stills.m4v
uncoded() { # FILE
    ffmpeg -nostdin -y -v error -r 25 -f m4v -i stills.m4v -c copy "$1" && obeys "$1" && "$tools/law" 1 "$1" | grep ' 75 frames'
}
for kind in avi mkv mp4; do
    fact "MPEG-4 pictures that aren't coded are no frames in $kind" uncoded stills.$kind
done
# They last, also the last one.
lasts() { # FILE SECONDS
    "$GOPMILL" probe "$1" --json | jq -e ".duration_ms == $2"
}
fact "… and take their time at the end" lasts stills.avi 3160

# Files of fragments joined end to end: the times of the second were over when it came.
h264 fragments.mp4 bframes=2 -movflags frag_keyframe+empty_moov
cat fragments.mp4 fragments.mp4 >joined.mp4
joined() {
    local out
    out=$("$tools/law" 1 joined.mp4) && echo "$out" &&
        grep ' 75 frames, 0 concealed' <<<"$out" && grep 'told: 75 frames in fragments whose time was over' <<<"$out"
}
fact "of files of fragments joined end to end the first is played, and all of the second told of" joined
finish
