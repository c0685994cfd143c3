# Rows about where decoding begins, and what a decoder must be told there: each
# is cut again in chunks of a second.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

whole='"video":{"frames":100,"every":0.04},"numbers":"0-99","quiet":true'

# Reference frames that aren't shown, each in a packet of its own.
row "VP9, hidden frames in packets of their own" "{$whole}" hidden.mkv \
    eval 'silent a.webm -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 2M -g 25 -auto-alt-ref 1 -lag-in-frames 16 &&
        copy a.webm hidden.mkv -bsf:v vp9_superframe_split'
row "VP9, hidden frames in samples of their own, in MP4" '{"video":{"frames":100},"numbers":"0-99","quiet":true}' hidden.mp4 \
    eval 'silent a.webm -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 2M -g 25 -auto-alt-ref 1 -lag-in-frames 16 &&
        copy a.webm hidden.mp4 -bsf:v vp9_superframe_split -movflags frag_keyframe+empty_moov'
for kind in avi mkv mov; do
    row "H.263 in $kind" "{$whole}" h263.$kind silent h263.$kind -s 352x288 -c:v h263 -q:v 3 -g 20
done
for codec in msmpeg4v2 wmv2 flv; do
    row "$codec in AVI" "{$whole}" old.avi silent old.avi -c:v $codec -q:v 3 -g 20
done
row "RealVideo 2" "{$whole}" real.rm silent real.rm -s 352x288 -c:v rv20 -q:v 3 -g 20
row "SVQ1" "{$whole}" svq.mov silent svq.mov -c:v svq1 -q:v 3 -g 20 -pix_fmt yuv410p
row "intra refresh with recovery points" "{$whole,\"chunks\":4}" refresh.ts silent refresh.ts $H264 -x264-params intra-refresh=1:bframes=0
# A stream of today that says it is of an x264 before build 151, in its first packet only. Decoders take it for one, and show
# some blocks otherwise: all chunks the same ones.
row "4:4:4 by an x264 whose build is told once" '{"video":{"frames":100,"every":0.04}}' told.mp4 \
    eval 'quiet_ffmpeg -f lavfi -i testsrc2=s=320x240:r=25:d=4,crop=64:32:77:56 -c:v libx264 -bf 0 -crf 40 -g 25 \
        -x264-params slice-max-mbs=2:partitions=i8x8 -pix_fmt yuv444p today.mp4 &&
        LC_ALL=C sed "s/x264 - core [0-9]*/x264 - core 150/" today.mp4 >told.mp4'

# Two streams of other parameters as one, whose second sets stand before its first picture only.
sets_once() { # FILE OPTION...: of the second encode
    local file=$1 head
    shift
    quiet_ffmpeg -i "$scratch/base.nut" -threads 1 -vf trim=end_frame=50 $H264 -bf 0 -f h264 a.264 &&
        quiet_ffmpeg -i "$scratch/base.nut" -threads 1 -vf trim=start_frame=50,setpts=PTS-STARTPTS $H264 "$@" -f h264 b.264 &&
        copy b.264 bare.264 -bsf:v filter_units=remove_types=7-8 -f h264 || return
    head=$(LC_ALL=C grep -abo -P '\x00\x00\x01\x06' b.264 | head -n 1 | cut -d: -f1)
    { cat a.264 && head -c "$head" b.264 && cat bare.264; } >both.264
    quiet_ffmpeg -i both.264 -c copy -bsf:v setts=ts=N*48000 "$file"
}
row "parameter sets that change once, in Matroska" '{"video":{"frames":100},"numbers":"0-99"}' sets.mkv eval 'sets_once sets.mp4 -g 12 -bf 0 -x264-params cabac=1:ref=4 && copy sets.mp4 sets.mkv'
row "parameter sets that change once, in MP4" '{"video":{"frames":100},"numbers":"0-99"}' sets.mp4 sets_once sets.mp4 -g 12 -bf 0 -x264-params cabac=1:ref=4
