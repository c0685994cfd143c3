# Rows about codecs and containers.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

all='{"video":{"frames":100,"every":0.04}}'
row "H.264 with open GOPs" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" open.mp4 clip open.mp4 $H264 -x264-params open-gop=1 $AAC
row "H.264 with open GOPs in MPEG-TS" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" open.ts clip open.ts $H264 -x264-params open-gop=1 $AAC
row "HEVC with open GOPs, 10 bit" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" open.mp4 \
    clip open.mp4 -c:v libx265 -preset ultrafast -crf 16 -pix_fmt yuv420p10le -x265-params keyint=25:bframes=3:open-gop=1:log-level=error -tag:v hvc1 $AAC
long "HEVC with open GOPs in MPEG-TS" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" open.ts \
    clip open.ts -c:v libx265 -preset ultrafast -crf 16 -pix_fmt yuv420p -x265-params keyint=25:bframes=3:open-gop=1:log-level=error $AAC
row "H.264 with one keyframe" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" one.mkv clip one.mkv $H264 -g 9999 $AAC
long "AV1 in MP4" "${all%\}},\"chunks\":2}" a.mp4 clip a.mp4 -c:v libsvtav1 -preset 12 -crf 30 -g 25 $AAC
row "AV1 and Opus in WebM" "$all" a.webm clip a.webm -c:v libsvtav1 -preset 12 -crf 30 -c:a libopus
row "VP8 and Vorbis in WebM" "${all%\}},\"chunks\":2}" a.webm clip a.webm -c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 25 -c:a libvorbis
row "VP9 and Opus in WebM" "${all%\}},\"chunks\":2}" a.webm clip a.webm -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -g 25 -c:a libopus
long "VP9 in MP4" "$all" a.mp4 clip a.mp4 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M $AAC
row "MPEG-2 and MP2 in MPEG-TS" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" a.ts clip a.ts -c:v mpeg2video -q:v 3 -g 15 -bf 2 -c:a mp2
row "MPEG-2 and AC-3 in MPEG-PS" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" a.vob clip a.vob -c:v mpeg2video -q:v 3 -g 15 -bf 2 -c:a ac3 -f vob
long "MPEG-1 in MPEG-PS" "$all" a.mpg clip a.mpg -c:v mpeg1video -q:v 3 -g 15 -bf 2 -c:a mp2
row "ProRes and PCM in MOV" "${all%\}},\"chunks\":3,\"numbers\":\"0-99\"}" a.mov clip a.mov -c:v prores_ks -profile:v 2 -c:a pcm_s16le
long "ProRes 4444 with alpha" "$all" a.mov silent a.mov -c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le
row "DNxHR and PCM in MOV" "$all" a.mov clip a.mov -c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p -c:a pcm_s24le
long "DNxHR in MXF" "$all" a.mxf clip a.mxf -c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p -c:a pcm_s16le
row "MJPEG and PCM in AVI" "$all" a.avi clip a.avi -c:v mjpeg -q:v 3 -c:a pcm_s16le
long "MJPEG in MOV" "$all" a.mov clip a.mov -c:v mjpeg -q:v 3 -c:a pcm_s16le
row "MPEG-4 and MP3 in AVI" "{\"video\":{\"frames\":100},\"chunks\":3,\"numbers\":\"0-99\"}" a.avi clip a.avi -c:v mpeg4 -q:v 3 -g 25 -c:a libmp3lame
row "MPEG-4 with B pictures in AVI" "${all%\}},\"chunks\":3,\"numbers\":\"0-99\"}" a.avi clip a.avi -c:v mpeg4 -q:v 3 -g 25 -bf 2 -c:a libmp3lame
row "H.264 with B pictures in AVI, which have no times there" '{"outcome":"refused","sentence":"B pictures"}' a.avi silent a.avi $H264
long "H.264 without B pictures in AVI" "${all%\}},\"chunks\":3,\"numbers\":\"0-99\"}" a.avi silent a.avi $H264 -bf 0
row "H.264 and AAC in FLV" "${all%\}},\"chunks\":3,\"numbers\":\"0-99\"}" a.flv clip a.flv $H264 $AAC
long "H.264 and PCM in MOV" "$all" a.mov clip a.mov $H264 -c:a pcm_s16le
long "MPEG-4 in 3GP" "$all" a.3gp clip a.3gp -c:v mpeg4 -q:v 3 -g 25 $AAC
row "WMV2 in ASF" "$all" a.wmv clip a.wmv -c:v wmv2 -q:v 3 -g 25 -c:a wmav2
long "FFV1 and FLAC in Matroska" "$all" a.mkv clip a.mkv -c:v ffv1 -c:a flac
long "H.264 in NUT" "$all" a.nut clip a.nut $H264 $AAC
row "Theora in Ogg" "$all" a.ogv clip a.ogv -c:v libtheora -q:v 7 -g 25 -c:a libvorbis
row "a bare H.264 stream" '{"outcome":"refused"}' a.h264 silent a.h264 $H264
