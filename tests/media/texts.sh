#!/bin/bash
# Subtitles of a source are subtitles of its package: the same words at the
# same times, cut where the video is, named in every manifest; what can't be
# text is told, and spoils nothing.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL verify=$GOPMILL_VERIFY clips=$GOPMILL_TEST_CLIPS

ladder() { # NAME FURTHER-LINE
    cat >"$1.yaml" <<Y
name: $1
segment_seconds: 2
gop_seconds: 1
$2
video:
  - { name: v, codec: h264, size: 90, maxrate: 300k, preset: ultrafast, crf: 34 }
audio:
  - { name: a, codec: aac, bitrate: 64k }
Y
}
ladder all ''
ladder none 'subtitles: none'

# ---- clips ----
ff() { ffmpeg -nostdin -v error "$@" </dev/null; }

cat >one.srt <<'S'
1
00:00:00,500 --> 00:00:01,500
Hello, <i>world</i>

2
00:00:01,250 --> 00:00:07,250
{\an8}A <b>long</b> one &
of two lines

3
00:00:05,000 --> 00:00:05,900
x < y > z -->

4
00:00:11,500 --> 00:00:20,000
Beyond the end

5
00:00:30,000 --> 00:00:31,000
Never shown
S
sed 's/Hello, .*/Grüß Gott/; s/Beyond.*/Über das Ende hinaus/' one.srt >two.srt
cat >three.ass <<'S'
[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,20,&H00FFFFFF,&H000000FF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,2,2,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 1,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\pos(10,20)\c&H00FF00&}Signs, {\b1}bold{\b0}\Nand {\u1}lined
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\shad4}Signs, {\b1}bold{\b0}\Nand {\u1}lined
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\p1}m 0 0 l 100 0 100 100{\p0}
Dialogue: 0,0:00:06.00,0:00:07.00,Default,,0,0,0,,Last
S
awk 'BEGIN { for (i = 0; i < 100002; i++)
    printf "%d\n00:00:%02d,%03d --> 00:00:11,999\n%d\n\n", i + 1, i / 10000, i / 10 % 1000, i }' >flood.srt
awk 'BEGIN { for (i = 0; i < 20000; i++) { printf "%d\n00:00:00,100 --> 00:00:11,999\n%d ", i + 1, i
    for (k = 0; k < 60; k++) printf "many words "; print "\n" } }' >wide.srt

ff -f lavfi -i testsrc2=size=320x180:rate=25:duration=12 -f lavfi -i sine=duration=12 \
    -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -b:a 64k base.mp4
ff -i base.mp4 -i one.srt -i two.srt -i three.ass -f lavfi -i sine=duration=12 -map 0:v -map 4:a \
    -map 1 -map 2 -map 3 -c copy -c:a flac \
    -metadata:s:s:0 language=eng -metadata:s:s:0 title='The "whole" text' -disposition:s:0 default \
    -metadata:s:s:1 language=ger -disposition:s:1 forced \
    -metadata:s:s:2 language=eng -disposition:s:2 hearing_impaired three.mkv
ff -i base.mp4 -i one.srt -i two.srt -map 0:v -map 0:a -map 1 -map 2 -c copy -c:s mov_text \
    -metadata:s:s:0 language=eng -metadata:s:s:1 language=deu two.mp4
# A part of it without encoding: an edit list hides what lies before.
ff -ss 3.4 -i two.mp4 -map 0 -c copy cut.mp4
ff -i base.mp4 -i one.srt -map 0:v -map 1 -c copy silent.mkv
ff -i base.mp4 -i one.srt -map 0:v -map 0:a -map 1 -c copy -c:s webvtt -metadata:s:s:0 language=fre web.mkv
ff -i base.mp4 -i one.srt -i flood.srt -i wide.srt -map 0:v -map 0:a -map 1 -map 2 -map 3 -c copy flood.mkv
# One track is noise, the other is not.
ff -i three.mkv -map 0:v -map 0:a -map 0:s:2 -map 0:s:0 -c copy -bsf:s:0 noise=amount=2 noise.mkv

# ---- facts ----
package() { # CLIP [LADDER]
    rm -rf out
    "$gopmill" run "$1" --ladder "./${2:-all}.yaml" --output out --slots 2
}

becomes_right() { # CLIP TRACKS
    package "$1" && "$verify" out --source "$1" --no-decode || return
    [ "$(find out/text -name all.vtt | wc -l)" -eq "$2" ]
}

has() { # FILE LINE...
    local file=$1
    shift
    for line; do
        grep -qxF -- "$line" "$file" || { echo "no '$line' in $file:" && cat "$file" && return 1; }
    done
}

warns() { # WORDS
    jq -r '.warnings[]' out/job.json | grep -F -- "$1" || { jq .warnings out/job.json && return 1; }
}

a_film_with_three_tracks() {
    becomes_right three.mkv 3 || return
    has out/text/sub-eng/all.vtt '00:00:00.500 --> 00:00:01.500' 'Hello, <i>world</i>' \
        '00:00:01.250 --> 00:00:07.250 line:0' 'A <b>long</b> one &amp;' 'of two lines' \
        'x &lt; y &gt; z --&gt;' '00:00:11.500 --> 00:00:12.000' 'Beyond the end' &&
        ! grep Never out/text/sub-eng/all.vtt &&
        has out/text/sub-ger-forced/all.vtt 'Grüß Gott' &&
        has out/text/sub-eng-sdh/all.vtt 'Signs, <b>bold</b>' 'and <u>lined</u>' 'Last' &&
        [ "$(grep -c -- '-->' out/text/sub-eng-sdh/all.vtt)" -eq 2 ]
}

segments_repeat_what_spans_them() {
    for n in 1 2 3 4; do
        has out/text/sub-eng/seg-0000$n.vtt WEBVTT 'X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000' \
            '00:00:01.250 --> 00:00:07.250 line:0' || return
    done
    ! grep -- '-->' out/text/sub-eng/seg-00005.vtt
}

manifests_name_them() {
    has out/master.m3u8 \
        "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subs\",NAME=\"The 'whole' text\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,URI=\"text/sub-eng/index.m3u8\"" \
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="de (forced)",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI="text/sub-ger-forced/index.m3u8"' \
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="en (SDH)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound",URI="text/sub-eng-sdh/index.m3u8"' &&
        grep '#EXT-X-STREAM-INF' out/master.m3u8 | grep -q 'SUBTITLES="subs"' &&
        [ "$(grep -c 'mimeType="text/vtt"' out/manifest.mpd)" -eq 3 ] &&
        grep -q 'value="forced-subtitle"' out/manifest.mpd && grep -q 'value="caption"' out/manifest.mpd
}

a_player_reads_them() { # libavformat's reader of HLS, which is none of ours
    ff -strict experimental -allowed_extensions ALL -i out/master.m3u8 -map 0:s:0 -f srt played.srt || return
    grep -q '^Hello' played.srt && grep -q '^Beyond the end' played.srt && ! grep WEBVTT played.srt
}

nothing_left_out_where_it_is_not_wanted() {
    package three.mkv none && "$verify" out --no-decode && [ ! -e out/text ] &&
        ! grep -i subtitles out/master.m3u8
}

the_same_bytes_twice() {
    rm -rf first && package three.mkv && mv out/text first && package three.mkv &&
        diff -r first out/text &&
        rm -rf first
}

floods_are_left_out() {
    becomes_right flood.mkv 1 && warns 'more than 100000 cues' && warns 'would have more than 32 MiB'
}

noise_spoils_no_other() {
    package noise.mkv && "$verify" out --no-decode && [ -e out/text/sub-eng/all.vtt ] &&
        has out/text/sub-eng/all.vtt 'Beyond the end'
}

# gopmill verify says that ID fails after the command, in a copy.
breaks() { # ID COMMAND...
    local id=$1
    shift
    rm -rf bad && cp -r good bad && (cd bad && "$@") || return
    ! "$verify" bad --source three.mkv --no-decode --json >bad.json || return
    jq -e --arg id "$id" '.checks[] | select(.id == $id) | .ok | not' bad.json || { cat bad.json && return 1; }
}

without_its_second_cue() { sed -i '/01.250/,/^$/d' "$1"; }

fact "three tracks become WebVTT, and all that they say is there" a_film_with_three_tracks
fact "what spans segments is in each of them" segments_repeat_what_spans_them
fact "playlists and manifest name language, role and title" manifests_name_them
fact "another reader of HLS plays them" a_player_reads_them
rm -rf good && cp -r out good
fact "verify misses a cue in a segment" breaks text.cues without_its_second_cue text/sub-eng/seg-00002.vtt
fact "verify misses what the source says" breaks source.text sed -i 's/^Hello/Hallo/' text/sub-eng/all.vtt
fact "verify sees times that aren't the source's" breaks source.text \
    sed -i 's/^00:00:00.500/00:00:00.600/' text/sub-eng/all.vtt
fact "verify sees an end that isn't the source's" breaks source.text \
    sed -i 's/--> 00:00:05.900/--> 00:00:06.100/' text/sub-eng/all.vtt
fact "verify sees a segment without its time" breaks text.cues sed -i /X-TIME/d text/sub-eng/seg-00003.vtt
fact "verify sees other times than the video's" breaks text.times \
    sed -i 's/EXTINF:2.000000/EXTINF:1.990000/' text/sub-eng/index.m3u8
fact "verify sees another language" breaks text.named sed -i 's/LANGUAGE="de"/LANGUAGE="en"/' master.m3u8
fact "verify sees a track that the manifest lacks" breaks text.named \
    sed -i 's,text/sub-eng/all.vtt,text/sub-eng/seg-00001.vtt,' manifest.mpd
fact "verify misses a file" breaks files.named rm text/sub-ger-forced/all.vtt
fact "verify sees other bytes" breaks files.digest sed -i 's/world/World/' text/sub-eng/seg-00001.vtt
fact "mov_text becomes WebVTT" becomes_right two.mp4 2
fact "an edit list moves subtitles as it does the picture" becomes_right cut.mp4 2
fact "subtitles come without sound, too" becomes_right silent.mkv 1
fact "WebVTT in Matroska stays WebVTT" becomes_right web.mkv 1
fact "no subtitles where the ladder wants none" nothing_left_out_where_it_is_not_wanted
fact "the same source gives the same files" the_same_bytes_twice
fact "floods of cues are left out with a warning" floods_are_left_out
fact "a track of noise spoils no other" noise_spoils_no_other

# ---- real files ----
real() { # CLIP TRACKS
    package "$clips/$1" && "$verify" out --source "$clips/$1" --no-decode &&
        [ "$(find out/text -name all.vtt | wc -l)" -eq "$2" ]
}
only_a_warning() { # CLIP CODEC
    package "$clips/$1" && "$verify" out --source "$clips/$1" --no-decode && [ ! -e out/text ] &&
        warns "1 subtitle track(s) left out: $2 is not text"
}
for clip in d_sintel_2audio_sub_editlist.mp4:1 ax_sub_srt.mkv:1 ax_sub_ass.mkv:1 d_av1_opus_srt.mkv:1 nasa_13013.mp4:2; do
    if [ -f "$clips/${clip%:*}" ]; then
        fact "${clip%:*} keeps its subtitles" real "${clip%:*}" "${clip#*:}"
    else
        skip "${clip%:*} keeps its subtitles" "no such clip here"
    fi
done
for clip in ax_sub_pgs.mkv:hdmv_pgs_subtitle ax_sub_vobsub.mp4:dvd_subtitle; do
    if [ -f "$clips/${clip%:*}" ]; then
        fact "${clip%:*} is warned of" only_a_warning "${clip%:*}" "${clip#*:}"
    else
        skip "${clip%:*} is warned of" "no such clip here"
    fi
done
finish
