#!/bin/bash
# A rendition that the source fits already is the source's own packets: the
# same pictures to the bit, at the same times, aligned with those that are
# encoded, however it is cut into chunks. What doesn't fit is encoded, and the
# reason told.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL
numbered=$GOPMILL_BUILD/tests/media/numbered

ladder() { # NAME CODEC MAXRATE: a large one that may be a copy, a small one that is encoded
    cat >"$1.yaml" <<Y
name: $1
gop_seconds: 1
segment_seconds: 2
video:
  - { name: full, codec: $2, size: 180, maxrate: $3, preset: ultrafast, copy: when-compatible }
  - { name: half, codec: h264, size: 90, maxrate: 1M, preset: ultrafast, max_fps: 30 }
Y
}
ladder h264 h264 3M
ladder hevc hevc 3M
ladder av1 av1 3M
sed -i 's/\(full.*\)preset: ultrafast/\1preset: 10, encoder: libsvtav1/' av1.yaml
ladder tight h264 100k
# Nothing but the copy: nothing is decoded.
sed '/half/d; s/^name: .*/name: alone/' h264.yaml >alone.yaml

# ---- clips: 6 s ----
clip() { # NAME RATE ENCODER-OPTIONS...
    local name=$1 rate=$2
    shift 2
    "$numbered" make 150 320 180 "$rate" |
        ffmpeg -nostdin -v error -f yuv4mpegpipe -i pipe:0 -threads 1 "$@" "$name"
}
x264=(-c:v libx264 -preset veryfast -crf 20)
clip closed.mp4 25:1 "${x264[@]}" -bf 3 -g 25
ffmpeg -nostdin -v error -i closed.mp4 -c copy -bsf:v h264_mp4toannexb closed.ts
ffmpeg -nostdin -v error -i closed.mp4 -c copy closed.mkv
# GOPs of 0.28 s; repeated parameter sets in the packets of an MP4.
clip short.mp4 25:1 "${x264[@]}" -bf 2 -g 7 -x264-params repeat-headers=1:aud=1 -flags -global_header
clip tagged.mp4 25:1 "${x264[@]}" -g 40 -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m
clip vfr.mp4 25:1 -vf "settb=1/90000,setpts='N*3600+mod(N*7\,5)*300+floor(N/37)*20000'" \
    -vsync passthrough -enc_time_base 1/90000 -video_track_timescale 90000 "${x264[@]}" -bf 2 -g 20
clip hevc.mp4 25:1 -c:v libx265 -preset ultrafast -crf 24 -tag:v hvc1 \
    -x265-params keyint=25:min-keyint=25:open-gop=0:bframes=3:log-level=error
ffmpeg -nostdin -v error -i hevc.mp4 -c copy -bsf:v hevc_mp4toannexb hevc.ts
# In WebM, and in MP4, once with frames that aren't shown. SVT-AV1 1.4 tells an MP4 another sequence
# header than its packets have; WebM's comes from the packets.
clip aom.webm 25:1 -c:v libaom-av1 -cpu-used 8 -row-mt 0 -crf 40 -b:v 0 -g 25 -keyint_min 25 -usage realtime
clip hidden.mp4 25:1 -c:v libaom-av1 -cpu-used 6 -row-mt 0 -crf 40 -b:v 0 -g 25 -keyint_min 25
clip svt.mp4 25:1 -c:v libsvtav1 -preset 10 -crf 40 -g 25 -svtav1-params lp=1

# ---- those that fit ----
package() { # CLIP LADDER CHUNKS
    "$gopmill" run "$1" --ladder "./$2.yaml" --chunks "$3" --output "$1-$2-$3" --slots 2
}
join() { # DIR RENDITION
    cat "$1/video/$2/init.mp4" "$1/video/$2"/seg-*.m4s
}
is_a_copy() { # DIR CLIP
    jq -e '.renditions[0].copied == true and .renditions[0].encoder == "copy"' "$1/job.json" || return 1
    "$GOPMILL_VERIFY" "$1" --source "$2" >told || { cat told; return 1; }
    grep 'source.copy' told
    grep -q '^ok *source.copy' told
}
chunks_of() {
    sqlite3 "$1/.gopmill/job.db" "SELECT count(DISTINCT chunk) FROM tasks WHERE id LIKE 'v-%'"
}
# Packets, with all their times; and pictures.
packets_of() {
    join "$1" full | ffmpeg -nostdin -v error -i pipe: -c copy -f framemd5 - | grep -v '^#'
}
pictures_of() {
    ffmpeg -nostdin -v error -i "$1" -map 0:v -vsync passthrough -f framemd5 - |
        awk -F, '!/^#/ { print $NF }'
}
same_packets() { # DIR DIR CHUNKS
    packets_of "$1" >a
    packets_of "$2" >b
    [ -s a ] && diff a b && [ "$(chunks_of "$2")" = "$3" ]
}
same_pictures() { # CLIP DIR
    join "$2" full >joined.mp4
    pictures_of "$1" >a
    pictures_of joined.mp4 >b
    [ "$(wc -l <a)" = 150 ] && diff a b
}
one_init() { # DIR
    sqlite3 "$1/.gopmill/job.db" "SELECT result FROM results" |
        jq -r '.renditions[] | select(.name == "full") | .init.sha256' | sort -u >inits
    [ "$(wc -l <inits)" = 1 ]
}

for row in closed.mp4:h264 closed.ts:h264 closed.mkv:h264 short.mp4:h264 tagged.mp4:h264 vfr.mp4:h264 \
    hevc.mp4:hevc hevc.ts:hevc hidden.mp4:av1 aom.webm:av1 closed.mp4:alone; do
    clip=${row%:*} ladder=${row#*:} n=5
    [ "$clip" = tagged.mp4 ] && n=3 # it has 4 keyframes
    fact "$clip by $ladder becomes a package in one chunk" package "$clip" "$ladder" 1
    fact "$clip by $ladder: it has a copy that is right" is_a_copy "$clip-$ladder-1" "$clip"
    fact "$clip by $ladder becomes a package in $n chunks" package "$clip" "$ladder" $n
    fact "$clip by $ladder: $n chunks have the packets of one" same_packets "$clip-$ladder-1" "$clip-$ladder-$n" $n
    fact "$clip by $ladder: and one init segment" one_init "$clip-$ladder-$n"
done
fact "closed.mp4 in 5 chunks has a copy that is right" is_a_copy closed.mp4-h264-5 closed.mp4
fact "closed.ts in 5 chunks has a copy that is right" is_a_copy closed.ts-h264-5 closed.ts
fact "vfr.mp4: its pictures are the source's to the bit" same_pictures vfr.mp4 vfr.mp4-h264-5
fact "hevc.ts: its pictures are the source's to the bit" same_pictures hevc.ts hevc.ts-hevc-5
fact "hidden.mp4: its pictures are the source's to the bit" same_pictures hidden.mp4 hidden.mp4-av1-5
fact "aom.webm: its pictures are the source's to the bit" same_pictures aom.webm aom.webm-av1-5
fact "MP4 and MPEG-TS give the same pictures" same_pictures closed.ts closed.mp4-h264-5

# Colours from the sequence parameter set to the colr box: what the source
# left out is filled in with what its pictures are taken for.
tags_are() { # DIR MATRIX,TRANSFER,PRIMARIES
    join "$1" full >joined.mp4
    # Once as the container has it, once without it.
    ffmpeg -nostdin -v error -y -i joined.mp4 -c copy -bsf:v h264_mp4toannexb joined.h264
    for file in joined.mp4 joined.h264; do
        ffprobe -v error -show_entries stream=color_space,color_transfer,color_primaries,color_range \
            -of csv=p=0 $file
    done | sort -u >tags
    cat tags
    [ "$(cat tags)" = "tv,$2" ]
}
fact "tags that the source lacks are added" tags_are closed.mp4-h264-1 bt470bg,smpte170m,bt470bg
fact "tags that it has stay" tags_are tagged.mp4-h264-1 smpte170m,smpte170m,smpte170m

# ---- a rendition alone ----
alone() { # RENDITION
    local dir=only-$1 f
    sqlite3 closed.mp4-h264-5/.gopmill/job.db "SELECT body FROM bodies WHERE id = 'v-0002-0'" |
        jq -c --arg r "$1" '.only = $r' >task.json
    mkdir "$dir" && "$GOPMILL_BUILD/tests/media/onetask" closed.mp4 task.json "$dir" || return 1
    for f in "$dir"/*.m4s; do
        cmp "$f" "closed.mp4-h264-5/video/$1/${f##*_}" || return 1
    done
    [ "$(jq '.renditions | length' "$dir/answer.json")" = 1 ]
}
fact "the copy is made without its mates: the same bytes" alone full
fact "its mate is made without the copy: the same bytes" alone half

# ---- those that don't fit ----
is_encoded() { # CLIP LADDER WHY
    "$gopmill" plan "$1" --ladder "./$2.yaml" >plan
    grep encoded plan || cat plan
    grep -q "^full is encoded: $3" plan
}
clip long.mp4 25:1 "${x264[@]}" -g 75
clip open.mp4 25:1 "${x264[@]}" -bf 3 -g 25 -x264-params open-gop=1
clip interlaced.mp4 25:1 "${x264[@]}" -g 25 -flags +ildct+ilme -x264-params tff=1
clip ten.mp4 25:1 "${x264[@]}" -g 25 -pix_fmt yuv420p10le
clip full.mp4 25:1 "${x264[@]}" -g 25 -vf scale=out_range=full -pix_fmt yuvj420p
clip resized.mp4 25:1 "${x264[@]}" -g 25 -vf scale=640:360
clip anamorphic.mp4 25:1 "${x264[@]}" -g 25 -vf setsar=4/3
clip other.mp4 25:1 "${x264[@]}" -g 25 -refs 1 -x264-params cabac=0
clip level.mp4 25:1 "${x264[@]}" -g 25 -level 5.2
clip sixty.mp4 120:1 "${x264[@]}" -g 60
ffmpeg -nostdin -v error -i other.mp4 -c copy -bsf:v h264_mp4toannexb other.ts
ffmpeg -nostdin -v error -i "concat:closed.ts|other.ts" -c copy changing.ts
ffmpeg -nostdin -v error -i closed.mp4 -c copy -metadata:s:v rotate=90 turned.mp4
ffmpeg -nostdin -v error -ss 1.52 -i closed.mp4 -c copy between.mp4
ffmpeg -nostdin -v error -ss 1.5 -i closed.mp4 -c copy within.mp4
ffmpeg -nostdin -v error -i closed.mp4 -c copy -movflags +faststart first.mp4
head -c $(($(stat -c %s first.mp4) * 2 / 3)) first.mp4 >cut.mp4

fact "too high a peak is told" is_encoded closed.mp4 tight "the source's peak .* is above maxrate 0.1 Mb/s"
fact "too long GOPs are told" is_encoded long.mp4 h264 "the source's GOPs are up to 3 s long, more than a segment's 2 s"
fact "open GOPs are told" is_encoded open.mp4 h264 "the source's GOPs are open"
fact "interlace is told" is_encoded interlaced.mp4 h264 "the source is interlaced"
fact "10 bit are told" is_encoded ten.mp4 h264 "the source is yuv420p10le, not yuv420p"
fact "full range is told" is_encoded full.mp4 h264 "the source has full range"
fact "another size is told" is_encoded resized.mp4 h264 "the source is 640x360, not 320x180"
fact "pixels that aren't square are told" is_encoded anamorphic.mp4 h264 "the source's pixels are 4:3, not square"
fact "parameter sets that change are told" is_encoded changing.ts h264 "the source's parameter sets change"
fact "too high a level is told" is_encoded level.mp4 h264 "the source's level 5.2 is above 4.1"
fact "too many frames a second are told" is_encoded sixty.mp4 h264 "the source has 120 frames a second, 60 are allowed"
fact "rotation is told" is_encoded turned.mp4 h264 "the source is turned by"
fact "an edit list into the middle of a GOP is told" is_encoded between.mp4 h264 "the source's edit list begins in the middle"
fact "an edit list into the middle of a picture is told" is_encoded within.mp4 h264 "the source's edit list cuts it up"
fact "an end that is missing is told" is_encoded cut.mp4 h264 "the source is damaged"
fact "a header that isn't the pictures' is told" is_encoded svt.mp4 av1 "the source's sequence header isn't that of its container"
fact "another codec is told" is_encoded closed.mp4 hevc "the source is h264, not hevc"

fact "a clip that can't be copied becomes a package" package open.mp4 h264 3
fact "it is right, and nothing in it is a copy" "$GOPMILL_VERIFY" open.mp4-h264-3 --source open.mp4
told_in_receipt() {
    jq -e '.renditions[0] | .copied == null and .not_copied == "the source'"'"'s GOPs are open"' "$1/job.json"
}
fact "its receipt has the reason" told_in_receipt open.mp4-h264-3

# ---- damage inside of pictures: nobody sees it before they are decoded ----
cp closed.mp4 flipped.mp4
middle=$(ffprobe -v error -show_entries packet=pos,size,flags -of json closed.mp4 |
    jq '[.packets[] | select(.flags[0:1] == "K")][2] | (.pos | tonumber) + ((.size | tonumber) / 2 | floor)')
printf '\x5a\xa5\x00\x5a\xff' | dd of=flipped.mp4 bs=1 seek="$middle" conv=notrunc status=none
damage_is_told() {
    jq -e '.warnings | map(select(test("full is a copy of the source, with its damage"))) | length == 1' \
        "$1/job.json"
}
is_not_right() { ! "$GOPMILL_VERIFY" "$@"; }
fact "a source with damage becomes a package" package flipped.mp4 h264 3
fact "what decodes it beside the copy tells" damage_is_told flipped.mp4-h264-3
fact "its copy has no damage but the source's" "$GOPMILL_VERIFY" flipped.mp4-h264-3 --source flipped.mp4
fact "that is no excuse where the source has none" is_not_right flipped.mp4-h264-3 --source closed.mp4

# ---- real footage, where it is at hand ----
cat >real.yaml <<'Y'
name: real
defaults:
  h264: { preset: ultrafast, max_fps: 30 }
video:
  - { name: 1080p, codec: h264, size: 1080, maxrate: 6M, copy: when-compatible }
  - { name: 720p, codec: h264, size: 720, maxrate: 3500k, copy: when-compatible }
  - { name: 480p, codec: h264, size: 480, maxrate: 1600k, copy: when-compatible }
  - { name: 360p, codec: h264, size: 360, maxrate: 900k, copy: when-compatible }
  - { name: 180p, codec: h264, size: 180, maxrate: 400k, max_fps: 15 }
audio:
  - { name: aac, codec: aac, bitrate: 96k }
Y
is_copied() { # CLIP: an own rendition is a copy, all is right
    rm -rf out
    "$gopmill" run "$1" --ladder ./real.yaml --output out --chunk-seconds 4 || return 1
    is_a_copy out "$1"
}
is_told() { # CLIP WHY
    "$gopmill" plan "$1" --ladder ./real.yaml | grep encoded >plan
    cat plan
    grep -q "$2" plan
}
real() { # FACT CLIP ARGUMENT...
    if [ -f "$GOPMILL_TEST_CLIPS/$2" ]; then
        fact "$2 $1" "${@:3:1}" "$GOPMILL_TEST_CLIPS/$2" "${@:4}"
    else
        skip "$2 $1" "no such clip here"
    fi
}
real "is copied" bbb_1080p25_aac51_19s.mp4 is_copied
real "is copied: keyframes at every scene" wave_tos_1080p2997.mp4 is_copied
real "is copied: moov at its end" wave_croatia_1080p25_moovend.mp4 is_copied
real "is copied: no sound" d_croatia_1080p23976_noaudio.mp4 is_copied
real "is copied: in fragments" ax_fragmented.mp4 is_copied
real "is copied: a webcam's" mdn_friday.mp4 is_copied
real "is encoded" sintel_trailer_720p24.mp4 is_told "720p is encoded: the source's GOPs are up to 10.4 s long"
real "is encoded" d_opengop_h264_croatia_720p.mp4 is_told "720p is encoded: the source's GOPs are open"
real "is encoded" d_sintel_2audio_sub_editlist.mp4 is_told "the source's edit list begins in the middle of a GOP"
real "is encoded" sony_a7m3_1080i50.mts is_told "1080p is encoded: the source is interlaced"
real "is encoded" ax_portrait_4k60.mp4 is_told "the source has full range"
finish
