#!/bin/sh
# libavformat's MP4 demuxer, of an edit that begins inside of a picture.
#
# Version   npm's @ffmpeg-installer/linux-x64 4.1.0 (a build of FFmpeg, whose own version the run
#           prints); Debian 12's FFmpeg 5.1.9 does the same.
# Guess     Pictures of 3 s each, and an edit list whose one edit begins at media time 1 s: the
#           first picture is shown for the 2 s that are left of it, then the second one (ISO/IEC
#           14496-12, 8.6.6: the edit maps media time to presentation time).
# Seen      The first picture isn't shown at all. The second one is at 0 s instead of 2 s, and so all
#           that follows is 2 s early against its sound.
#
# Exits with 0 while that holds, and with 1 once it changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-save --prefix . @ffmpeg-installer/linux-x64@4.1.0 >/dev/null
ffmpeg=$(find node_modules -name ffmpeg -type f | head -n 1)
chmod +x "$ffmpeg"
"$ffmpeg" -version | head -n 1

# Three pictures of 3 s; then the same from 1 s on, as an edit list and nothing else.
"$ffmpeg" -v error -f lavfi -i testsrc=s=64x64:r=1/3:d=9 -c:v libx264 -bf 0 -g 10 stills.mp4
"$ffmpeg" -v error -ss 1 -i stills.mp4 -c copy cut.mp4

pictures() { "$ffmpeg" -v error -i "$1" -vsync passthrough -f framemd5 - | sed '/^#/d; s/ //g'; }
second=$(pictures stills.mp4 | sed -n 2p | cut -d, -f6)
shown=$(pictures cut.mp4 | head -n 1)
echo "picture at time 0: $shown; the second picture of the file: $second"
[ "$(echo "$shown" | cut -d, -f3)" = 0 ] && [ "$(echo "$shown" | cut -d, -f6)" = "$second" ]
