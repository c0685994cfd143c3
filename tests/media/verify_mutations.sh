#!/bin/bash
# gopmill verify: a good package passes; each of many packages with one thing
# wrong fails, and the check that it breaks says so.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
verify=$GOPMILL_VERIFY

# ---- a clip and its package ----
# Every frame differs from its neighbours, and so does every second of sound.
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=854x480:rate=25 \
    -f lavfi -i 'aevalsrc=0.4*sin(2*PI*(150+40*t)*t)*(0.6+0.4*sin(7*t)):s=48000' \
    -t 13 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac clip.mp4
if ! "$GOPMILL" run clip.mp4 --output good >made 2>&1; then
    fact "a package is made" cat made false
    finish
fi
rm -rf good/.gopmill

# All video renditions, best first, and one of sound.
renditions=(good/video/*/)
v=video/$(basename "${renditions[0]}")
w=video/$(basename "${renditions[1]}")
a=audio/$(basename good/audio/*/)

# ---- helpers ----
passes() {
    "$verify" "$@" && "$verify" "$@" --json | jq -e '.ok' >/dev/null
}

# breaks CHECK[,CHECK...] COMMAND...: after the command, run in a copy, verify
# ends with 1 and each of these checks fails, in text and in JSON.
breaks() {
    local ids=$1 id status=0
    shift
    rm -rf bad && cp -r good bad
    (cd bad && "$@") || { echo "the damage itself failed" && return 1; }
    timeout 120 "$verify" bad "${options[@]}" --json >out.json 2>err || status=$?
    jq -r '.checks[] | select(.ok | not) | "\(.id): \(.detail)"' out.json
    cat err
    [ "$status" -eq 1 ] || { echo "exit status $status" && return 1; }
    for id in ${ids//,/ }; do
        jq -e --arg id "$id" '.checks[] | select(.id == $id) | .ok | not' out.json >/dev/null ||
            { echo "$id didn't fail" && return 1; }
    done
}

ends() { # STATUS COMMAND...
    local want=$1 status=0
    shift
    "$@" || status=$?
    [ "$status" -eq "$want" ]
}

swap() {
    mv "$1" x && mv "$2" "$1" && mv x "$2"
}

# Byte offset behind the Nth (from 1) occurrence of a box's name.
behind() { # FILE NAME N
    local at
    at=$(grep -abo "$2" "$1" | sed -n "${3}p" | cut -d: -f1)
    [ -n "$at" ] || return 1
    echo $((at + 4))
}

# Write these bytes (escapes of printf) at an offset.
poke() { # FILE OFFSET BYTES
    # shellcheck disable=SC2059
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

byte() { # FILE OFFSET
    od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' '
}

# Add to one byte.
nudge() { # FILE OFFSET BY
    poke "$1" "$2" "\\x$(printf %02x $((($(byte "$1" "$2") + $3) & 255)))"
}

# The last byte of the Nth tfdt: version and flags (4), time (8).
nudge_tfdt() { # FILE N BY
    local at
    at=$(behind "$1" tfdt "$2") && nudge "$1" $((at + 11)) "$3"
}

drop_line() { # FILE PATTERN
    grep -q "$2" "$1" && sed -i "0,\\|$2|{\\|$2|d}" "$1"
}

change() { # FILE SED-EXPRESSION
    cp "$1" before && sed -i "$2" "$1" && ! cmp -s "$1" before && rm before
}

lengthen() { # PLAYLIST SECONDS, the first segment
    awk -v by="$2" -F '[:,]' '/^#EXTINF/ && !n++ { printf "#EXTINF:%.6f,\n", $2 + by; next } { print }' \
        "$1" >longer && mv longer "$1"
}

scale_attr() { # FILE ATTRIBUTE PERCENT, of the first line that has it
    local old
    old=$(grep -o "[:,]$2=[0-9]*" "$1" | head -n 1 | cut -d= -f2)
    change "$1" "0,/\\([:,]\\)$2=$old/s//\\1$2=$((old * $3 / 100))/"
}

drop_last_segment() {
    local last
    last=$(grep -v '^#' "$v/index.m3u8" | tail -n 1)
    rm "$v/$last"
}

drop_from_playlist() {
    sed -i '/^#EXTINF/{N;/seg-00001/d}' "$v/index.m3u8"
}

clear_sync() { # the first sample's flags become those of a picture that depends on others
    local at
    at=$(behind "$v/seg-00001.m4s" trun 1) || return 1
    # version, flags (4), count (4), data offset (4), first sample's flags (4)
    poke "$v/seg-00001.m4s" $((at + 12)) '\x01\x01\x00\x00'
}

late_picture() { # the third sample's offset, the last of its fields: one tick more
    local at flags fields=0 bit
    at=$(behind "$v/seg-00001.m4s" trun 1) || return 1
    flags=$((16#$(od -An -tx1 -j $((at + 1)) -N 3 "$v/seg-00001.m4s" | tr -d ' ')))
    [ $((flags & 0x800)) -gt 0 ] || return 1
    for bit in 0x100 0x200 0x400 0x800; do fields=$((fields + ((flags & bit) > 0))); done
    at=$((at + 8 + 4 * ((flags & 1) > 0) + 4 * ((flags & 4) > 0)))
    nudge "$v/seg-00001.m4s" $((at + 12 * fields - 1)) 1
}

drop_s_element() {
    change manifest.mpd '0,/<S /{/<S /d}'
}

older_tfhd() { # without default-base-is-moof
    local at
    at=$(behind "$v/seg-00002.m4s" tfhd 1) && poke "$v/seg-00002.m4s" $((at + 1)) '\x00'
}

shift_sound() { # by an edit list that hides 4096 samples
    local at
    at=$(behind "$a/init.mp4" elst 1) || return 1
    # version, flags, count, duration (4), media time (4)
    poke "$a/init.mp4" $((at + 12)) '\x00\x00\x10\x00'
}

cut_in_half() {
    truncate -s "$(($(stat -c %s "$1") / 2))" "$1"
}

noise() {
    local n
    n=$(stat -c %s "$1")
    head -c "$n" /dev/urandom >"$1"
}

noise_in_mdat() {
    local at
    at=$(behind "$1" mdat 2) || return 1
    head -c 4000 /dev/urandom | dd of="$1" bs=1 seek=$((at + 200)) conv=notrunc status=none
}

# ---- facts ----
options=(--no-decode)
fact "a good package passes" passes good --source clip.mp4
fact "a good package passes without its source" passes good
mkdir none
fact "a folder that is no package ends with 3" ends 3 "$verify" none
fact "a folder that isn't there ends with 3" ends 3 "$verify" missing
fact "a source that isn't there ends with 3" ends 3 "$verify" good --source missing.mp4
fact "a source that is text ends with 3" ends 3 "$verify" good --source good/master.m3u8
fact "no folder ends with 2" ends 2 "$verify"
fact "an unknown option ends with 2" ends 2 "$verify" good --nope

fact "a missing segment" breaks files.named drop_last_segment
fact "a missing init segment" breaks files.named rm "$v/init.mp4"
fact "a missing media playlist" breaks files.named,hls.media rm "$v/index.m3u8"
fact "a missing manifest" breaks dash.mpd rm manifest.mpd
fact "a missing receipt" breaks receipt rm job.json
fact "a receipt of another version" breaks receipt change job.json 's/"v": *1/"v": 2/'
fact "a file that nothing names" breaks files.extra touch "$v/seg-99999.m4s"
fact "one flipped byte of a picture" breaks files.digest nudge "$v/seg-00001.m4s" 20000 1
fact "a cut segment" breaks files.digest,seg.boxes cut_in_half "$v/seg-00002.m4s"
fact "noise for a segment" breaks files.digest,seg.boxes noise "$v/seg-00002.m4s"
fact "noise for an init segment" breaks files.digest,init.boxes noise "$v/init.mp4"
fact "an empty master playlist" breaks hls.master truncate -s 0 master.m3u8
fact "noise for a media playlist" breaks hls.media noise "$v/index.m3u8"
fact "noise for a manifest" breaks dash.mpd noise manifest.mpd
fact "a playlist that leads out of the package" breaks files.named \
    change "$v/index.m3u8" 's|^seg-00001|../../../seg-00001|'

fact "a tfdt off by one tick" breaks seg.time,align.video nudge_tfdt "$v/seg-00002.m4s" 1 1
fact "the last GOP's tfdt off by one tick" breaks seg.time nudge_tfdt "$v/seg-00001.m4s" 3 -1
fact "an audio tfdt off by one sample" breaks seg.time nudge_tfdt "$a/seg-00002.m4s" 1 1
fact "a fragment that doesn't start with a sync sample" breaks seg.sync clear_sync

# The same of AV1, whose av1C has the samples' sequence header.
cat >av1.yaml <<'Y'
name: av1
video: [{ name: av1, codec: av1, encoder: libsvtav1, preset: 12, size: 90, maxrate: 300k }]
Y
other_sequence() { # one bit of it: in libaom's and SVT-AV1's the last but one byte has flags of tools
    local at file=video/av1/init.mp4
    at=$(behind $file av1C 1) || return 1
    poke $file $((at + 4 + 2 + 8)) '\x5a'
}
of_av1() {
    mv good h264 && mv made-av1 good
    "$@"
    local status=$?
    mv good made-av1 && mv h264 good
    return $status
}
fact "a package in AV1 is made" "$GOPMILL" run clip.mp4 --ladder ./av1.yaml --output made-av1
rm -rf made-av1/.gopmill
fact "it passes" passes made-av1
fact "a sequence header in av1C that isn't the samples'" of_av1 breaks seg.sync other_sequence
fact "a picture that is shown a tick late" breaks seg.order late_picture
fact "no default-base-is-moof" breaks seg.boxes older_tfhd
fact "two segments swapped" breaks seg.time,files.digest swap "$v/seg-00001.m4s" "$v/seg-00002.m4s"
fact "two segments swapped in the playlist" breaks seg.time,hls.media,dash.timeline \
    change "$v/index.m3u8" 's/seg-00001/seg-0000x/; s/seg-00002/seg-00001/; s/seg-0000x/seg-00002/'
fact "a segment left out of the playlist" breaks files.named,hls.media,align.video \
    drop_from_playlist
fact "a segment of another rendition" breaks files.digest \
    cp "$w/seg-00001.m4s" "$v/seg-00001.m4s"

fact "an EXTINF that is 2 ms too long" breaks hls.extinf lengthen "$v/index.m3u8" 0.002
fact "an EXTINF that is 2 units too long" breaks hls.extinf lengthen "$v/index.m3u8" 0.000002
fact "an audio EXTINF that is 2 ms too short" breaks hls.extinf lengthen "$a/index.m3u8" -0.002
fact "an audio EXTINF without the priming" breaks hls.extinf lengthen "$a/index.m3u8" -0.021333
fact "TARGETDURATION below the longest segment" breaks hls.extinf \
    change "$v/index.m3u8" 's/TARGETDURATION:.*/TARGETDURATION:2/'
for tag in TARGETDURATION PLAYLIST-TYPE ENDLIST MAP VERSION; do
    fact "no EXT-X-$tag" breaks hls.media drop_line "$v/index.m3u8" "^#EXT-X-$tag"
done
fact "an I-frame playlist that isn't one" breaks hls.iframe \
    drop_line "$v/iframe.m3u8" I-FRAMES-ONLY
fact "an I-frame range off by one byte" breaks hls.iframe \
    change "$v/iframe.m3u8" '0,/BYTERANGE:\([0-9]*\)@/s//BYTERANGE:1\1@/'
fact "no I-frame playlist in the master" breaks hls.iframe \
    drop_line master.m3u8 "I-FRAME-STREAM-INF.*$v"

fact "BANDWIDTH below the peak" breaks hls.bandwidth scale_attr master.m3u8 BANDWIDTH 98
fact "BANDWIDTH 20 % above the peak" breaks hls.bandwidth scale_attr master.m3u8 BANDWIDTH 120
fact "AVERAGE-BANDWIDTH 15 % off" breaks hls.bandwidth \
    scale_attr master.m3u8 AVERAGE-BANDWIDTH 85
fact "wrong CODECS" breaks init.codec change master.m3u8 's/avc1\.[0-9A-Fa-f]*/avc1.42001E/'
fact "CODECS without the sound's" breaks init.codec change master.m3u8 's/,mp4a\.40\.2//'
fact "wrong RESOLUTION" breaks init.picture change master.m3u8 's/x480/x482/'
fact "wrong FRAME-RATE" breaks hls.master change master.m3u8 's/FRAME-RATE=[0-9.]*/FRAME-RATE=30.000/'
fact "wrong VIDEO-RANGE" breaks hls.master change master.m3u8 's/VIDEO-RANGE=SDR/VIDEO-RANGE=PQ/'
captions() { # in the middle of a picture, which has to be whole for other checks only
    local at
    at=$(behind "$v/seg-00002.m4s" mdat 2) && poke "$v/seg-00002.m4s" $((at + 200)) '\xb5\x00\x31GA94\x03'
}
fact "closed captions in a picture, of which the master says that there are none" breaks hls.captions captions
fact "an audio group that isn't there" breaks hls.master change master.m3u8 's/,AUDIO="/,AUDIO="x/'
fact "a rendition that the master forgot" breaks files.extra,files.named \
    change master.m3u8 "/^#EXT-X-STREAM-INF/{N;\\|$w|d};\\|$w|d"

fact "an MPD that is dynamic" breaks dash.mpd change manifest.mpd 's/type="static"/type="dynamic"/'
fact "a presentation a second too long" breaks dash.mpd \
    change manifest.mpd 's/mediaPresentationDuration="PT13/mediaPresentationDuration="PT14/'
fact "a presentation that ends before its sound" breaks dash.mpd \
    change manifest.mpd 's/\(mediaPresentationDuration="PT13\)\.[0-9]*/\1.000000/'
ends_with_its_sound() {
    local end
    end=$(sed -n 's/.*Duration="PT\([0-9.]*\)S".*/\1/p' manifest.mpd | awk '{ printf "%.6f", $1 - 0.00002 }') &&
        change manifest.mpd "s/Duration=\"PT[0-9.]*S\"/Duration=\"PT${end}S\"/"
}
fact "a presentation that ends just where its sound does" breaks dash.mpd ends_with_its_sound
fact "one S element less" breaks dash.timeline drop_s_element
fact "an S off by one tick" breaks dash.timeline change manifest.mpd '0,/<S t="0"/s//<S t="1"/'
fact "wrong codecs in the MPD" breaks dash.representation \
    change manifest.mpd '0,/codecs="avc1\.[0-9A-Fa-f]*"/s//codecs="avc1.42001E"/'
fact "too little bandwidth in the MPD" breaks dash.representation \
    change manifest.mpd '0,/bandwidth="[0-9]*"/s//bandwidth="50000"/'
fact "a representation less" breaks dash.representation \
    change manifest.mpd '0,/<Representation .*\/>/{/<Representation .*\/>/d}'
fact "no SAP" breaks dash.representation change manifest.mpd 's/startWithSAP="1"/startWithSAP="0"/'

options=()
fact "a picture that doesn't decode" breaks decode.video noise_in_mdat "$v/seg-00002.m4s"

# ---- against the source ----
options=(--source clip.mp4)
fact "an edit list that hides too much" breaks source.audio,dash.timeline shift_sound

options=(--source other.mp4)
ffmpeg -nostdin -v error -i clip.mp4 -ss 0.04 -c:v libx264 -preset ultrafast -c:a copy other.mp4
fact "a source with a frame less" breaks source.frames true
ffmpeg -nostdin -v error -y -i clip.mp4 -vf "setpts='PTS+gte(N,200)*0.02/TB'" -fps_mode vfr \
    -c:v libx264 -preset ultrafast -enc_time_base 1:1000 -c:a copy other.mp4
fact "frames moved by 20 ms from the 200th on" breaks source.frames true
# The same times, but each picture is the one after.
ffmpeg -nostdin -v error -y -i clip.mp4 -filter_complex \
    '[0:v]trim=start_frame=1,setpts=N/25/TB,tpad=stop=1:stop_mode=clone[v]' \
    -map '[v]' -map 0:a -c:v libx264 -preset ultrafast -c:a copy other.mp4
fact "pictures shifted by one frame" breaks source.picture true
ffmpeg -nostdin -v error -y -i clip.mp4 -vf hflip -c:v libx264 -preset ultrafast -c:a copy other.mp4
fact "a mirrored picture" breaks source.picture true
ffmpeg -nostdin -v error -y -i clip.mp4 -af adelay=30:all=1 -c:v copy -c:a aac other.mp4
fact "sound that is 30 ms off" breaks source.audio true
ffmpeg -nostdin -v error -y -i clip.mp4 -af "atempo=1.004" -c:v copy -c:a aac other.mp4
fact "sound that drifts" breaks source.audio true

# ---- packages that are whole, of a source that isn't quite the one they are held against ----
# The referee has no excuse for what the source doesn't have, whatever the receipt says.
ff() { ffmpeg -nostdin -v error -y "$@"; }
X264="-c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p -g 50"
cat >small.yaml <<'Y'
name: small
gop_seconds: 1
segment_seconds: 2
video:
  - { name: good, codec: h264, size: 180, maxrate: 2M, preset: ultrafast, crf: 20 }
  - { name: poor, codec: h264, size: 180, maxrate: 100k, preset: ultrafast, crf: 34 }
audio:
  - { name: aac, codec: aac, bitrate: 96k }
Y
# shellcheck disable=SC2086 # options are words
ff -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi \
    -i 'aevalsrc=0.4*sin(2*PI*(150+40*t)*t)*(0.6+0.4*sin(7*t))*(1-between(t\,3.5\,4.3)):s=48000' \
    -t 6 $X264 -c:a aac whole.mp4

# made_of NAME FILTERS...: NAME.mp4 is whole.mp4 through these; its package is NAME. What the
# receipt says of it "explains" all.
made_of() {
    local name=$1
    shift
    # shellcheck disable=SC2086
    ff -i "${from:-whole.mp4}" "$@" $X264 -c:a aac "$name.mp4" &&
        "$GOPMILL" run "$name.mp4" --ladder ./small.yaml --output "$name" --slots 1 >made 2>&1 ||
        { cat made && return 1; }
    rm -rf "$name/.gopmill"
    jq '.frames_concealed = 3 | .warnings = ["chunk 0: 3 of 50 frames can'"'"'t be decoded; the frame before each stands in",
        "a hole in the sound is silent"]' "$name/job.json" >explained && mv explained "$name/job.json"
}
# alone ID NAME: of what compares with the source only this check fails; and without it all is right.
alone() {
    local status=0
    "$verify" "$2" --source "${against:-whole.mp4}" --json >out.json || status=$?
    jq -r '.checks[] | select(.ok | not) | "\(.id): \(.detail)"' out.json
    [ "$status" -eq 1 ] && jq -e --arg id "$1" '[.checks[] | select(.ok | not) | .id] == [$id]' out.json >/dev/null &&
        "$verify" "$2" >/dev/null
}
wrong() { # ID NAME FILTERS...
    local id=$1
    shift
    made_of "$@" && alone "$id" "$1"
}

fact "the small source's package passes, also where it has few bits" eval \
    '"$GOPMILL" run whole.mp4 --ladder ./small.yaml --output small --slots 1 >made 2>&1 && passes small --source whole.mp4'
fact "a picture that is frozen for one frame" wrong source.picture frozen -filter_complex \
    "split[a][b];[a][b]freezeframes=first=60:last=60:replace=59"
fact "pictures that come a frame early, for a while" wrong source.picture early -vf "select='not(eq(n,60))',setpts='if(between(N,60,69),N,N+gte(N,70))/25/TB',fps=25"
fact "a picture that is there twice, and one not" wrong source.picture twice -filter_complex \
    "split[a][b];[a][b]freezeframes=first=70:last=70:replace=71"
fact "half of a picture from a second ago" wrong source.picture half -filter_complex \
    "split[a][b];[b]setpts=PTS+1/TB,crop=iw/2:ih:0:0[b];[a][b]overlay=enable='between(n,80,81)':eof_action=pass"
fact "a twentieth of a picture that stands still" wrong source.picture corner -filter_complex \
    "split[a][b];[b]setpts=PTS+1/TB,crop=64:44:128:68[b];[a][b]overlay=128:68:enable='between(n,80,90)':eof_action=pass"
fact "a grey picture" wrong source.picture grey -vf "drawbox=t=fill:c=gray:enable='eq(n,75)'"
fact "pictures without their colours" wrong source.picture pale -vf "hue=s=0:enable='between(n,75,80)'"
# A decoder that starts behind the keyframe.
smeared() {
    # shellcheck disable=SC2086
    ff -i whole.mp4 -c:v mpeg4 -q:v 3 -g 50 -bf 0 -an keyed.mkv &&
        ff -i keyed.mkv -c copy -bsf:v "noise=drop=eq(n\,100)" cut.mkv &&
        ff -i cut.mkv -i whole.mp4 -map 0:v -map 1:a -vf fps=25,trim=end_frame=150 $X264 -c:a copy behind.mp4 &&
        from=behind.mp4 made_of smear && alone source.picture smear
}
fact "a chunk decoded from behind its keyframe" smeared
extra() {
    # shellcheck disable=SC2086
    ff -i whole.mp4 -vf "select=not(eq(n\,60))" -fps_mode vfr $X264 -c:a copy less.mp4 && against=less.mp4 alone source.frames small
}
fact "a frame that the source doesn't have" extra
fact "a second of sound that is silent, as the receipt says" wrong source.audio silent -af "volume=0:enable='between(t,1.2,2.2)'"
fact "a tenth of a second of it" wrong source.audio hole -af "volume=0:enable='between(t,1.2,1.32)'"
fact "a fiftieth of a second of it, as a lost frame leaves" wrong source.audio lost -af "volume=0:enable='between(t,2.41,2.4314)'"
fact "a frame of sound that is there twice, and the next one not" wrong source.audio doubled -filter_complex \
    "[0:a]asplit=3[a][b][c];[a]atrim=0:1.2,asetpts=PTS-STARTPTS[a];[b]atrim=1.17867:1.2,asetpts=PTS-STARTPTS[b];[c]atrim=1.22133,asetpts=PTS-STARTPTS[c];[a][b][c]concat=n=3:v=0:a=1[o]" -map 0:v -map '[o]'
fact "sound where the source is silent" wrong source.audio loud -af "aeval=val(0)+0.2*sin(2*PI*500*t)*between(t\,3.7\,4.2):c=same"
fact "a second of sound from elsewhere" wrong source.audio other -filter_complex \
    "[0:a]asplit=3[a][b][c];[a]atrim=0:2,asetpts=PTS-STARTPTS[a];[b]atrim=4.6:5.6,asetpts=PTS-STARTPTS[b];[c]atrim=3,asetpts=PTS-STARTPTS[c];[a][b][c]concat=n=3:v=0:a=1[o]" -map 0:v -map '[o]'
fact "a second of sound that is 30 ms late" wrong source.audio late -filter_complex \
    "[0:a]asplit=3[a][b][c];[a]atrim=0:1,asetpts=PTS-STARTPTS[a];[b]atrim=0.97:2.97,asetpts=PTS-STARTPTS[b];[c]atrim=3,asetpts=PTS-STARTPTS[c];[a][b][c]concat=n=3:v=0:a=1[o]" -map 0:v -map '[o]'

# ---- what is no fault ----
right() { # FILE OPTIONS...: made with these, its package is right
    local file=$1
    shift
    ff "$@" "$file" && "$GOPMILL" run "$file" --ladder ./small.yaml --output "of-$file" --slots 1 >made 2>&1 ||
        { cat made && return 1; }
    rm -rf "of-$file/.gopmill"
    passes "of-$file" --source "$file"
}
fact "LPCM, whose stamps lie up to 3 ms beside its samples" right lpcm.vob -i whole.mp4 -c:v mpeg2video -b:v 2M -c:a pcm_dvd
fact "AAC that begins before 0" right before.mkv -i whole.mp4 -c copy -avoid_negative_ts disabled
# shellcheck disable=SC2086
fact "two pictures of 30 s beside sound" right stills.mp4 -f lavfi -i testsrc2=size=320x180:rate=1/30 -i whole.mp4 -map 0:v -map 1:a -t 60 $X264 -c:a copy

finish
