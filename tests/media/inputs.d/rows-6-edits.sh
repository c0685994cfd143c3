# Rows about edit lists that are more than an offset, of many codecs and containers: the
# many lists of one are in ../edits.sh.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# edited FILE VIDEO AUDIO CLIP-OPTION...: lists as ../edits.c takes them. Picture number n is at
# 512 n of 12800 in a second, a frame or two later where there are B pictures.
edited() {
    local file=$1 video=$2 audio=$3
    shift 3
    clip "whole.${file##*.}" "$@" -video_track_timescale 12800 &&
        "$build/tests/media/edits" set "whole.${file##*.}" "$file" "$video" "$audio"
}

row "adjacent edits" '{"video":{"frames":75,"every":0.04},"sound":{"end":3},"numbers":"13-87"}' adjacent.mp4 \
    edited adjacent.mp4 "1000,7680,1;1000,20480,1;1000,33280,1" "1000,24000,1;1000,72000,1;1000,120000,1" $H264 $AAC
row "edits of HEVC and PCM, back and again" '{"video":{"frames":75,"every":0.04},"sound":{"end":3},"numbers":"50-74 25-49 25-49"}' hevc.mov \
    edited hevc.mov "1000,26624,1;1000,13824,1;1000,13824,1" "1000,96000,1;1000,48000,1;1000,48000,1" $HEVC -tag:v hvc1 -c:a pcm_s16le
long "edits of AV1 and Opus" '{"video":{"frames":50,"every":0.04},"sound":{"end":2},"picture_limit":255,"numbers":"60-84 30-54"}' av1.mp4 \
    edited av1.mp4 "1000,30720,1;1000,15360,1" "1000,115512,1;1000,57912,1" -c:v libaom-av1 -cpu-used 8 -usage realtime -crf 20 -g 25 -c:a libopus
long "edits of DNxHR and PCM" '{"video":{"frames":50,"every":0.04},"sound":{"end":2},"numbers":"50-74 25-49"}' intra.mov \
    edited intra.mov "1000,25600,1;1000,12800,1" "1000,96000,1;1000,48000,1" -c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p -c:a pcm_s24le
row "a dwell" '{"video":{"frames":51,"times":[0,0.04,0.08,0.12,0.16,0.2,0.24,0.28,0.32,0.36,0.4,0.44,0.48,0.52,0.56,0.6,0.64,0.68,0.72,0.76,0.8,0.84,0.88,0.92,0.96,1,2,2.04,2.08,2.12,2.16,2.2,2.24,2.28,2.32,2.36,2.4,2.44,2.48,2.52,2.56,2.6,2.64,2.68,2.72,2.76,2.8,2.84,2.88,2.92,2.96]},"sound":{"end":3},"numbers":"25-49 75-75 50-74","warning":"holds a picture for 1.000 s"}' dwell.mp4 \
    edited dwell.mp4 "1000,13824,1;1000,39424,0;1000,26624,1" "1000,48000,1;1000,144000,0;1000,96000,1" $H264 $AAC
row "an empty edit between two" '{"video":{"frames":50,"times":[0,0.04,0.08,0.12,0.16,0.2,0.24,0.28,0.32,0.36,0.4,0.44,0.48,0.52,0.56,0.6,0.64,0.68,0.72,0.76,0.8,0.84,0.88,0.92,0.96,1.5,1.54,1.58,1.62,1.66,1.7,1.74,1.78,1.82,1.86,1.9,1.94,1.98,2.02,2.06,2.1,2.14,2.18,2.22,2.26,2.3,2.34,2.38,2.42,2.46]},"sound":{"end":2.5},"numbers":"25-74","warning":"0.500 s without picture"}' gap.mp4 \
    edited gap.mp4 "1000,13824,1;500,-1,1;1000,26624,1" "1000,48000,1;500,-1,1;1000,96000,1" $H264 $AAC
row "an edit that plays backwards" '{"outcome":"refused","sentence":"plays backwards"}' back.mp4 \
    edited back.mp4 "1000,13824,-1" "1000,48000,1" $H264 $AAC
