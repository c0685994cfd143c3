# made.sh - sourced by ../inputs: how rows make their files. Each clip is 100
# frames that show their numbers, 4 s at 25 frames a second, with 4 s of rising
# and falling tones; both are made once, by `make_material`.
# shellcheck shell=bash disable=SC2034,SC2154

H264="-c:v libx264 -preset ultrafast -crf 16 -g 25 -bf 2 -pix_fmt yuv420p"
HEVC="-c:v libx265 -preset ultrafast -crf 18 -g 25 -pix_fmt yuv420p"
AAC="-c:a aac -b:a 96k"

quiet_ffmpeg() { ffmpeg -nostdin -y -v error "$@"; }

make_material() {
    "$NUMBERED" make 100 320 180 25:1 | ffmpeg -y -v error -i pipe:0 -c:v ffv1 "$scratch/base.nut"
    quiet_ffmpeg -f lavfi -i "aevalsrc='0.3*sin(2*PI*(150+45*t)*t)+0.2*sin(2*PI*(700-25*t)*t)':s=48000:d=4" \
        -af "volume='0.3+0.7*mod(floor(t*5)*7\,11)/11':eval=frame,pan=stereo|c0=c0|c1=0.7*c0" "$scratch/sound.wav"
}

# clip FILE OPTION...: both, encoded. before=..., of the picture's input;
# sound_before=..., of the sound's.
clip() {
    local file=$1
    shift
    # shellcheck disable=SC2086
    quiet_ffmpeg ${before-} -i "$scratch/base.nut" ${sound_before-} -i "$scratch/sound.wav" \
        -map 0:v -map 1:a -threads 1 -vsync passthrough "$@" "$file"
}

# The picture alone.
silent() {
    local file=$1
    shift
    # shellcheck disable=SC2086
    quiet_ffmpeg ${before-} -i "$scratch/base.nut" -threads 1 -vsync passthrough "$@" "$file"
}

# at_rate RATE FILE OPTION...: a clip of another frame rate.
at_rate() {
    local rate=$1 file=$2
    shift 2
    clip "$file" -vf "settb=1/240000,setpts=N*240000/($rate)" -enc_time_base 1/240000 "$@"
}

# with NAME=VALUE FUNCTION ARG...
with() {
    local "${1?}"
    shift
    "$@"
}

# turned FILE DEGREES: by the matrix of its track, clockwise, as phones write it:
# nine numbers of 32 bits, 40 bytes behind the box's type.
turned() {
    local one='\x00\x01\x00\x00' minus='\xff\xff\x00\x00' nil='\x00\x00\x00\x00' at
    at=$(($(offset_of "$1" tkhd) + 44))
    case $2 in
    90) poke "$1" $at "$nil$one$nil$minus$nil" ;;
    180) poke "$1" $at "$minus$nil$nil$nil$minus" ;;
    270) poke "$1" $at "$nil$minus$nil$one$nil" ;;
    esac
}

# copy FROM TO OPTION...: a clip as it is, in another container.
copy() {
    local from=$1 to=$2
    shift 2
    quiet_ffmpeg -i "$from" -map 0 -c copy "$@" "$to"
}

# ---- bytes ----

size_of() { stat -c %s "$1"; }

# poke FILE OFFSET BYTES: as printf has them.
poke() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# The offset of the Nth (from 1) place where a text stands.
offset_of() { grep -abo "$2" "$1" | cut -d: -f1 | sed -n "${3:-1}p"; }

# cut_out FILE FROM LENGTH
cut_out() {
    { head -c "$2" "$1" && tail -c "+$(($2 + $3 + 1))" "$1"; } >cut.tmp && mv cut.tmp "$1"
}

zeroes() { dd if=/dev/zero of="$1" bs=1 seek="$2" count="$3" conv=notrunc status=none; }

# spoil FILE FROM EVERY COUNT: bytes replaced by what is hardly there anyway.
spoil() {
    local i
    for ((i = 0; i < $4; i++)); do poke "$1" $(($2 + i * $3 + i * i % 7)) '\x5a'; done
}
