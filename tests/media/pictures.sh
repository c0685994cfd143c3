#!/bin/bash
# Posters and storyboards show what the film shows at their times, upright and
# whole, whatever the source is; playlists and manifest find every tile.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL verify=$GOPMILL_VERIFY clips=$GOPMILL_TEST_CLIPS
numbered=$GOPMILL_BUILD/tests/media/numbered

ladder() { # NAME POSTER STORYBOARD
    cat >"$1.yaml" <<Y
name: $1
segment_seconds: 4
gop_seconds: 2
poster: $2
storyboard: $3
video:
  - { name: v, codec: h264, size: 90, maxrate: 300k, preset: ultrafast, crf: 34 }
Y
}
ladder at '{ size: 180, at: 7.5 }' '{ size: 180, every: 2, columns: 3, rows: 2 }'
ladder often '{ size: 180 }' '{ size: 90, every: 0.5, columns: 10, rows: 10 }'
ladder auto '{ size: 720, format: jpeg, at: auto }' '{}'

ff() { ffmpeg -nostdin -v error "$@" </dev/null; }
numbers() { # FRAMES, as many pictures behind one another as there are seconds of 25
    "$numbered" make "$1" 320 180 25:1
}
# A keyframe each five seconds; 20 s, and 125 frames a GOP.
numbers 500 | ffmpeg -v error -f yuv4mpegpipe -i pipe:0 -c:v libx264 -preset ultrafast -bf 2 \
    -g 125 -x264-params scenecut=0:open-gop=0 n.mp4
ff -i n.mp4 -c copy n.mkv
ff -i n.mp4 -c copy n.ts
ff -ss 6 -i n.mp4 -c copy cut.mp4 # an edit list hides what lies before
ff -i n.mp4 -map 0:v -c copy -metadata:s:v:0 rotate=90 turned.mp4
# Six seconds of night, then a picture, then night again.
ff -f lavfi -i 'color=black:size=320x180:rate=25:duration=4' -f lavfi -i 'testsrc2=size=320x180:rate=25:duration=2' \
    -f lavfi -i 'color=black:size=320x180:rate=25:duration=14' -filter_complex concat=n=3 \
    -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p night.mp4
ff -i n.mp4 -an -c:v mpeg2video -flags +ildct+ilme -field_order tt -b:v 2M -g 12 -bf 2 laced.ts

package() { # CLIP LADDER
    rm -rf out
    "$gopmill" run "$1" --ladder "./$2.yaml" --output out --slots 2
}
becomes_right() { package "$1" "$2" && "$verify" out --source "$1" --no-decode; }

# The numbers that the tiles of all sheets show, in order.
tiles() { # LAYOUT
    local sheet
    for sheet in out/storyboard/sheet-*.jpg; do
        ff -i "$sheet" -vf "untile=$1,format=yuv420p" -f yuv4mpegpipe -strict -1 - | "$numbered" read - |
            awk '{ printf "%s ", $3 }'
    done
}
shows() { # NUMBERS, then black ones
    local got
    got=$(tiles 3x2)
    [ "${got% }" = "$1" ] || { echo "shows $got, expected $1" && return 1; }
}
poster_shows() { # NUMBER
    ff -i out/poster.jpg -pix_fmt yuv420p -f yuv4mpegpipe -strict -1 - | "$numbered" read - | tee got |
        awk -v want="$1" '{ exit $3 != want }' || { cat got && return 1; }
}
size_is() { # FILE WxH
    [ "$(ffprobe -v error -show_entries stream=width,height -of csv=p=0:s=x "$1")" = "$2" ]
}

# A tile is its first keyframe, or else the very frame of its time.
right_tiles() { becomes_right "$1" at && shows '0 50 125 150 200 250 300 375 400 450 0 0'; }
right_poster() { poster_shows 187 && size_is out/poster.jpg 320x180; }
cut_tiles() { becomes_right cut.mp4 at && shows '150 200 250 300 375 400 450 0 0 0 0 0' && poster_shows 337; }
many_tiles() {
    becomes_right n.mp4 often && size_is out/storyboard/sheet-00001.jpg 1600x900 &&
        [ "$(grep -c xywh out/storyboard/index.vtt)" -eq 40 ] && ff -i out/poster.jpg -f null -
}
upright() {
    becomes_right turned.mp4 auto && size_is out/poster.jpg 180x320 &&
        size_is out/storyboard/sheet-00001.jpg 900x1600 &&
        ff -i out/poster.jpg -vf transpose=clock -pix_fmt yuv420p -f yuv4mpegpipe -strict -1 - |
        "$numbered" read - | awk '{ exit !($3 > 0 && $3 < 500) }'
}
by_day() {
    becomes_right night.mp4 auto || return
    ff -i out/poster.jpg -vf scale=1:1,format=gray -f rawvideo - | od -An -tu1 | awk '{ exit $1 < 40 }'
}
not_combed() { becomes_right laced.ts at && size_is out/poster.jpg 320x180 && poster_near 187; }
poster_near() { # NUMBER
    ff -i out/poster.jpg -pix_fmt yuv420p -f yuv4mpegpipe -strict -1 - | "$numbered" read - |
        awk -v want="$1" '{ d = $3 - want; exit d * d > 1 }'
}
the_same_bytes_twice() {
    package n.mp4 at && rm -rf first && mkdir first && cp -r out/poster.jpg out/storyboard first &&
        package n.mp4 at && cmp first/poster.jpg out/poster.jpg && diff -r first/storyboard out/storyboard
}

breaks() { # ID COMMAND...
    local id=$1
    shift
    rm -rf bad && cp -r out bad && (cd bad && "$@") || return
    ! "$verify" bad --no-decode --json >bad.json || return
    jq -e --arg id "$id" '.checks[] | select(.id == $id) | .ok | not' bad.json || { cat bad.json && return 1; }
}

fact "tiles show the frames of their times" right_tiles n.mp4
fact "a poster shows the frame that was asked for" right_poster
fact "verify misses a sheet" breaks pictures.files rm storyboard/sheet-00002.jpg
fact "verify sees a sheet that is no picture" breaks pictures.files cp job.json storyboard/sheet-00001.jpg
fact "verify sees other bytes" breaks files.digest cp storyboard/sheet-00001.jpg storyboard/sheet-00002.jpg
fact "verify sees a tile in another place" breaks pictures.named sed -i 's/xywh=320,0/xywh=0,0/' storyboard/index.vtt
fact "verify sees another layout" breaks pictures.named sed -i 's/LAYOUT=3x2/LAYOUT=2x3/' storyboard/index.m3u8
fact "verify sees what the manifest lacks" breaks pictures.named sed -i 's,image/jpeg,image/png,' manifest.mpd
fact "tiles of Matroska are the same" right_tiles n.mkv
fact "tiles of a transport stream are the same" right_tiles n.ts
fact "an edit list moves them" cut_tiles
fact "two tiles a second" many_tiles
fact "portraits stand upright" upright
fact "a poster isn't black where there is light" by_day
fact "interlaced pictures aren't combed" not_combed
fact "the same source gives the same files" the_same_bytes_twice
for clip in ax_editlist_hlg_rot90.mp4 sony_a7m3_1080i50.mts c_zero_hole.mp4 mb_cursed_vfr.mp4 ax_bbb_642_vp9.webm; do
    if [ -f "$clips/$clip" ]; then
        fact "$clip has its pictures" becomes_right "$clips/$clip" auto
    else
        skip "$clip has its pictures" "no such clip here"
    fi
done
finish
