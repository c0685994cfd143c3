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
finish
