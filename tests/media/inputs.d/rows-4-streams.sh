# Rows about streams: which there are, and sound of all kinds.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

all='{"video":{"frames":100,"every":0.04}}'
row "no sound" "$all" a.mp4 silent a.mp4 $H264
heard() { # FILE OPTION...: sound alone
    local file=$1
    shift
    quiet_ffmpeg -i "$scratch/sound.wav" "$@" "$file"
}
row "sound only, M4A" '{"video":null}' a.m4a heard a.m4a $AAC
row "sound only, MP3" '{"video":null}' a.mp3 heard a.mp3 -c:a libmp3lame
long "sound only, WAV" '{"video":null}' a.wav heard a.wav -c:a pcm_s16le
long "sound only, FLAC" '{"video":null}' a.flac heard a.flac -c:a flac
long "sound only, Ogg" '{"video":null}' a.ogg heard a.ogg -c:a libvorbis
row "sound only, ADTS" '{"video":null}' a.aac heard a.aac $AAC
chained() { # FILE: two Ogg files, one after the other
    heard a.ogg -c:a libvorbis -t 2.5 && quiet_ffmpeg -ss 2.5 -i "$scratch/sound.wav" -c:a libvorbis b.ogg && cat a.ogg b.ogg >"$1"
}
row "sound only, two Ogg files end to end" '{"video":null,"outcome":"whole","sound":{"end":4.0},"warning":"start over"}' c.ogg chained c.ogg
covered() { # FILE OPTION...
    local file=$1
    shift
    quiet_ffmpeg -f lavfi -i testsrc2=size=300x300 -frames:v 1 cover.jpg
    quiet_ffmpeg -i "$scratch/sound.wav" -i cover.jpg -map 0:a -map 1:v -c:v mjpeg -disposition:v:0 attached_pic "$@" "$file"
}
long "sound and a cover, MP3" '{"video":null}' a.mp3 covered a.mp3 -c:a libmp3lame
row "sound and a cover, M4A" '{"video":null}' a.m4a covered a.m4a $AAC
row "a film and a cover" "$all" a.mp4 \
    eval 'clip f.mp4 $H264 $AAC && quiet_ffmpeg -f lavfi -i testsrc2=size=900x900 -frames:v 1 c.jpg && quiet_ffmpeg -i f.mp4 -i c.jpg -map 0 -map 1 -c copy -disposition:v:1 attached_pic a.mp4'

for sound in "ac3 ts" "eac3 mkv" "libopus mkv" "libvorbis mkv" "mp2 mkv" "libmp3lame mp4" "flac mkv" "alac mov" \
    "pcm_s16be mov" "pcm_s24le mkv" "pcm_f32le mkv" "pcm_mulaw mov" "dca ts"; do
    long "${sound% *} in ${sound#* }" "$all" a.${sound#* } clip a.${sound#* } $H264 -c:a ${sound% *} -strict experimental
done
row "5.1, AAC" "$all" a.mp4 clip a.mp4 $H264 $AAC -ac 6
row "5.1, AC-3" "$all" a.mkv clip a.mkv $H264 -c:a ac3 -ac 6
row "7.1, PCM" "$all" a.mov clip a.mov $H264 -c:a pcm_s16le -ac 8
row "mono, 8 kHz" "$all" a.mov clip a.mov $H264 -c:a pcm_s16le -ac 1 -ar 8000
long "22.05 kHz" "$all" a.mp4 clip a.mp4 $H264 $AAC -ar 22050
row "96 kHz" "$all" a.mkv clip a.mkv $H264 -c:a flac -ar 96000
twelve() {
    quiet_ffmpeg -i "$scratch/sound.wav" -f s16le pcm && quiet_ffmpeg -f s16le -ar 8000 -ac 12 -i pcm -i "$scratch/base.nut" -map 1:v -map 0:a $H264 -c:a pcm_s16le -t 4 "$1"
}
row "12 channels without names" "$all" a.mov twelve a.mov
row "sound whose rate and channels change" '{"video":{"frames":100,"every":0.04},"outcome":"whole","sound":{"end":4.0}}' c.ts \
    eval 'part a.ts 0 50 -output_ts_offset 1 && part b.ts 50 100 -ar 44100 -ac 1 -output_ts_offset 3 && cat a.ts b.ts >c.ts'

# ---- several ----
several() { # FILE
    quiet_ffmpeg -i "$scratch/base.nut" -i "$scratch/sound.wav" -f lavfi -i testsrc2=size=160x90:rate=25 -filter_complex "[1:a]asplit[x][y];[y]volume=0.5[z]" \
        -map 2:v -map 0:v -map "[x]" -map "[z]" -t 4 $H264 $AAC -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu "$@"
}
row "two pictures and two sounds" '{"video":{"frames":100,"every":0.04},"warning":"video stream.*left out"}' a.mp4 several a.mp4
row "two pictures, the small one is the default" '{"video":{"width":160,"height":90}}' a.mkv several -disposition:v:0 default -disposition:v:1 0 a.mkv
row "a track of data (timecode)" "$all" a.mov clip a.mov $H264 $AAC -timecode 01:00:00:00
texts() { # FILE CODEC
    printf '1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n00:00:02,000 --> 00:00:03,000\nWorld\n' >t.srt
    quiet_ffmpeg -i "$scratch/base.nut" -i "$scratch/sound.wav" -i t.srt -map 0:v -map 1:a -map 2:s $H264 $AAC -c:s $2 "$1"
}
long "text subtitles in MP4" "$all" a.mp4 texts a.mp4 mov_text
row "text subtitles in Matroska" "$all" a.mkv texts a.mkv srt
long "an attached font" "$all" a.mkv eval 'head -c 5000 /dev/urandom >f.ttf && clip a.mkv $H264 $AAC -attach f.ttf -metadata:s:t mimetype=application/x-truetype-font'
long "sound first in the file" "$all" a.mp4 eval 'clip b.mp4 $H264 $AAC && quiet_ffmpeg -i b.mp4 -map 0:a -map 0:v -c copy a.mp4'
row "one frame" '{"video":{"frames":1}}' a.mp4 silent a.mp4 $H264 -frames:v 1
long "one frame and sound" '{"video":{"frames":1}}' a.mp4 with before="-t 0.04" clip a.mp4 $H264 $AAC

# Two channels of one multiplex: the sound of the other one isn't a second language.
programmes() { # FILE
    quiet_ffmpeg -i "$scratch/base.nut" -i "$scratch/sound.wav" -f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine=880 -t 4 \
        -map 0:v -map 1:a -map 2:v -map 3:a -c:v mpeg2video -q:v 3 -c:a mp2 -program title=one:st=0:st=1 -program title=two:st=2:st=3 "$1"
}
row "two programmes in MPEG-TS" "${all%\}},\"sound\":{\"channels\":2},\"warning\":\"1 stream.*other programmes\"}" a.ts programmes a.ts
