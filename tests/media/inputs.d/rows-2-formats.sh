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

# ---- pictures that move, and codecs of editors and screen recorders ----
row "a GIF" '{"video":{"frames":100,"every":0.1},"chunks":4,"numbers":"0-99"}' a.gif with before="-r 10" silent a.gif
long "an APNG" "${all%\}},\"chunks\":4,\"numbers\":\"0-99\"}" a.png silent a.png -f apng
for codec in "magicyuv avi" "hap mov" "vc2 mkv" "zmbv avi" "flashsv flv" "qtrle mov" "cfhd mov" "utvideo avi" "huffyuv avi" "v210 mov"; do
    long "${codec% *} in ${codec#* }" "$all" a.${codec#* } silent a.${codec#* } -c:v ${codec% *} -strict -1
done

# ---- what isn't a video, or can't be one here ----
row "a JPEG" '{"outcome":"refused","sentence":"a JPEG picture, not a video"}' a.jpg quiet_ffmpeg -f lavfi -i testsrc2 -frames:v 1 a.jpg
row "a PDF" '{"outcome":"refused","sentence":"a PDF document, not a video"}' a.mp4 eval 'printf "%%PDF-1.7\n%s" "$(head -c 9000 /dev/urandom | base64)" >a.mp4'
encrypted() { # FILE: as shops sell them
    clip "$1" $H264 $AAC -encryption_scheme cenc-aes-ctr -encryption_kid 00112233445566778899aabbccddeeff \
        -encryption_key ffeeddccbbaa99887766554433221100
}
row "encrypted" '{"outcome":"refused","sentence":"encrypted .DRM."}' a.mp4 encrypted a.mp4
row "a picture of an unknown kind beside sound" '{"outcome":"refused","sentence":"unknown kind, \"zzz1\""}' a.mp4 \
    eval 'clip a.mp4 $H264 $AAC && poke a.mp4 $(offset_of a.mp4 avc1 2) zzz1'
# Its box of bit rates becomes one that tells of profile 5, level 6, without a compatible base.
row "Dolby Vision in colours of its own" '{"outcome":"refused","sentence":"Dolby Vision profile 5"}' a.mp4 \
    eval 'silent a.mp4 $HEVC -tag:v hvc1 -x265-params log-level=error && poke a.mp4 $(offset_of a.mp4 btrt) "dvcC\x01\x00\x0a\x35\x00\x00"'
long "a picture of more than 8192x8192 pixels" '{"outcome":"refused","sentence":"16384x9216 pixels"}' a.mkv \
    quiet_ffmpeg -f lavfi -i color=red:size=16384x9216:rate=1 -frames:v 1 -c:v png a.mkv
