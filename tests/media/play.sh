#!/bin/bash
# A package plays from start to end by both manifests: every rendition gives
# all of its frames, and the sound all of its length. The player is ffmpeg.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL
seconds=13 fps=24

cat >three.yaml <<'Y'
name: three
gop_seconds: 1
segment_seconds: 3
video:
  - { name: h264, codec: h264, size: 180, maxrate: 2M, preset: veryfast, crf: 24 }
  - { name: hevc, codec: hevc, size: 180, maxrate: 2M, preset: superfast, crf: 28 }
  - { name: av1, codec: av1, encoder: libsvtav1, size: 180, maxrate: 2M, preset: 12, crf: 40 }
audio:
  - { name: aac, codec: aac, bitrate: 96k }
Y
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=$fps -f lavfi -i sine=sample_rate=48000 \
    -t $seconds -c:v libx264 -preset veryfast -g 60 -pix_fmt yuv420p -c:a aac clip.mp4
"$gopmill" run clip.mp4 --ladder three.yaml --output out --chunk-seconds 4 >run.log 2>&1 || cat run.log

# frames_of MANIFEST NUMBER: how many frames the NUMBERth video stream gives,
# without a word of complaint.
frames_of() {
    ffmpeg -nostdin -v warning -i "$PWD/out/$1" -map "0:v:$2" -f framecrc - 2>complaints | grep -vc '^#'
}

plays() { # plays MANIFEST NUMBER
    local n
    n=$(frames_of "$1" "$2")
    # ffmpeg's demuxers grumble about what they skip themselves.
    grep -vE 'Opening|skip|already|fragments|Could not find codec parameters' complaints | head -3
    echo "$n frames"
    [ "$n" -eq $((seconds * fps)) ]
}

# The clip's length, and up to three packets more: priming (ffmpeg doesn't
# leave it out of fragments), what fills up the last packet, and the one that
# the encoder ends with.
sounds() { # sounds MANIFEST
    ffmpeg -nostdin -y -v error -i "$PWD/out/$1" -map 0:a:0 -ac 1 -ar 48000 -f s16le sound.pcm
    local samples=$(($(stat -c %s sound.pcm) / 2))
    echo "$samples samples"
    [ $((samples - seconds * 48000)) -ge 0 ] && [ $((samples - seconds * 48000)) -le 3072 ]
}

for manifest in master.m3u8 manifest.mpd; do
    for n in 0 1 2; do
        fact "$manifest: video $n plays in full" plays $manifest $n
    done
    fact "$manifest: the sound plays in full" sounds $manifest
done
fact "the package is right by every rule" "$GOPMILL_VERIFY" out --source clip.mp4

# ---- a recording of a screen: some pictures stay for 1.6 s ----
# libavformat shows what has composition offsets below 0 later, by the least that it has met: by
# some frames from the first on, and never by a pause.
"$GOPMILL_BUILD/tests/media/numbered" make 300 320 180 25:1 |
    ffmpeg -nostdin -v error -f yuv4mpegpipe -i pipe:0 -vf "settb=1/90000,setpts='N*3600+floor((N+7)/37)*144000'" \
        -vsync passthrough -enc_time_base 1/90000 -video_track_timescale 90000 -c:v libx264 -preset veryfast -bf 2 -g 40 pause.mp4
sed '/av1/d; /audio/,$d; s/_seconds: .*/_seconds: 6/' three.yaml >two.yaml
"$gopmill" run pause.mp4 --ladder ./two.yaml --output paused --chunks 3 >run.log 2>&1 || cat run.log
times_of() { # FILE STREAM
    ffprobe -v error -allowed_extensions ALL -select_streams "v:$2" -show_entries packet=pts_time -of csv=p=0 "$1" | tr -d , | sort -n
}
in_step() { # MANIFEST NUMBER
    paste <(times_of pause.mp4 0) <(times_of "$PWD/paused/$1" "$2") | awk '
        NR == 1 { first = $2 - $1 }
        { d = $2 - $1 - first; worst = d * d > worst * worst ? d : worst }
        END { print NR " frames, late by " first " s, then by " worst " more"
            exit !(NR == 300 && first < 0.2 && worst < 0.001 && worst > -0.001) }'
}
for n in 0 1; do
    fact "pictures that stay don't delay those after them: video $n" in_step master.m3u8 $n
done
finish
