#!/bin/bash
# Real footage, hard and broken: each clip of $GOPMILL_TEST_CLIPS that is
# named here becomes a package that is right by every rule, checked against
# its source, or is refused with the right status. Skipped where the folder
# isn't there.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
gopmill=$GOPMILL clips=$GOPMILL_TEST_CLIPS

cat >"$scratch/small.yaml" <<'Y'
name: small
video:
  - { name: 360p, codec: h264, size: 360, maxrate: 900k, preset: ultrafast, crf: 26, max_fps: 30 }
  - { name: 180p, codec: h264, size: 180, maxrate: 400k, preset: ultrafast, crf: 26, max_fps: 15 }
audio:
  - { name: aac, codec: aac, bitrate: 96k }
Y

becomes_a_package() {
    rm -rf "$scratch/out"
    "$gopmill" run "$clips/$1" --ladder "$scratch/small.yaml" --output "$scratch/out" \
        --chunk-seconds 2 || return
    "$GOPMILL_VERIFY" "$scratch/out" --source "$clips/$1"
}

is_refused() { # with status 3, one sentence, and nothing left behind
    local status=0
    rm -rf "$scratch/out"
    "$gopmill" run "$clips/$1" --ladder "$scratch/small.yaml" --output "$scratch/out" 2>"$scratch/err" ||
        status=$?
    cat "$scratch/err"
    [ $status -eq 3 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] && [ ! -e "$scratch/out" ]
}

good="ax_bbb_642_vp9.webm ax_bbb_firstpts10.mp4 ax_editlist_hlg_rot90.mp4 ax_fragmented.mp4
    ax_hdr10_av1.mp4 ax_hdr10_pq_vfr.mp4 ax_iibbibb_editlist.mp4 ax_opus51.mka ax_portrait_4k60.mp4
    c_truncated_mdat.mp4 c_zero_hole.mp4 d_av1_opus_srt.mkv d_croatia_1080p23976_noaudio.mp4
    d_dnxhr_lb_flower.mov d_mpeg2_480i2997_sar32_27.ts d_opengop_h264_croatia_720p.mp4
    d_opengop_hevc10_tos_720p.mp4 d_prores422_flower.mov d_sintel_10s_negcts.mp4
    d_sintel_2audio_sub_editlist.mp4 d_vp9_opus_odd_479x269.webm intel_car_12p5fps.mp4
    jaffree_rotated_tiny.mp4 mb_cursed_vfr.mp4 mb_multi_aac.mp4 mb_rotate_bbb.mp4 mdn_flower.webm
    mdn_flower_frag.mp4 mdn_friday.mp4 mp4parse_tiny_av1.mp4 nasa_13013.mp4 sony_a7m3_1080i50.mts"
bad="c_text.mp4 c_truncated_no_moov.mp4 c_zero_bytes.mp4 sio_broken.mp4 sio_empty.flv"

for clip in $good; do
    if [ -f "$clips/$clip" ]; then
        fact "$clip becomes a package that is right" becomes_a_package "$clip"
    else
        skip "$clip becomes a package that is right" "no such clip here"
    fi
done
for clip in $bad; do
    if [ -f "$clips/$clip" ]; then
        fact "$clip is refused in words" is_refused "$clip"
    else
        skip "$clip is refused in words" "no such clip here"
    fi
done
finish
