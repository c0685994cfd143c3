#!/bin/bash
# Closed captions of pictures and of caption tracks become subtitles: the same
# words at the same times, of each channel that says something, and no bit of
# them stays in the pictures.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL verify=$GOPMILL_VERIFY
captions=$GOPMILL_BUILD/tests/media/captions edits=$GOPMILL_BUILD/tests/media/edits pes=$GOPMILL_BUILD/tests/media/pes

ladder() { # NAME VIDEO [FURTHER-LINE]
    cat >"$1.yaml" <<Y
name: $1
segment_seconds: 2
gop_seconds: 1
${3:-}
video:
  - { name: v, $2 }
Y
}
ladder all 'codec: h264, size: 90, maxrate: 300k, preset: ultrafast, crf: 34'
ladder none 'codec: h264, size: 90, maxrate: 300k, preset: ultrafast, crf: 34' 'subtitles: none'
ladder hevc 'codec: hevc, size: 90, maxrate: 300k, preset: ultrafast, crf: 34'
ladder av1 'codec: av1, encoder: libsvtav1, size: 90, maxrate: 300k, preset: 12, crf: 50'
ladder copy-h264 'codec: h264, size: 180, copy: when-compatible, maxrate: 9M'
ladder copy-av1 'codec: av1, encoder: libsvtav1, preset: 12, size: 180, copy: when-compatible, maxrate: 9M'

# ---- clips: 7 s of 29.97 pictures a second, with B pictures ----
ff() { ffmpeg -nostdin -v error "$@" </dev/null; }
draw() { # OUT ARGS...
    local out=$1
    shift
    ff -f lavfi -i testsrc2=size=320x180:rate=30000/1001 -frames:v 210 -pix_fmt yuv420p "$@" "$out"
}
draw base.mp4 -c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -b-pyramid normal -g 30
draw hevc.mp4 -c:v libx265 -preset ultrafast -x265-params bframes=3:keyint=30:log-level=none
draw av1.mp4 -c:v libsvtav1 -preset 12 -g 30 2>encoder.log
draw plain-av1.mp4 -c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -g 30 # SVT's header isn't copied
draw mpeg2.ts -c:v mpeg2video -bf 2 -g 15 -b:v 1M

# A frame lasts 33.37 ms: 40, 70, 90, 100, 130, 150 … are at 1.335, 2.336, 3.003, 3.337, 4.338 s.
cat >script <<'S'
pop 1 40 70 HELLO, WORLD|CAF^ ##
pop 1 100 130 <SECOND> & LAST
roll 1 140 ROLLING UP
roll 1 165 ANOTHER LINE
erase 1 190
pop 3 90 140 EL SEGUNDO
text 1 194 HIDDEN TEXT
xds 170 TITLE OF IT
S
cat >vtt.1 <<'V'
00:00:01.335 --> 00:00:02.336
HELLO, WORLD
CAFÉ ♪♪

00:00:03.337 --> 00:00:04.338
&lt;SECOND&gt; &amp; LAST

00:00:04.872 --> 00:00:05.706
ROLLING UP

00:00:05.706 --> 00:00:06.340
ROLLING UP
ANOTHER LINE
V
cat >vtt.3 <<'V'
00:00:03.003 --> 00:00:04.671
EL SEGUNDO
V
with() { # HOW IN OUT [SCRIPT]
    "$captions" "$1" "$2" "$3" "${4:-script}"
}

# ---- facts ----
package() { # CLIP [LADDER [OPTION...]]
    local clip=$1 ladder=${2:-all}
    shift $(($# < 2 ? $# : 2))
    rm -rf out
    "$gopmill" run "$clip" --ladder "./$ladder.yaml" --output out --slots 2 "$@"
}

no_bits() { # "GA94" is what A/53 begins with
    ! cat out/video/*/*.m4s | grep -aq GA94
}

# The cues of a track are those of a file, moved by so many milliseconds at most.
says() { # TRACK FILE [SLACK-MS]
    awk -v slack="${3:-1}" '
        function ms(t, p) { split(t, p, /[:.]/); return ((p[1] * 60 + p[2]) * 60 + p[3]) * 1000 + p[4] }
        function off(a, b) { return ms(a) - ms(b) > slack || ms(b) - ms(a) > slack }
        FNR == NR { if (NF) want[++n] = $0; next }
        /^(WEBVTT|NOTE)/ || !NF { next }
        { have = $0; $0 = want[++i]; split(have, h, " ")
          if ($2 == "-->" ? off($1, h[1]) || off($3, h[3]) : $0 != have) { print have " is not " $0; bad = 1 } }
        END { if (i != n) { print i + 0 " lines instead of " n; bad = 1 }; exit bad }' "$2" "out/text/$1/all.vtt"
}

both_channels() { # SOURCE LANGUAGE SLACK
    no_bits && says "sub-$2-cc1" vtt.1 "$3" && says "sub-$2-cc3" vtt.3 "$3" &&
        [ "$(find out/text -name all.vtt | wc -l)" -eq 2 ] &&
        [ "$(jq '.warnings | length' out/job.json)" -eq 0 ] && "$verify" out --source "$1"
}

become_subtitles() { # HOW IN OUT [SLACK-MS]
    with "$1" "$2" "$3" && grep -aq GA94 "$3" && package "$3" && both_channels "$3" und "${4:-1}"
}

of_a_track() { # HOW OUT
    with "$1" base.mp4 "$2" && package "$2" && both_channels "$2" spa 1
}

# One in 17 pictures tells its time; every second one, and none begins with its packet.
without_times() { # HOW...
    "$pes" "$@" <h264.ts >untold.ts && package untold.ts && no_bits && says sub-und-cc1 vtt.1 1 && says sub-und-cc3 vtt.3 1 &&
        "$verify" out --source untold.ts
}

# Two recordings end to end: the second one's captions follow the first one's.
joined() {
    cat h264.ts h264.ts >joined.ts && package joined.ts && "$verify" out --source joined.ts &&
        [ "$(grep -c '^HELLO' out/text/sub-und-cc1/all.vtt)" -eq 2 ] && [ "$(grep -c . out/text/sub-und-cc3/all.vtt)" -eq 5 ]
}

manifests_name_them() {
    local accessible='public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound'
    grep -qxF "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subs\",NAME=\"CC1\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS=\"$accessible\",URI=\"text/sub-und-cc1/index.m3u8\"" out/master.m3u8 &&
        grep '#EXT-X-STREAM-INF' out/master.m3u8 | grep -q 'SUBTITLES="subs",CLOSED-CAPTIONS=NONE' &&
        [ "$(grep -c 'value="caption"' out/manifest.mpd)" -eq 2 ]
}

however_it_is_cut() {
    package h264.mp4 && mv out/text whole && package h264.mp4 all --chunk-seconds 1 &&
        cmp whole/sub-und-cc1/all.vtt out/text/sub-und-cc1/all.vtt && no_bits && rm -rf whole &&
        "$verify" out --source h264.mp4
}

none_are_wanted() {
    package h264.mp4 none && [ ! -e out/text ] && no_bits && ! grep -i subtitles out/master.m3u8 &&
        "$verify" out --source h264.mp4
}

no_encoder_keeps_them() {
    for codec in hevc av1; do
        package h264.mp4 "$codec" && no_bits && says sub-und-cc1 vtt.1 || return
    done
}

no_copy_keeps_them() { # SOURCE LADDER
    package "$1" "$2" && no_bits && says sub-und-cc1 vtt.1 &&
        jq -e '.renditions[] | select(.name == "v") | .encoder == "copy"' out/job.json && "$verify" out --source "$1"
}

# Only pictures that say something carry any, from the fifth second on.
begin_late() {
    with sparse base.mp4 late.mkv <(echo 'pop 1 150 180 LATE') && package late.mkv &&
        grep -qx LATE out/text/sub-und-cc1/all.vtt && [ ! -e out/text/sub-und-cc3 ] && "$verify" out --source late.mkv
}

left_on_the_screen() {
    with pictures base.mp4 left.mp4 <(echo 'pop 1 100 0 THE LAST') && package left.mp4 &&
        grep -qx '00:00:03.337 --> 00:00:07.007' out/text/sub-und-cc1/all.vtt && "$verify" out --source left.mp4
}

padding_says_nothing() {
    with pictures base.mp4 padding.mp4 /dev/null && package padding.mp4 && [ ! -e out/text ] && no_bits &&
        [ "$(jq '.warnings | length' out/job.json)" -eq 0 ] && "$verify" out --source padding.mp4
}

others_are_told() {
    with service base.mp4 service.mkv && package service.mkv && [ ! -e out/text ] && no_bits &&
        jq -r '.warnings[]' out/job.json | grep 'of CEA-708 alone'
}

# They aren't found where nobody looks.
begin_late_in_mp4() {
    with sparse base.mp4 late.mp4 <(echo 'pop 1 150 180 LATE') && package late.mp4 && no_bits && [ ! -e out/text ] &&
        [ "$(jq -r '.warnings[]' out/job.json)" = 'the captions in its pictures are left out: none of those that were looked at for the plan has any' ]
}

# The second half before the first one: cues go with their pictures.
as_an_edit_list_shows_them() {
    with pictures base.mp4 plain.mp4 && ff -i plain.mp4 -f lavfi -i anoisesrc=sample_rate=48000:duration=7 \
        -map 0:v -map 1:a -c:v copy -c:a aac -ac 1 sound.mp4 &&
        "$edits" set sound.mp4 edited.mp4 '3000,46046,1;3000,16016,1' '' && package edited.mp4 &&
        { "$verify" out --source edited.mp4 --json >edited.json || true; } &&
        jq -e '.checks[] | select(.id == "source.text") | .ok' edited.json &&
        grep -qx 'EL SEGUNDO' out/text/sub-und-cc3/all.vtt &&
        [ "$(grep -c '^HELLO' out/text/sub-und-cc1/all.vtt)" -eq 2 ]
}

# gopmill verify says that ID fails after the command, in a copy.
breaks() { # ID COMMAND...
    local id=$1
    shift
    rm -rf bad && cp -r good bad && (cd bad && "$@") || return
    ! "$verify" bad --source h264.mp4 --json >bad.json || return
    jq -e --arg id "$id" '.checks[] | select(.id == $id) | .ok | not' bad.json || { cat bad.json && return 1; }
}

fact "captions in SEI of H.264, in MP4" become_subtitles pictures base.mp4 h264.mp4
rm -rf good && cp -r out good
fact "playlists and manifest name the channels" manifests_name_them
fact "verify misses a word" breaks source.text sed -i 's/HELLO/HALLO/' text/sub-und-cc1/all.vtt
fact "verify misses a caption" breaks source.text sed -i '/EL SEGUNDO/,$d; /00:03.003/d' text/sub-und-cc3/all.vtt
fact "verify sees one that comes late" breaks source.text sed -i 's/^00:00:03.337/00:00:03.370/' text/sub-und-cc1/all.vtt
fact "verify sees one that stays too long" breaks source.text sed -i 's/00:00:04.338$/00:00:04.438/' text/sub-und-cc1/all.vtt
fact "however the source is cut" however_it_is_cut
fact "a ladder that wants none has none, nor have its pictures" none_are_wanted
fact "no encoder keeps them in the pictures" no_encoder_keeps_them
fact "no copy of H.264 does" no_copy_keeps_them h264.mp4 copy-h264
fact "in Matroska" become_subtitles pictures base.mp4 h264.mkv
fact "in MPEG-TS" become_subtitles pictures base.mp4 h264.ts
fact "of pictures that don't tell their times" without_times strip 17
fact "of pictures that begin within packets" without_times shift 300 2
fact "of recordings joined end to end" joined
fact "in SEI of HEVC" become_subtitles pictures hevc.mp4 hevc-cc.mp4
fact "in metadata of AV1" become_subtitles pictures av1.mp4 av1-cc.mp4
with pictures plain-av1.mp4 plain-av1-cc.mp4
fact "no copy of AV1 keeps them" no_copy_keeps_them plain-av1-cc.mp4 copy-av1
fact "in user data of MPEG-2" become_subtitles pictures mpeg2.ts mpeg2-cc.ts
fact "in MPEG-PS, which hasn't all times" become_subtitles pictures mpeg2.ts mpeg2-cc.mpg
fact "in a track c608" of_a_track track c608.mp4
fact "in a track c708" of_a_track track708 c708.mp4
fact "that begin late, and not in every picture" begin_late
fact "that begin late in MP4 are told" begin_late_in_mp4
fact "what nobody takes away stays to the end" left_on_the_screen
fact "padding is no captions" padding_says_nothing
fact "what is of CEA-708 alone is told" others_are_told
fact "an edit list moves them as it does the picture" as_an_edit_list_shows_them

# Those of a GOP come with its first picture in the order of decoding, which is shown third.
on_a_dvd() {
    with dvd mpeg2.ts dvd.vob && package dvd.vob && says sub-und-cc1 vtt.1 100 && says sub-und-cc3 vtt.3 100 &&
        "$verify" out --source dvd.vob
}
fact "as DVDs have them" on_a_dvd
finish
