#!/bin/bash
# HDR stays what it was in HDR renditions, with what the source says of its
# display, and becomes plain SDR in the others.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL

cat >hdr.yaml <<'Y'
name: hdr
gop_seconds: 1
segment_seconds: 1
video:
  - { name: hevc, codec: hevc, size: 180, maxrate: 4M, preset: ultrafast, crf: 12, range: source }
  - { name: svt, codec: av1, encoder: libsvtav1, preset: 12, size: 180, maxrate: 4M, range: source }
  - { name: aom, codec: av1, encoder: libaom-av1, size: 90, maxrate: 2M, range: hdr }
  - { name: sdr, codec: h264, size: 180, maxrate: 4M, preset: ultrafast, crf: 12 }
  - { name: sdr10, codec: hevc, size: 90, maxrate: 4M, preset: ultrafast, crf: 12, bit_depth: 10 }
Y

# Six bands of grey: 0, 1, 10, 100, 203 and 1000 cd/m2 in PQ (BT.2100, table 4), ten bits.
bands="'if(lt(X,W/6),64,if(lt(X,W/3),195,if(lt(X,W/2),328,if(lt(X,W*2/3),509,if(lt(X,W*5/6),573,723)))))'"
display='G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)'
clip() { # NAME TRANSFER X265-PARAMS
    ffmpeg -nostdin -v error -f lavfi -i color=black:size=320x180:rate=25 -t 3 \
        -vf "format=yuv420p10le,geq=lum=$bands:cb=512:cr=512" -c:v libx265 -preset ultrafast \
        -color_primaries bt2020 -color_trc "$2" -colorspace bt2020nc \
        -x265-params "log-level=error:keyint=25:crf=8:$3" -tag:v hvc1 "$1"
}
clip pq.mp4 smpte2084 "hdr10=1:master-display=$display:max-cll=1000,400"
clip bare.mp4 smpte2084 ""
clip hlg.mp4 arib-std-b67 ""

package() { # CLIP DIR CHUNKS
    "$gopmill" run "$1" --ladder hdr.yaml --output "$2" --chunks "$3" || return
    "$GOPMILL_VERIFY" "$2" --source "$1"
}
joined() { # DIR RENDITION
    cat "$1/video/$2/init.mp4" "$1/video/$2"/seg-*.m4s >joined.mp4
}
is_probed() { # JQ-CONDITION CLIP
    "$gopmill" probe "$2" --json | tee probe.json | jq -e ".video | $1" || {
        cat probe.json
        return 1
    }
}
is_tagged() { # DIR RENDITION SPACE TRANSFER PRIMARIES RANGE: in the bits, the container, the playlist
    joined "$1" "$2"
    local want="color_primaries=$5 color_range=tv color_space=$3 color_transfer=$4" of got
    for of in stream frame; do
        got=$(ffprobe -v error -select_streams v -read_intervals '%+#1' -of default=noprint_wrappers=1 \
            -show_entries $of=color_range,color_space,color_transfer,color_primaries joined.mp4 | sort -u)
        echo "$of: $got"
        [ "${got//$'\n'/ }" = "$want" ] || return
    done
    grep -q colr "$1/video/$2/init.mp4" &&
        grep -B 1 "^video/$2/index" "$1/master.m3u8" | grep -q "VIDEO-RANGE=$6,"
}
# What a decoder says of the first picture.
side_data() {
    joined "$1" "$2"
    ffprobe -v error -select_streams v -read_intervals '%+#1' -show_frames joined.mp4 |
        grep -E '^(red|green|blue|white|max|min)_'
}
same_display() { # DIR RENDITION
    side_data "$1" "$2" >got
    cat got
    awk -F= '{ split($2, q, "/"); v[$1] = q[2] ? q[1] / q[2] : q[1] }
        function off(k, x) { return v[k] - x > 0.0005 * x || x - v[k] > 0.0005 * x }
        END { exit off("red_x", 0.68) || off("red_y", 0.32) || off("green_x", 0.265) ||
            off("green_y", 0.69) || off("blue_x", 0.15) || off("blue_y", 0.06) ||
            off("white_point_x", 0.3127) || off("white_point_y", 0.329) ||
            off("max_luminance", 1000) || v["min_luminance"] > 0.0055 ||
            v["min_luminance"] < 0.0045 || v["max_content"] != 1000 || v["max_average"] != 400 }' got
}
boxes_are_there() { # DIR RENDITION
    grep -q mdcv "$1/video/$2/init.mp4" && grep -q clli "$1/video/$2/init.mp4"
}
boxes_are_not() {
    ! grep -q mdcv "$1/video/$2/init.mp4" && ! grep -q clli "$1/video/$2/init.mp4"
}
# The middle of each band: Y, and how far from grey.
grey() { # DIR RENDITION
    joined "$1" "$2"
    ffmpeg -nostdin -v error -i joined.mp4 -frames:v 1 -vf "scale=6:1:flags=area,format=yuv444p" \
        -f rawvideo - | od -An -v -tu1 -w6
}
becomes_sdr() { # DIR RENDITION
    grey "$1" "$2" >bands
    cat bands
    awk 'NR == 1 { for (i = 1; i < 6; i++) if ($(i + 1) <= $i) bad = 1
            if ($1 > 18 || $4 < 90 || $4 > 180 || $5 <= 110 || $6 < 200 || $6 > 237) bad = 1 }
        NR > 1 { for (i = 1; i <= 6; i++) if ($i < 126 || $i > 130) bad = 1 }
        END { exit bad }' bands
}
frames_of() { # DIR RENDITION
    joined "$1" "$2"
    ffmpeg -nostdin -v error -i joined.mp4 -f framemd5 - | grep -v '^#'
}
same_in_chunks() {
    cmp <(frames_of "$1" "$3" | awk '{ print $1, $6 }' | wc -l) \
        <(frames_of "$2" "$3" | awk '{ print $1, $6 }' | wc -l) || return
    cmp <(grey "$1" "$3") <(grey "$2" "$3")
}

fact "what the bits say of the display is probed" \
    is_probed '.hdr.points == [[34000,16000],[13250,34500],[7500,3000],[15635,16450]] and
        .hdr.max_luminance == 10000000 and .hdr.min_luminance == 50 and .hdr.max_cll == 1000 and
        .hdr.max_fall == 400' pq.mp4
fact "a source that says nothing has nothing" is_probed '.hdr == null and .color.transfer == 16' bare.mp4
fact "PQ becomes a package" package pq.mp4 pq 1
for rendition in hevc svt aom; do
    fact "$rendition is tagged as PQ" is_tagged pq $rendition bt2020nc smpte2084 bt2020 PQ
    fact "$rendition has boxes for its display" boxes_are_there pq $rendition
done
for rendition in hevc svt; do
    fact "$rendition: a decoder finds the display that the source was graded on" same_display pq $rendition
done
for rendition in sdr sdr10; do
    fact "$rendition is tagged as SDR" is_tagged pq $rendition bt709 bt709 bt709 SDR
    fact "$rendition says nothing of an HDR display" boxes_are_not pq $rendition
    fact "$rendition: greys stay grey, in their order, and fill the range" becomes_sdr pq $rendition
done
fact "PQ becomes a package of three chunks" package pq.mp4 pq3 3
for rendition in hevc sdr; do
    fact "$rendition looks the same in three chunks" same_in_chunks pq pq3 $rendition
done

# What only the container says, as libaom's bits say nothing.
joined pq aom
ffmpeg -nostdin -v error -i joined.mp4 -c copy boxed.mp4
fact "what the container says of the display is probed" \
    is_probed '.hdr.max_luminance == 10000000 and .hdr.max_cll == 1000' boxed.mp4

fact "PQ without a word on its display becomes a package" package bare.mp4 bare 1
fact "PQ without a word: HDR renditions say nothing either" boxes_are_not bare hevc
fact "PQ without a word is tone-mapped as well" becomes_sdr bare sdr
fact "HLG becomes a package" package hlg.mp4 hlg 2
fact "hevc is tagged as HLG" is_tagged hlg hevc bt2020nc arib-std-b67 bt2020 HLG
fact "sdr of HLG is tagged as SDR" is_tagged hlg sdr bt709 bt709 bt709 SDR
finish
