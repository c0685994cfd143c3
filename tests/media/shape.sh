#!/bin/bash
# Pictures are shown as they say: what a container crops off isn't there, and where shape, turn,
# colours or format change in mid-stream each picture has its right place and its right colours,
# wherever the source is cut.
# shellcheck source-path=SCRIPTDIR disable=SC2086
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1

cat >sdr.yaml <<'Y'
name: sdr
gop_seconds: 1
segment_seconds: 1
video:
  - { name: full, codec: h264, size: 180, maxrate: 4M, preset: ultrafast, crf: 6 }
poster: {}
Y
cat >hdr.yaml <<'Y'
name: hdr
gop_seconds: 1
segment_seconds: 1
video:
  - { name: full, codec: hevc, size: 180, maxrate: 4M, preset: ultrafast, crf: 8, bit_depth: 10, range: source }
Y

X264="-c:v libx264 -preset ultrafast -crf 4 -g 25"
X265="-c:v libx265 -preset ultrafast -crf 6 -x265-params log-level=error:keyint=25:frame-threads=1:pools=none"
BT709="-colorspace bt709 -color_primaries bt709 -color_trc bt709"
BT601="-colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m"
BT2020="-colorspace bt2020nc -color_primaries bt2020"

# red FILE BEGIN FILTER OPTION...: a second of (192, 64, 32), from RGB.
red() {
    local file=$1 at=$2 filter=$3
    shift 3
    ffmpeg -nostdin -y -v error -f lavfi -i "color=c=0xC04020:s=320x180:r=25,format=gbrp" -frames:v 25 \
        -vf "$filter" -threads 1 -output_ts_offset "$at" "$@" "$file"
}
sd() { red "$1" "$2" scale=out_color_matrix=bt601:out_range=tv,format=yuv420p $X264 $BT601; }
hd() { red "$1" "$2" "scale=out_color_matrix=bt709:out_range=${3:-tv},format=${4:-yuv420p},setparams=range=${3:-tv}" $X264 $BT709 -color_range "${3:-tv}"; }
sdr() { red "$1" "$2" scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le $X265 $BT709; }
hdr() { # FILE BEGIN TRANSFER
    red "$1" "$2" "setparams=colorspace=gbr:color_primaries=bt709:color_trc=bt709:range=pc,zscale=t=$3:p=bt2020:m=bt2020nc:r=limited:npl=203,format=yuv420p10le" \
        $X265 $BT2020 -color_trc "$3"
}
joined() { # FIRST SECOND FILE
    cat "$1" "$2" >"$3"
}

package() { # FILE LADDER OPTION...
    local file=$1 ladder=$2
    shift 2
    rm -rf out && "$GOPMILL" run "$file" --ladder "$ladder.yaml" --output out --slots 1 "$@" &&
        cat out/video/full/init.mp4 out/video/full/seg-*.m4s >joined.mp4 && "$GOPMILL_VERIFY" out --source "$file"
}

# colour NUMBER: the mean of the middle of a frame, as 10 bit.
colour() {
    ffmpeg -nostdin -v error -i joined.mp4 -vf "select=eq(n\,$1),crop=32:32,scale=1:1:flags=area,format=yuv444p10le" \
        -frames:v 1 -f rawvideo - | od -An -tu2
}
# edges NUMBER: the first and last column and row of a frame that is brighter than 40.
edges() {
    local width
    width=$(ffprobe -v error -show_entries stream=width -of csv=p=0 joined.mp4)
    ffmpeg -nostdin -v error -i joined.mp4 -vf "select=eq(n\,$1),format=gray" -frames:v 1 -f rawvideo - | od -An -v -tu1 "-w$width" |
        awk '{ for (i = 1; i <= NF; i++) if ($i > 40) { if (l == "" || i - 1 < l) l = i - 1; if (i - 1 > r) r = i - 1
                if (t == "") t = NR - 1; b = NR - 1 } } END { print l, r, t, b, "of", NF, NR }'
}

# one_colour FILE LADDER WITHIN: before and behind the joint, at two cuttings.
one_colour() {
    local chunks
    for chunks in 1 2; do
        package "$1" "$2" --chunks $chunks >log 2>&1 || { cat log && return 1; }
        paste <(colour 12) <(colour 25) <(colour 40) | tee means
        awk -v most="$3" 'function off(a, b) { return a > b ? a - b : b - a }
            { for (i = 1; i <= 3; i++) if (off($i, $(i + 3)) > most || off($i, $(i + 6)) > most) bad = 1 }
            END { exit bad || NF != 9 }' means || return
        jq -e '[.warnings[] | select(test("25 pictures from 1.000 s on have other colours"))] | length == 1' out/job.json || return
    done
}
# stands FILE FIRST SECOND: where the first and the last frame's picture stands.
stands() {
    local chunks
    for chunks in 1 2; do
        package "$1" sdr --chunks $chunks >log 2>&1 || { cat log && return 1; }
        { edges 0 && edges 30; } | tee got
        cmp got <(printf "%s\n" "$2" "$3") || return
    done
}

# is_wrong FILE SOURCE: a package of the one, held against the other.
is_wrong() {
    rm -rf out && "$GOPMILL" run "$1" --ladder sdr.yaml --output out --slots 1 || return
    ! "$GOPMILL_VERIFY" out --source "$2" >log && grep "FAIL  source.picture" log
}

# ---- what a container crops off ----

be32() { printf '\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)); }
poke() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# White, with a black frame of 20, 16, 12 and 24 pixels: left, top, right, bottom.
framed() { # FILE OPTION...
    ffmpeg -nostdin -y -v error -f lavfi -i "color=c=white:s=288x140:r=25" -frames:v 50 \
        -vf "pad=w=320:h=180:x=20:y=16:color=black,format=yuv420p" -threads 1 $X264 $BT709 -color_range tv "${@:2}" "$1"
}
# 19 bytes of its Colour element become PixelCrop elements: an id of two bytes, a size, a value; and three of nothing.
framed_matroska() {
    framed plain.mkv && cp plain.mkv crop.mkv && poke crop.mkv "$(LC_ALL=C grep -aboP '\x55\xb0\x90' crop.mkv | head -n 1 | cut -d : -f 1)" \
        '\x54\xcc\x81\x14\x54\xbb\x81\x10\x54\xdd\x81\x0c\x54\xaa\x81\x18\xec\x81\x00'
}
# 55 bytes of boxes (colr, pasp, btrt) become clap and 15 of nothing.
framed_mp4() {
    local at word
    framed crop.mp4 -movflags +write_colr && at=$(grep -abo colr crop.mp4 | head -n 1 | cut -d : -f 1) || return
    word=$(be32 40)clap
    for n in 288 1 140 1 4 1 -4 1; do word+=$(be32 $n); done
    poke crop.mp4 $((at - 4)) "$word$(be32 15)free"
}
is_white() { # FILE: all of each picture, and of the poster
    local chunks
    for chunks in 1 2; do
        package "$1" sdr --chunks $chunks >log 2>&1 || { cat log && return 1; }
        { edges 0 && edges 49; } | tee got
        cmp got <(printf "0 287 0 139 of 288 140\n%.0s" 1 2) || return
        ffprobe -v error -show_entries stream=width,height -of csv=p=0 out/poster.jpg | tee size
        [ "$(cat size)" = 288,140 ] || return
        ffmpeg -nostdin -v error -i out/poster.jpg -vf format=gray -f rawvideo - | od -An -v -tu1 -w1 |
            awk '$1 < 200 { n++ } END { print n + 0, "dark pixels in the poster"; exit n > 0 }' || return
    done
}

fact "Matroska's PixelCrop is made" framed_matroska
fact "… and cut off, of pictures and poster" is_white crop.mkv
fact "… and the referee sees bars that are left" is_wrong plain.mkv crop.mkv
fact "MP4's clap is made" framed_mp4
fact "… and cut off, of pictures and poster" is_white crop.mp4

# ---- a turn ----

turned() { # FILE BEGIN: by the pictures' own word, a quarter clockwise; FILE.plain without it
    hd plain.tmp.ts "$2" && mv plain.tmp.ts "$1.plain" &&
        red "$1" "$2" "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p" $X264 $BT709 -x264-params pic-struct=1 \
            -bsf:v h264_metadata=display_orientation=insert:rotate=-90
}
flat_then_turned() { hd 1.ts 1 && turned 2.ts 2 && joined 1.ts 2.ts turn.ts && joined 1.ts 2.ts.plain plain.ts; }
turned_then_flat() { turned 1.ts 1 && hd 2.ts 2 && joined 1.ts 2.ts turn.ts; }
fact "pictures that turn themselves are made" flat_then_turned
fact "… stand upright in the shape of the first ones" stands turn.ts "0 319 0 179 of 320 180" "110 211 0 179 of 320 180"
fact "… and the referee sees those that lie" is_wrong plain.ts turn.ts
fact "… and the other way round" turned_then_flat
fact "… the first one's turn is the package's" stands turn.ts "0 179 0 319 of 180 320" "0 179 108 209 of 180 320"

# ---- a shape ----

narrower() { hd 1.ts 1 && red 2.ts 2 "scale=300:180:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p" $X264 $BT709 && joined 1.ts 2.ts narrow.ts; }
fact "pictures narrower by a few pixels are made" narrower
fact "… have bars of a few pixels" stands narrow.ts "0 319 0 179 of 320 180" "10 309 0 179 of 320 180"

# ---- colours ----

joint() { # FIRST SECOND FILE: each of them a function and its options
    $1 1.ts 1 ${4-} && $2 2.ts 2 ${5-} ${6-} && joined 1.ts 2.ts "$3"
}
fact "BT.601, then 709" joint sd hd a.ts
fact "… is one colour" one_colour a.ts sdr 14
fact "limited range, then full" joint hd hd b.ts tv pc
fact "… is one colour" one_colour b.ts sdr 8
fact "PQ, then SDR" joint hdr sdr d.ts smpte2084
fact "… is one colour in HDR" one_colour d.ts hdr 6
fact "HLG, then PQ" joint hdr hdr e.ts arib-std-b67 smpte2084
fact "… is one colour in HDR" one_colour e.ts hdr 6
finish
