# Rows about time: rates, edit lists, starts, timestamps that jump.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

for rate in 10 12.5 24000/1001 30000/1001 50 60000/1001 120; do
    row "$rate frames a second" '{"video":{"held":true,"frames":100}}' rate.mp4 at_rate $rate rate.mp4 $H264 -video_track_timescale 240000 $AAC
done
row "23.976 in whole milliseconds" '{"video":{"frames":100}}' rate.mkv at_rate 24000/1001 rate.mkv $H264 $AAC
long "59.94 in MPEG-TS" '{"video":{"frames":100}}' rate.ts at_rate 60000/1001 rate.ts $H264 $AAC

uneven="settb=1/90000,setpts='N*1250+mod(N*N\,5)*200+floor(N/25)*143000'"
uneven_options="-enc_time_base 1/90000 $H264"
row "variable rate, 5 ms to 1.6 s" '{"video":{"frames":100}}' vfr.mp4 \
    silent vfr.mp4 -vf "$uneven" -video_track_timescale 90000 $uneven_options
long "variable rate in Matroska" '{"video":{"frames":100}}' vfr.mkv silent vfr.mkv -vf "$uneven" $uneven_options
long "an odd time scale" '{"video":{"frames":100,"every":0.04}}' odd.mp4 clip odd.mp4 -video_track_timescale 19997 $H264 $AAC
row "frames that stand still for 20 s" '{"video":{"frames":100}}' still.mkv \
    silent still.mkv -vf "settb=1/1000,setpts='N*40+floor(N/50)*20000'" -enc_time_base 1/1000 $H264

# ---- edit lists and starts ----
trimmed() {
    clip whole.mp4 $H264 $AAC && quiet_ffmpeg -ss 1.3 -i whole.mp4 -map 0 -c copy "$1"
}
row "an edit list that trims the start" '{"video":{"frames":68,"times":[0,'$(LC_ALL=C seq -s, 0.02 0.04 2.67)']},"numbers":"32-99"}' trimmed.mp4 trimmed trimmed.mp4
row "the same in fragments" '{"numbers":"25-99"}' trimmed.mp4 eval 'trimmed t.mp4 && copy t.mp4 trimmed.mp4 -movflags frag_keyframe+empty_moov'
row "a start at 10 s" '{"video":{"frames":100,"every":0.04,"first":0}}' ten.mp4 clip ten.mp4 $H264 $AAC -output_ts_offset 10
long "a start at 10 s in Matroska" '{"video":{"frames":100,"every":0.04,"first":0}}' ten.mkv clip ten.mkv $H264 $AAC -output_ts_offset 10
for kind in mp4 mkv ts; do
    row "$kind: sound before the picture" '{"video":{"frames":100,"every":0.04}}' \
        early.$kind with before="-itsoffset 0.7" clip early.$kind $H264 $AAC
    row "$kind: sound after the picture" '{"video":{"frames":100,"every":0.04,"first":0}}' \
        late.$kind with sound_before="-itsoffset 0.7" clip late.$kind $H264 $AAC
done
row "sound that ends early" '{"video":{"frames":100,"every":0.04}}' short.mp4 with sound_before="-t 2" clip short.mp4 $H264 $AAC
row "a picture that ends early" '{"video":{"held":true,"frames":50,"every":0.04},"warning":"the last one stays"}' short.mp4 with before="-t 2" clip short.mp4 $H264 $AAC
row "negative composition offsets" '{"video":{"frames":100,"every":0.04,"first":0}}' \
    negative.mp4 clip negative.mp4 $H264 $AAC -movflags negative_cts_offsets
row "the index at the start" '{"video":{"frames":100,"every":0.04}}' first.mp4 clip first.mp4 $H264 $AAC -movflags faststart
row "fragments" '{"video":{"frames":100,"every":0.04},"quiet":true}' fragments.mp4 clip fragments.mp4 $H264 $AAC -movflags frag_keyframe+empty_moov
row "something behind the last box" '{"video":{"frames":100,"every":0.04},"quiet":true}' behind.mp4 eval 'clip behind.mp4 $H264 $AAC && printf "\x12\x34\x56\x78\x9a\xbc\xde\xf0 and more of that" >>behind.mp4'
long "fragments after a whole start" '{"video":{"frames":100,"every":0.04}}' fragments.mp4 clip fragments.mp4 $H264 $AAC -movflags frag_keyframe

# ---- headers that lie ----
# The 32 bits of duration after `tag`, at `offset` behind its name: 11 days.
long_header() {
    local tag
    clip "$1" $H264 $AAC
    for tag in mvhd:20 tkhd:24 mdhd:20; do
        poke "$1" $(($(offset_of "$1" ${tag%:*}) + ${tag#*:})) '\x3b\x9a\xca\x00'
    done
}
row "a header that says 11 days" '{"video":{"frames":100,"every":0.04}}' lies.mp4 long_header lies.mp4
# EBML: 44 89, its size 88, a double: 10^6 ms.
long_matroska() {
    clip "$1" $H264 $AAC
    poke "$1" $(($(LC_ALL=C grep -abo -P '\x44\x89\x88' "$1" | head -n 1 | cut -d: -f1) + 3)) '\x41\x2e\x84\x80\x00\x00\x00\x00'
}
long "a Matroska header that says 17 minutes" '{"video":{"frames":100,"every":0.04}}' lies.mkv long_matroska lies.mkv

# ---- MPEG's clock ----
TS="-muxdelay 0 -muxpreload 0"
row "MPEG-TS whose 33 bits wrap" '{"video":{"frames":100,"every":0.04}}' \
    wrap.ts clip wrap.ts $H264 $AAC $TS -output_ts_offset 95441.7
row "MPEG-PS whose 33 bits wrap" '{"video":{"frames":100,"every":0.04}}' \
    wrap.vob clip wrap.vob -c:v mpeg2video -q:v 3 -g 12 -bf 2 -c:a mp2 $TS -output_ts_offset 95441.7 -f vob

# part FILE FROM TO OPTION...: frames FROM to TO, as a file whose time begins at 1 s.
part() {
    local file=$1 from=$2 to=$3
    shift 3
    quiet_ffmpeg -i "$scratch/base.nut" -i "$scratch/sound.wav" -threads 1 -map 0:v -map 1:a \
        -vf "trim=start_frame=$from:end_frame=$to,setpts=PTS-STARTPTS" \
        -af "atrim=$(echo "$from / 25" | bc -l):$(echo "$to / 25" | bc -l),asetpts=PTS-STARTPTS" \
        $H264 $AAC $TS "$@" "$file"
}
joined() { # FILE OPTION...: of the second part
    local file=$1
    shift
    part a.ts 0 60 -output_ts_offset 1 && part b.ts 60 100 "$@" && cat a.ts b.ts >"$file"
}
both='"video":{"frames":100,"every":0.04},"numbers":"0-99","outcome":"whole"'
row "two recordings end to end, time starts over" \
    "{$both,\"sound\":{\"end\":4.0},\"warning\":\"start over|jump\"}" joined.ts joined joined.ts -output_ts_offset 1
row "the same in five chunks" \
    "{$both,\"sound\":{\"end\":4.0},\"chunks\":5}" joined.ts joined joined.ts -output_ts_offset 1
long "two recordings end to end, time jumps an hour ahead" \
    "{$both,\"sound\":{\"end\":4.0},\"warning\":\"jump\"}" joined.ts joined joined.ts -output_ts_offset 3600
long "two recordings end to end, time goes on" \
    "{$both,\"sound\":{\"end\":4.0}}" joined.ts joined joined.ts -output_ts_offset 3.4
row "three recordings end to end, the last with another size" \
    "{\"video\":{\"frames\":140,\"every\":0.04,\"first\":0.021},\"numbers\":\"0-99 0-39\",\"outcome\":\"whole\",\"sound\":{\"start\":0,\"end\":5.6},\"chunks\":3}" three.ts \
    eval 'joined two.ts -output_ts_offset 1 && part c.ts 0 40 -s 640x360 && cat two.ts c.ts >three.ts'
# Numbers of streams that begin only when the first recording ends, after all probing.
row "two recordings end to end, with other stream numbers" '{"video":{"frames":200,"every":0.04},"numbers":"0-99 0-99","outcome":"whole","sound":{"end":8.03},"warning":"go on under other numbers"}' other.ts \
    eval 'clip a.ts $H264 $AAC && clip b.ts $H264 $AAC -streamid 0:0x200 -streamid 1:0x201 -output_ts_offset 4.08 && cat a.ts b.ts >other.ts'
