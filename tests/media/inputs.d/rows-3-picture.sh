# Rows about the picture: turned, stretched, made of fields, deep, coloured.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

all='{"video":{"frames":100,"every":0.04}}'
upright='{"video":{"frames":100,"every":0.04,"width":180,"height":320}}'
for degrees in 90 270; do
    row "turned by $degrees, by matrix" "$upright" turned.mp4 eval "clip turned.mp4 \$H264 \$AAC && turned turned.mp4 $degrees"
done
row "turned by 180, by matrix" "$all" turned.mp4 eval 'clip turned.mp4 $H264 $AAC && turned turned.mp4 180'
# What programs without a matrix make of a phone's clip: a tag in Matroska.
# This ffmpeg writes no tag of that name, so another one's is changed.
tagged() {
    clip "$1" $H264 $AAC -metadata:s:v ROTATX="$2" && poke "$1" "$(offset_of "$1" ROTATX)" ROTATE
}
row "turned by 90, by tag" "${upright%\}},\"turn\":\"transpose=clock,\"}" turned.mkv tagged turned.mkv 90
long "turned by 270, by tag" "${upright%\}},\"turn\":\"transpose=cclock,\"}" turned.mkv tagged turned.mkv 270
long "turned by 180, by tag" "${all%\}},\"turn\":\"hflip,vflip,\"}" turned.mkv tagged turned.mkv 180
# The first number of the track's matrix (32 bits, -1.0): left and right change places.
mirrored() {
    silent "$1" $H264
    poke "$1" $(($(offset_of "$1" tkhd) + 44)) '\xff\xff\x00\x00'
}
row "mirrored, by matrix" "$all" mirrored.mp4 mirrored mirrored.mp4

# ---- sizes ----
resized() { # FILE SIZE OPTION...
    local file=$1 size=$2
    shift 2
    silent "$file" -vf scale=$size "$@"
}
row "319x179, 4:4:4" "$all" odd.mp4 resized odd.mp4 319:179 $H264 -pix_fmt yuv444p
row "319x179, VP9" "$all" odd.webm resized odd.webm 319:179 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M
row "64x64" "$all" small.mp4 resized small.mp4 64:64 $H264
long "16x16" "$all" small.mp4 resized small.mp4 16:16 $H264
long "a tall and narrow one" "$all" tall.mp4 resized tall.mp4 90:720 $H264
row "SAR 32:27" "$all" sar.mp4 resized sar.mp4 240:180,setsar=32/27 $H264
row "SAR 8:9, turned" "$all" sar.mp4 eval 'resized sar.mp4 320:180,setsar=8/9 $H264 && turned sar.mp4 90'
row "SAR 4:3 in MPEG-2" "$all" sar.ts resized sar.ts 240:180,setsar=4/3 -c:v mpeg2video -q:v 3
long "SAR in Matroska only" "$all" sar.mkv eval 'resized a.mp4 240:180 $H264 && copy a.mp4 sar.mkv -aspect 16:9'
row "8K" '{"video":{"frames":3}}' 8k.mp4 resized 8k.mp4 7680:4320 $H264 -preset ultrafast -frames:v 3
long "8K HEVC, turned" '{"video":{"frames":2,"width":180,"height":320}}' 8k.mp4 eval 'resized 8k.mp4 7680:4320 $HEVC -frames:v 2 -x265-params log-level=error && turned 8k.mp4 90'

# ---- fields: 50 pictures a second, woven into 25 frames ----
woven() { # FILE tff|bff SIZE OPTION...
    local file=$1 order=$2 size=$3
    shift 3
    quiet_ffmpeg -f lavfi -i testsrc2=size=$size:rate=50 -i "$scratch/sound.wav" -t 2 -vf "interlace=scan=$order:lowpass=off" \
        -threads 1 -map 0:v -map 1:a "$@" "$file"
}
fields='{"video":{"frames":50,"every":0.04}}'
for order in tff bff; do
    row "interlaced, $order, MPEG-2 in MPEG-TS" "$fields" i.ts \
        woven i.ts $order 720x576 -c:v mpeg2video -q:v 3 -g 12 -bf 2 -flags +ildct+ilme -alternate_scan 1 -top $([ $order = bff ]; echo $?) -c:a mp2
    row "interlaced, $order, AVCHD" "${fields%\}},\"chunks\":2}" i.m2ts \
        woven i.m2ts $order 720x576 $H264 -x264-params $order=1 -c:a ac3 -mpegts_m2ts_mode 1
    row "interlaced, $order, H.264 in MP4" "$fields" i.mp4 woven i.mp4 $order 720x576 $H264 -x264-params $order=1 $AAC
done
row "interlaced, ProRes" "$fields" i.mov woven i.mov tff 720x576 -c:v prores_ks -flags +ildct -top 1 -c:a pcm_s16le
row "DV" '{"video":{"frames":50}}' dv.avi woven dv.avi bff 720x576 -target pal-dv -f avi

# ---- depth and colour ----
colourful() { # FILE SIZE OPTION...
    local file=$1 size=$2
    shift 2
    quiet_ffmpeg -f lavfi -i testsrc2=size=$size:rate=25 -t 1 -threads 1 "$@" "$file"
}
second='{"video":{"frames":25,"every":0.04},"picture_limit":5}'
row "untagged, 360 lines" "$second" c.mp4 colourful c.mp4 640x360 -vf scale=out_color_matrix=bt601,format=yuv420p $H264
row "untagged, 720 lines" "$second" c.mp4 colourful c.mp4 1280x720 -vf scale=out_color_matrix=bt709,format=yuv420p $H264
tags() { echo "-colorspace $1 -color_primaries $2 -color_trc $3"; }
row "BT.709, 360 lines" "$second" c.mp4 colourful c.mp4 640x360 -vf scale=out_color_matrix=bt709,format=yuv420p $H264 $(tags bt709 bt709 bt709)
row "BT.601 of 525 lines, 720 lines" "$second" c.mp4 colourful c.mp4 1280x720 -vf scale=out_color_matrix=bt601,format=yuv420p $H264 $(tags smpte170m smpte170m smpte170m)
row "BT.601 of 625 lines" "$second" c.ts colourful c.ts 720x576 -vf scale=out_color_matrix=bt601,format=yuv420p -c:v mpeg2video -q:v 3 $(tags bt470bg bt470bg gamma28)
row "BT.2020, SDR, 10 bit" "$second" c.mp4 colourful c.mp4 640x360 -vf scale=out_color_matrix=bt2020,format=yuv420p10le -c:v libx264 -preset ultrafast $(tags bt2020nc bt2020 bt2020-10)
row "full range" "$second" c.mp4 colourful c.mp4 640x360 -vf scale=out_color_matrix=bt709:out_range=full,format=yuvj420p -c:v libx264 -preset ultrafast -crf 12 $(tags bt709 bt709 bt709)
long "full range, MJPEG" "$second" c.mov colourful c.mov 640x360 -vf scale=out_color_matrix=bt601:out_range=full,format=yuvj422p -c:v mjpeg -q:v 2
row "full range, VP9" "$second" c.webm colourful c.webm 640x360 -vf scale=out_color_matrix=bt709:out_range=full,format=yuv420p -color_range pc -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 4M $(tags bt709 bt709 bt709)
for format in yuv422p yuv422p10le yuv444p yuv444p10le gray; do
    row "$format" "$second" c.mkv colourful c.mkv 640x360 -vf scale=out_color_matrix=bt709,format=$format -c:v libx264 -preset ultrafast -crf 12 $(tags bt709 bt709 bt709)
done
row "RGB, H.264" "$second" c.mkv colourful c.mkv 640x360 -c:v libx264rgb -preset ultrafast -crf 12
long "RGB, PNG in MOV" "$second" c.mov colourful c.mov 640x360 -c:v png -pix_fmt rgb24
long "YCgCo" "$second" c.mkv colourful c.mkv 640x360 -vf format=gbrp -c:v ffv1
pq() { # FILE TRANSFER
    colourful "$1" 640x360 -vf format=yuv420p10le -c:v libx265 -preset ultrafast -crf 18 -x265-params "log-level=error:colorprim=bt2020:transfer=$2:colormatrix=bt2020nc" \
        $(tags bt2020nc bt2020 $2)
}
row "10 bit PQ" '{"video":{"frames":25,"every":0.04},"picture_limit":255}' pq.mp4 pq pq.mp4 smpte2084
row "10 bit HLG" '{"video":{"frames":25,"every":0.04},"picture_limit":255}' hlg.mp4 pq hlg.mp4 arib-std-b67
named() { # FILE TRANSFER PRIMARIES MATRIX: what the bitstream says, nothing else does
    silent b.mp4 $HEVC -frames:v 25 -pix_fmt yuv420p10le -tag:v hvc1 -x265-params log-level=error:transfer=$2 &&
        quiet_ffmpeg -i b.mp4 -c copy -bsf:v hevc_metadata=colour_primaries=$3:matrix_coefficients=$4 "$1"
}
hdr='{"video":{"frames":25,"every":0.04},"picture_limit":255}'
row "PQ that names nothing but its transfer" "$hdr" pq.mp4 named pq.mp4 smpte2084 2 2
row "HLG that names constant luminance" "$hdr" hlg.mp4 named hlg.mp4 arib-std-b67 9 10
long "PQ that names no primaries" "$hdr" pq.mp4 named pq.mp4 smpte2084 2 9
long "PQ that names BT.709" "$hdr" pq.mp4 named pq.mp4 smpte2084 1 1
long "PQ that names ICtCp" "$hdr" pq.mp4 named pq.mp4 smpte2084 9 14
