# Rows about streams that come late, and that go on under other numbers.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# What no table names: found where its packets lie, behind all that opening looks at, and not at the
# end of the file, where libavformat looks, too.
MPEG2="-c:v mpeg2video -q:v 3 -g 12 -bf 2"
mid_sound() { # FILE OPTION...: a picture of 14 s, sound from 7 to 9 s
    local file=$1
    shift
    quiet_ffmpeg -i "$scratch/base.nut" -itsoffset 7 -t 2 -i "$scratch/sound.wav" -threads 1 -map 0:v -map 1:a \
        -vf tpad=stop=250:stop_mode=clone "$@" "$file"
}
mid_picture() { # FILE OPTION...: sound of 14 s, a picture from 7 to 9 s
    local file=$1
    shift
    quiet_ffmpeg -itsoffset 7 -i "$scratch/base.nut" -i "$scratch/sound.wav" -threads 1 -map 0:v -map 1:a \
        -vf trim=end_frame=50 -vsync passthrough -af apad=whole_dur=14 "$@" "$file"
}
late_picture='{"video":{"held":true,"frames":50,"first":0,"times":[0],"width":320,"height":180,"short":180,"yuv":true,"color":{}},"sound":{"channels":2,"start":0,"end":14},"warning":"before the picture","picture_off":null}'
row "sound in the middle, MPEG-PS" '{"video":{"frames":350,"every":0.04},"sound":{"channels":2,"start":7,"end":9}}' \
    a.mpg mid_sound a.mpg $MPEG2 -c:a mp2
long "sound in the middle, VOB" '{"video":{"frames":350,"every":0.04},"sound":{"channels":2,"start":7,"end":9}}' \
    a.vob mid_sound a.vob $MPEG2 -c:a ac3
long "sound in the middle, FLV" '{"video":{"frames":350,"every":0.04},"sound":{"channels":2,"start":7,"end":9}}' \
    a.flv mid_sound a.flv $H264 $AAC
row "a picture in the middle, FLV" "$late_picture" \
    a.flv mid_picture a.flv $H264 $AAC
two_late() {
    quiet_ffmpeg -i "$scratch/base.nut" -itsoffset 7 -t 2 -i "$scratch/sound.wav" -itsoffset 9 -t 3 -i "$scratch/sound.wav" \
        -threads 1 -map 0 -map 1 -map 2 -vf tpad=stop=250:stop_mode=clone $MPEG2 -c:a ac3 "$1"
}
long "two sounds in the middle, VOB" '{"video":{"frames":350,"every":0.04},"sound":{"channels":2,"start":7,"end":12}}' a.vob two_late a.vob

# moved FILE OPTION...: the second part of a recording has the options, as PIDs of its own.
moved() {
    local file=$1
    shift
    part a.ts 0 50 -output_ts_offset 1 && part b.ts 50 100 -output_ts_offset 3 "$@" && cat a.ts b.ts >"$file"
}
went_on='{"video":{"frames":100,"every":0.04},"numbers":"0-99","sound":{"end":4.0},"outcome":"whole","warning":"under other numbers"}'
row "a programme whose PIDs change" "$went_on" c.ts moved c.ts -mpegts_start_pid 0x200
row "another programme, its clock at 0" "$went_on" c.ts moved c.ts -mpegts_start_pid 0x200 -mpegts_service_id 7 -output_ts_offset 0
long "only the picture's PID changes" "$went_on" c.ts moved c.ts -streamid 0:600
long "only the sound's PID changes" "$went_on" c.ts moved c.ts -streamid 1:600
row "sound that goes on in another codec" "$went_on" c.ts moved c.ts -mpegts_start_pid 0x200 -c:a mp2
two_codecs() { # a second of another channel before
    part a.ts 0 25 -output_ts_offset 1 -c:v mpeg2video -q:v 3 && part b.ts 25 100 -output_ts_offset 2 -mpegts_start_pid 0x200 && cat a.ts b.ts >"$1"
}
long "pictures of two codecs: the fewer are left out" '{"video":{"held":true,"frames":75,"first":0,"times":[0],"width":320,"height":180,"short":180,"yuv":true,"color":{}},"sound":{"channels":2,"start":0,"end":4},"outcome":"whole","warning":"two codecs look joined","picture_off":null}' c.ts two_codecs c.ts
there_and_back() {
    part a.ts 0 25 -output_ts_offset 1 && part b.ts 25 75 -output_ts_offset 2 -mpegts_start_pid 0x200 &&
        part d.ts 75 100 -output_ts_offset 4 && cat a.ts b.ts d.ts >"$1"
}
row "PIDs that change and change back" "$went_on" c.ts there_and_back c.ts
radio_first() { # sound alone, then both, in the same service
    quiet_ffmpeg -i "$scratch/sound.wav" -af apad=whole_dur=8 $AAC $TS -output_ts_offset 1 a.ts &&
        part b.ts 0 100 -output_ts_offset 9 -streamid 0:300 -streamid 1:256 && cat a.ts b.ts >"$1"
}
row "a radio part, then television" '{"video":{"held":true,"frames":100,"first":0,"times":[0],"width":320,"height":180,"short":180,"yuv":true,"color":{}},"sound":{"channels":2,"start":0,"end":12},"warning":"before the picture"}' c.ts radio_first c.ts

# What nobody here decodes, by its name.
tables() { "${PES%/*}/tables" "$@"; }
two_sounds() { # FILE OPTION...: the second one's
    local file=$1
    shift
    quiet_ffmpeg -i "$scratch/base.nut" -i "$scratch/sound.wav" -threads 1 -map 0:v -map 1:a -map 1:a $H264 $AAC "$@" "$file"
}
row "AC-4 beside AAC" '{"video":{"frames":100,"every":0.04},"sound":{"end":4.0},"warning":"audio stream 2 is Dolby AC-4"}' a.mp4 \
    eval 'two_sounds a.mp4 -c:a:1 ac3 && poke a.mp4 $(offset_of a.mp4 ac-3) ac-4'
row "MPEG-H alone beside a picture, in MPEG-TS" '{"outcome":"refused","sentence":"MPEG-H 3D Audio, which is not decoded"}' b.ts \
    eval 'clip a.ts $H264 $AAC && tables type 0x0f 0x2d <a.ts >b.ts'
row "a scrambled picture" '{"outcome":"refused","sentence":"scrambled .conditional access."}' b.ts \
    eval 'clip a.ts $H264 $AAC && tables scramble 256 <a.ts >b.ts'
long "a scrambled sound beside a clear one" '{"video":{"frames":100,"every":0.04},"sound":{"end":4.0},"warning":"scrambled .conditional access.", "outcome":"whole"}' b.ts \
    eval 'two_sounds a.ts && tables scramble 258 <a.ts >b.ts'
long "AC-4 of DVB beside MP2" '{"video":{"frames":100,"every":0.04},"sound":{"end":4.0},"warning":"Dolby AC-4", "outcome":"whole"}' b.ts \
    eval 'two_sounds a.ts -c:a:0 mp2 && tables type 0x0f 6 7f03150000 <a.ts >b.ts'
long "VVC beside sound" '{"outcome":"refused","sentence":"VVC .H.266., which is not decoded"}' a.mp4 \
    eval 'clip a.mp4 $H264 $AAC && poke a.mp4 $(offset_of a.mp4 avc1 2) vvc1'
