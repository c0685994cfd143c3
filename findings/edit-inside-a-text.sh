#!/bin/sh
# libavformat's MP4 demuxer, of an edit that begins inside of a text.
#
# Version   Debian 12's FFmpeg 5.1 (the run prints which).
# Guess     Texts of 3 to 4 s and of 6 to 7.5 s; cut at 3.4 s by an edit list, their times are 0.4 s
#           before the cut and 2.6 s behind it (ISO/IEC 14496-12, 8.6.6): whole samples of text may
#           begin before the edit, but keep their times.
# Seen      The second one comes at 2.0 s: all texts move by as much as the first one began before
#           the edit. Read without edit lists, the times are right.
#
# Exits with 0 while that holds, and with 1 once it changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
ffmpeg -version | head -n 1

printf '%s\n' 1 '00:00:03,000 --> 00:00:04,000' two '' 2 '00:00:06,000 --> 00:00:07,500' three >t.srt
ffmpeg -v error -f lavfi -i testsrc=s=64x64:r=25:d=9 -i t.srt -map 0 -map 1 -c:v libx264 -g 25 -bf 0 \
    -c:s mov_text whole.mp4
ffmpeg -v error -ss 3.4 -i whole.mp4 -map 0 -c copy cut.mp4

# Of the packet that says "three" (two bytes of length, and the word).
time_of() { # OPTION...
    ffprobe -v error "$@" -select_streams s -show_entries packet=pts_time,size -of csv=p=0 cut.mp4 | sed -n 's/,7$//p'
}
edited=$(time_of) media=$(time_of -ignore_editlist 1)
echo "with the edit list at $edited s; in the media, of which the edit begins at 0.4 s, at $media s"
[ "$edited" = 2.000000 ] && [ "$media" = 3.000000 ]
