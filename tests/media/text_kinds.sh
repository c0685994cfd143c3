#!/bin/bash
# Text tracks whose kind libavcodec has no decoder for, or only where it is built
# with one: WebVTT of Matroska and MP4, TTML, teletext. They become WebVTT, and the
# verifier reads the same in them.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
textmux=$GOPMILL_BUILD/tests/media/textmux clips=$GOPMILL_TEST_CLIPS

cat >one.yaml <<'Y'
name: one
segment_seconds: 2
gop_seconds: 1
video:
  - { name: v, codec: h264, size: 90, maxrate: 300k, preset: ultrafast, crf: 34 }
Y
sed 's/gop_seconds/subtitles: none\n&/' one.yaml >none.yaml
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=160x90:rate=25:duration=12 -c:v libx264 -preset ultrafast \
    -g 25 -pix_fmt yuv420p film.mp4 </dev/null

"$textmux" webvtt film.mp4 block.mkv <<'L'
500 1000 line:0;align:start Hello <b>there</b>
2000 1500 - <v Fred>Two|lines &amp; <i>more</i>
2500 1000 position:10% Over
9000 1000 region:x <00:09.500>Last
L
boxes='0 500 -
500 1000 line:0 Hello <b>there</b>
1500 500 -
2000 500 - Long
2500 500 - Long
2500 500 position:10% Over &amp; out
3000 500 - Long
3500 8500 -'
"$textmux" wvtt film.mp4 boxes.mp4 <<<"$boxes"
"$textmux" wvtt film.mp4 fragments.mp4 fragments <<<"$boxes"
cat >a.ttml <<'X'
<?xml version="1.0" encoding="utf-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en" xmlns:tts="http://www.w3.org/ns/ttml#styling"
  xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="25" ttp:tickRate="1000">
<head><styling><style xml:id="b" tts:fontWeight="bold"/></styling>
<layout><region xml:id="top" tts:origin="10% 10%" tts:extent="80% 30%"/></layout></head>
<body begin="1s"><div>
<p begin="00:00:00:05" end="2000t" region="top">At the <span style="b">top</span><br/>of it</p>
<p begin="2s" dur="3s">Here<span begin="1s"> and later</span></p>
<p begin="7.5s" end="9s">Over the end of a sample</p>
</div></body></tt>
X
sed 's/<body begin="1s">/<body begin="500s">/' a.ttml >far.ttml
"$textmux" stpp film.mp4 documents.mp4 <<'L'
0 9000 - a.ttml
9000 3000 - a.ttml
L
"$textmux" stpp film.mp4 far.mp4 <<'L'
0 9000 - a.ttml
9000 3000 - far.ttml
L
LC_ALL=C sed 's,S_TEXT/WEBVTT,S_TEXT/USF\x00\x00\x00,' block.mkv >usf.mkv
pages='1000 0 888 Hello there
2500 0 888
4000 0 888 ^Two lines|of text
5000 0 888 ^Two lines|of text
6000 0 777 Hallo
7000 0 888
11000 0 777'
"$textmux" pages film.mp4 pages.ts eng2888,deu5777,eng1100 <<<"$pages"
"$textmux" pages film.mp4 undescribed.ts eng1100 <<<"$pages"
ffmpeg -nostdin -v error -i film.mp4 -c copy film.ts </dev/null
cat film.ts pages.ts >later.ts

package() { # CLIP [LADDER]
    rm -rf out
    "$GOPMILL" run "$1" --ladder "./${2:-one}.yaml" --output out --slots 2
}

cues() { # FILE
    sed -n '/-->/,/^$/p' "$1" | sed 's/ --> /-/' | paste -sd'|' | sed 's/||/\n/g; s/|$//'
}

# What is in TRACK, a cue a line, is what stands on stdin.
says() { # CLIP TRACK
    package "$1" && "$GOPMILL_VERIFY" out --source "$1" --no-decode || return
    diff - <(cues "out/text/$2/all.vtt")
}

warns() { # WORDS
    jq -r '.warnings[]' out/job.json | grep -F -- "$1" || { jq .warnings out/job.json && return 1; }
}

block() {
    says block.mkv sub-eng <<'C'
00:00:00.500-00:00:01.500 line:0 align:start|Hello <b>there</b>
00:00:02.000-00:00:03.500|Two|lines &amp; <i>more</i>
00:00:02.500-00:00:03.500 position:10%|Over
00:00:09.000-00:00:10.000|Last
C
}
boxes() { # CLIP
    says "$1" sub-und <<'C'
00:00:00.500-00:00:01.500 line:0|Hello <b>there</b>
00:00:02.000-00:00:03.500|Long
00:00:02.500-00:00:03.000 position:10%|Over &amp; out
C
}
documents() {
    says documents.mp4 sub-en <<'C'
00:00:01.200-00:00:03.000 line:0|At the <b>top</b>|of it
00:00:03.000-00:00:04.000|Here
00:00:04.000-00:00:06.000|Here and later
00:00:08.500-00:00:10.000|Over the end of a sample
C
}
far() { package far.mp4 && warns '1 documents whose texts are all outside of their own time'; }
pages() {
    says pages.ts sub-eng <<'C' &&
00:00:01.000-00:00:02.500|Hello there
00:00:04.000-00:00:07.000 line:0|Two lines|of text
C
        [ "$(cues out/text/sub-deu-sdh/all.vtt)" = '00:00:06.000-00:00:11.000|Hallo' ] &&
        [ "$(find out/text -name all.vtt | wc -l)" -eq 2 ] && grep -q 'LANGUAGE="de".*CHARACTERISTICS' out/master.m3u8 &&
        jq -e '[.extras[] | .page] == [888, 777]' out/job.json
}
undescribed() {
    says undescribed.ts sub-eng <<'C'
00:00:01.000-00:00:02.500|Hello there
00:00:04.000-00:00:06.000 line:0|Two lines|of text
00:00:06.000-00:00:07.000|Hallo
C
}
later() {
    says later.ts sub-eng <<'C'
00:00:13.000-00:00:14.500|Hello there
00:00:16.000-00:00:19.000 line:0|Two lines|of text
C
}
left_out() {
    package pages.ts none && package block.mkv none && package documents.mp4 none && [ ! -e out/text ]
}
named() {
    package usf.mkv && warns "1 subtitle track(s) left out: S_TEXT/USF can't be read here"
}
# Another text in the package than in the source is seen.
seen() { # CLIP
    package "$1" && sed -i 's/ll/lL/' out/text/*/all.vtt && sed -i 's/ere/erE/' out/text/*/all.vtt || return
    ! "$GOPMILL_VERIFY" out --source "$1" --no-decode --json >bad.json || return
    jq -e '.checks[] | select(.id == "source.text") | .ok | not' bad.json
}
real() {
    package "$clips/second/webvtt_in_matroska.mkv" && "$GOPMILL_VERIFY" out --no-decode &&
        grep -q 'line:10%' out/text/sub-und/all.vtt && [ "$(jq '.warnings | length' out/job.json)" -eq 0 ]
}

fact "WebVTT of Matroska keeps words, times and settings" block
fact "WebVTT in boxes of MP4 does, and what goes on is one cue" boxes boxes.mp4
fact "so it does in fragments, whose samples have no duration" boxes fragments.mp4
fact "TTML has its own times, of which its sample shows a part" documents
fact "TTML whose times are all outside of its sample's is told" far
if ffmpeg -hide_banner -decoders 2>/dev/null | grep -q libzvbi; then
    fact "teletext becomes a track for each page of subtitles" pages
    fact "teletext whose pages nobody describes is one track" undescribed
    fact "teletext that only a recording behind another has is there" later
    fact "verify sees other words in teletext" seen pages.ts
else
    skip "teletext becomes text" "libavcodec has no libzvbi"
fi
fact "a kind that nobody reads is told by the container's name" named
fact "none of them where the ladder wants none" left_out
for clip in block.mkv boxes.mp4 documents.mp4; do fact "verify sees other words in $clip" seen $clip; done
if [ -f "$clips/second/webvtt_in_matroska.mkv" ]; then
    fact "mkvmerge's WebVTT is kept" real
else
    skip "mkvmerge's WebVTT is kept" "no such clip here"
fi
finish
