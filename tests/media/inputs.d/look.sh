# look.sh - sourced by ../inputs: what ffprobe and ffmpeg see in a source and
# in a package, as JSON. None of the code of gopmill has a say in it.
# shellcheck shell=bash
#
# Works in the current folder, which is a row's own.
#
#   look_source FILE       writes source.json: what a player would show of FILE
#   look_package STATUS FILE   writes got.json: what became of it, from out/, out.err
#                              and the exit status of `gopmill run`
#   look_picture FILE FILTER   sets `off`, by how much a picture is off (FILTER, with a comma
#                              at its end, turns the source's upright where ffmpeg doesn't),
#                              and `combed` where the source is of fields

# The streams that docs/inputs.md promises: the default one, else the largest
# or first; pictures that are attached are no video. "<video> <audio>", - for none.
# shellcheck disable=SC2016
CHOOSE='
def is_picture: .disposition | (.attached_pic + (.timed_thumbnails // 0) + (.still_image // 0)) > 0;
def best(score): if length == 0 then "-" else (map({i: .index, s: score}) | sort_by([-.s, .i]) | .[0].i) end;
.streams // [] |
"\(map(select(.codec_type == "video" and (is_picture | not) and (.width // 0) > 0 and .codec_name != null))
   | best(.disposition.default * 1099511627776 + .width * .height)) \(
   map(select(.codec_type == "audio" and ((.sample_rate // "0") | tonumber) > 0 and (.channels // 0) > 0
              and .codec_name != null))
   | best(.disposition.default))"'

# frames_of STREAM ENTRIES FILE: every frame that the decoder gives. With one
# thread: with more, errors at the start of a GOP are told in another order.
frames_of() {
    ffprobe -v error -threads 1 -select_streams "$1" -show_entries "frame=$2" -of json "file:$3" 2>>source.err
}

look_source() {
    local file=$1 video audio
    : >source.err
    echo '{}' >video.json && echo '{}' >sound.json
    if ! ffprobe -v error -of json -show_streams -show_format "file:$file" >streams.json 2>>source.err; then
        echo '{}' >streams.json
    fi
    read -r video audio < <(jq -r "$CHOOSE" streams.json)
    if [ "$video" != - ]; then
        frames_of "$video" best_effort_timestamp_time,pkt_duration_time,interlaced_frame "$file" >video.json
    fi
    if [ "$audio" != - ]; then
        frames_of "$audio" best_effort_timestamp_time,nb_samples,sample_rate "$file" >sound.json
    fi
    jq -n --slurpfile streams streams.json --slurpfile video video.json --slurpfile sound sound.json \
        --arg v "$video" --arg a "$audio" --rawfile complaints source.err \
        -L "$INPUTS_DIR" 'include "source"; source($streams[0]; $v; $video[0]; $a; $sound[0]; $complaints)' >source.json
}

# The rendition that has every frame: the ladder's other one is capped.
look_package() {
    local status=$1
    echo '{}' >receipt.json && echo '{}' >shown.json && echo '{}' >verified.json
    if [ -e out/job.json ]; then
        cp out/job.json receipt.json
        if [ -e out/video/full/init.mp4 ]; then
            cat out/video/full/init.mp4 out/video/full/seg-*.m4s >joined.mp4
            ffprobe -v error -of json -show_streams -show_entries packet=pts_time,duration_time joined.mp4 >shown.json
        fi
        "$GOPMILL_VERIFY" out --source "$2" --json >verified.json 2>verify.err ||
            [ -s verified.json ] || jq -n --rawfile e verify.err '{ok: false, checks: [{id: "verify", ok: false, detail: $e}]}' >verified.json
    fi
    local left=false
    [ -z "$(find out -name '*.m3u8' -o -name '*.mpd' -o -name job.json 2>/dev/null)" ] || left=true
    jq -n --argjson status "$status" --argjson left $left --rawfile stderr out.err --slurpfile receipt receipt.json \
        --slurpfile shown shown.json --slurpfile verified verified.json \
        -L "$INPUTS_DIR" 'include "source";
            got($status; $stderr; $receipt[0]; $shown[0]; $verified[0]; $left)' >got.json
}

# ---- pictures ----

# thumb FILTER FRAME FILE STREAM MATRIX: one frame, turned upright by ffmpeg, as
# 16x16 R, G and B, 0 to 255, a line each, made of its samples by that matrix.
thumb() { # … and how RGB becomes Y'CbCr
    ffmpeg -nostdin -v error -threads 1 -i "file:$3" -map "0:$4" -frames:v 1 -vsync passthrough \
        -vf "select=eq(n\\,$2),${1}scale=320:180:flags=area$6,format=yuv444p,scale=16:16:flags=area" \
        -f rawvideo - 2>/dev/null | od -An -v -tu1 -w1 |
        awk -v matrix="$5" '
            function clip(x) { return x < 0 ? 0 : x > 255 ? 255 : x }
            BEGIN { r = 0.2126; b = 0.0722
                if (matrix ~ /470bg|170m|601|^fcc/) { r = 0.299; b = 0.114 }
                if (matrix ~ /^bt2020/) { r = 0.2627; b = 0.0593 }
                if (matrix ~ /240m/) { r = 0.212; b = 0.087 } }
            { v[NR] = $1 }
            END { for (i = 1; i <= 256 && NR == 768; i++) {
                y = (v[i] - 16) / 219; u = (v[i + 256] - 128) / 224; w = (v[i + 512] - 128) / 224
                red = y + 2 * (1 - r) * w; blue = y + 2 * (1 - b) * u
                print clip(255 * red); print clip(255 * blue)
                print clip(255 * (y - r * red - b * blue) / (1 - r - b)) } }'
}

# What has to be known to compare, a line each: which frame, which stream, the
# matrices of both, whether it isn't RGB, whether it may be combed (the detector
# sees combs in any small picture of a large one). A source that doesn't say is
# taken for what docs/ladders.md says.
# shellcheck disable=SC2016
PICTURE='$e[0].video as $v | ([$v.frames - 1, 9] | min), $v.stream,
    (if $v.hdr then "hdr" elif $v.color.matrix then $v.color.matrix elif $v.yuv and $v.short < 720 then "bt601" else "bt709" end),
    ($g[0].video.color.matrix // "bt709"), $v.yuv, (($v.interlaced // 0) > 0 and $v.short <= 720)'

# The mean difference of one picture, 0 to 255; nothing where there is none.
look_picture() { # FILE FILTER
    local n stream matrix made yuv fields rgb=''
    { read -r n && read -r stream && read -r matrix && read -r made && read -r yuv && read -r fields; } \
        < <(jq -rn --slurpfile e source.json --slurpfile g got.json "$PICTURE")
    [ "$fields" != true ] || combed=$(combed joined.mp4)
    [ "$matrix" != hdr ] || return 0
    [ "$yuv" = true ] || rgb=:out_color_matrix=bt709
    thumb "$2" "$n" "$1" "$stream" "$matrix" "$rgb" >want.rgb
    thumb "" "$n" joined.mp4 0 "$made" "" >got.rgb
    off=$(paste want.rgb got.rgb | awk 'NF == 2 { d = $1 - $2; sum += d < 0 ? -d : d; n++ } END { if (n == 768) print sum / n }')
}

# Whether pictures look interlaced: the part of the frames that ffmpeg's
# detector takes for it.
combed() {
    ffmpeg -nostdin -v info -i "$1" -an -vf idet -f null - 2>&1 |
        awk '/Multi frame detection/ { gsub(/[A-Za-z]+:/, ""); t = $(NF-3); b = $(NF-2); p = $(NF-1); u = $NF
            n = t + b + p + u; print n ? (t + b) / n : 0 }' | tail -n 1
}
