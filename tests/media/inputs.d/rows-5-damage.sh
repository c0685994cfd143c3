# Rows about damage: what can be played is, and it is said.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

damaged='{"outcome":"damaged"}'

# ---- cut ----
part_of() { # FROM TO PART: the first PART percent
    head -c $(($(size_of "$1") * $3 / 100)) "$1" >"$2"
}
row "MP4 cut off behind its index" '{"outcome":"damaged","warning":"cut off"}' cut.mp4 eval 'clip a.mp4 $H264 $AAC -movflags faststart && part_of a.mp4 cut.mp4 60'
row "MP4 cut off before its index" '{"outcome":"refused","sentence":"cut off"}' cut.mp4 eval 'clip a.mp4 $H264 $AAC && part_of a.mp4 cut.mp4 60'
long "fragments cut off" '{"outcome":"damaged"}' cut.mp4 eval 'clip a.mp4 $H264 $AAC -movflags frag_keyframe+empty_moov && part_of a.mp4 cut.mp4 60'
row "Matroska cut off" "$damaged" cut.mkv eval 'clip a.mkv $H264 $AAC && part_of a.mkv cut.mkv 60'
long "AVI cut off" "$damaged" cut.avi eval 'clip a.avi -c:v mjpeg -c:a pcm_s16le && part_of a.avi cut.avi 60'
long "MPEG-TS cut off" '{}' cut.ts eval 'clip a.ts $H264 $AAC && part_of a.ts cut.ts 60'
row "MP4 cut off behind its index, before any sample" '{"outcome":"refused"}' cut.mp4 \
    eval 'clip a.mp4 $H264 $AAC -movflags faststart && head -c $(($(offset_of a.mp4 mdat) + 12)) a.mp4 >cut.mp4'

# ---- begun in the middle ----
row "H.264 in MPEG-TS from mid-GOP on" '{"outcome":"whole","video":{"frames":75,"every":0.04},"numbers":"25-99","warning":"before the first keyframe"}' \
    mid.ts eval 'silent a.ts $H264 && mid_of a.ts mid.ts'
# From a packet of the 10th frame on, behind a copy of the tables.
mid_of() {
    local at
    at=$(ffprobe -v error -select_streams v -show_entries packet=pos -of json "$1" | jq -r '.packets[9].pos')
    { head -c $((188 * 3)) "$1" && tail -c +$((at + 1)) "$1"; } >"$2"
}
row "HEVC in MPEG-TS from mid-GOP on" '{"outcome":"whole","picture_limit":255,"video":{"frames":75,"every":0.04},"numbers":"25-99","warning":"before the first keyframe"}' \
    mid.ts eval 'silent a.ts $HEVC -x265-params log-level=error && mid_of a.ts mid.ts'
row "MPEG-2 in MPEG-TS from mid-GOP on" '{"outcome":"whole","warning":"before the first keyframe"}' \
    mid.ts eval 'silent a.ts -c:v mpeg2video -q:v 3 -g 25 -bf 2 && mid_of a.ts mid.ts'

# ---- keyframes not flagged, or flagged where there is none ----
# Without an stss box every sample counts as a keyframe.
no_stss() { poke "$1" "$(offset_of "$1" stss)" 'free'; }
# With one entry only the first does: the others aren't flagged.
one_stss() { poke "$1" $(($(offset_of "$1" stss) + 8)) '\x00\x00\x00\x01'; }
flags='"video":{"frames":100,"every":0.04},"numbers":"0-99","chunks":5'
row "H.264: every picture is flagged as a keyframe" "{$flags}" flags.mp4 eval 'clip flags.mp4 $H264 $AAC && no_stss flags.mp4'
row "HEVC: every picture is flagged as a keyframe" "{$flags}" flags.mp4 \
    eval 'silent flags.mp4 $HEVC -x265-params log-level=error && no_stss flags.mp4'
long "MPEG-4: every picture is flagged as a keyframe" "{$flags}" flags.mp4 eval 'silent flags.mp4 -c:v mpeg4 -q:v 3 -g 25 && no_stss flags.mp4'
row "H.264: keyframes aren't flagged" "{$flags}" flags.mp4 eval 'clip flags.mp4 $H264 $AAC && one_stss flags.mp4'
# The list names the second sample, too: half of an stss is wrong.
row "H.264: a wrong picture is flagged as a keyframe" "{$flags}" flags.mp4 \
    eval 'clip flags.mp4 $H264 $AAC && poke flags.mp4 $(($(offset_of flags.mp4 stss) + 16)) "\x00\x00\x00\x21"'

# ---- spoiled ----
row "MP4 with a hole of zeroes" "$damaged" hole.mp4 eval 'clip hole.mp4 $H264 $AAC && zeroes hole.mp4 $(($(size_of hole.mp4) / 2)) 20000'
long "MPEG-TS with a hole of zeroes" "$damaged" hole.ts eval 'clip hole.ts $H264 $AAC && zeroes hole.ts $(($(size_of hole.ts) / 2)) 20000'
long "Matroska with a hole of zeroes" "$damaged" hole.mkv eval 'clip hole.mkv $H264 $AAC && zeroes hole.mkv $(($(size_of hole.mkv) / 2)) 20000'
row "a hole as long as a chunk" '{"outcome":"damaged","chunks":8}' hole.mp4 \
    eval 'clip hole.mp4 $H264 $AAC && zeroes hole.mp4 $(($(size_of hole.mp4) * 3 / 8)) $(($(size_of hole.mp4) / 4))'
row "a hole of most of the film" '{"outcome":"refused","sentence":"% of the pictures can be decoded"}' hole.mp4 \
    eval 'silent hole.mp4 $H264 && zeroes hole.mp4 $(($(size_of hole.mp4) * 3 / 8)) $(($(size_of hole.mp4) * 9 / 16))'
row "nothing left but the index" '{"outcome":"refused"}' hole.mp4 \
    eval 'silent hole.mp4 $H264 -movflags faststart && zeroes hole.mp4 $(($(offset_of hole.mp4 mdat) + 4)) $(($(size_of hole.mp4) - $(offset_of hole.mp4 mdat) - 4))'
row "spoiled bytes in MP4" "$damaged" spoiled.mp4 eval 'clip spoiled.mp4 $H264 $AAC && spoil spoiled.mp4 20000 3001 40'
row "spoiled bytes in MPEG-TS" "$damaged" spoiled.ts eval 'clip spoiled.ts -c:v mpeg2video -q:v 3 -c:a mp2 && spoil spoiled.ts 50000 5003 60'
long "spoiled bytes in Matroska" "$damaged" spoiled.mkv eval 'clip spoiled.mkv $H264 $AAC && spoil spoiled.mkv 20000 3001 40'
row "spoiled bytes in sound" "$damaged" spoiled.m4a eval 'heard spoiled.m4a $AAC && spoil spoiled.m4a 5000 701 40'
# Its packets, each by itself, are made of ones: no decoder finds anything in them.
deafen() {
    local at size
    while IFS=, read -r size at _; do
        head -c "$size" /dev/zero | tr '\0' '\377' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
    done < <(ffprobe -v error -select_streams a -show_entries packet=size,pos -of csv=p=0 "$1")
}
row "sound of noise beside a good picture" '{"outcome":"whole","sound":{"channels":2,"start":0,"end":4},"warning":"nothing of stream 1 can be decoded; silence stands in"}' \
    deaf.mp4 eval 'clip deaf.mp4 $H264 $AAC && deafen deaf.mp4'
row "sound of noise alone" '{"outcome":"refused","sentence":"no sound of the audio stream can be decoded"}' deaf.m4a eval 'heard deaf.m4a $AAC && deafen deaf.m4a'
row "MPEG-TS that loses its sync" "$damaged" lost.ts eval 'clip lost.ts $H264 $AAC && cut_out lost.ts $(($(size_of lost.ts) / 3)) 333 && cut_out lost.ts $(($(size_of lost.ts) * 2 / 3)) 1001'
row "an index that points past the end" "$damaged" past.mp4 \
    eval 'clip past.mp4 $H264 $AAC -movflags faststart && poke past.mp4 $(($(offset_of past.mp4 stco) + 16)) "\x7f\xff\xff\x00"'
row "noise" '{"outcome":"refused"}' noise.mp4 eval 'head -c 50000 /dev/urandom >noise.mp4'
row "a stream that says H.264 and isn't" '{"outcome":"refused"}' no.mp4 \
    eval 'silent no.mp4 $H264 -movflags faststart && head -c $(($(size_of no.mp4) - $(offset_of no.mp4 mdat) - 4)) /dev/urandom | dd of=no.mp4 bs=1 seek=$(($(offset_of no.mp4 mdat) + 4)) conv=notrunc status=none'
