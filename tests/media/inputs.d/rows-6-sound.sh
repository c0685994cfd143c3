# Rows about sound whose packets, stamps or length are unusual.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# Several frames in a packet, of which one has a time.
row "ADPCM (IMA), several frames in a packet" '{"video":null,"sound":{"end":4.09},"quiet":true}' a.wav heard a.wav -ar 11025 -ac 1 -c:a adpcm_ima_wav
row "ADPCM (Yamaha)" '{"video":null,"quiet":true}' a.wav heard a.wav -c:a adpcm_yamaha
long "ADPCM (Microsoft) and a picture, AVI" '{"video":{"frames":100,"every":0.04}}' a.avi clip a.avi -c:v mjpeg -c:a adpcm_ms
long "ADPCM (QuickTime) and a picture" '{"video":{"frames":100,"every":0.04}}' a.mov clip a.mov $H264 -c:a adpcm_ima_qt
long "GSM (Microsoft)" '{"video":null,"quiet":true}' a.wav heard a.wav -ar 8000 -ac 1 -c:a libgsm_ms
# Stamps of whole frames to and fro: each pair has the first one's.
in_pairs='round(floor(N/2)*2*1024/44.1)-23'
row "stamps of sound in pairs" '{"video":null,"quiet":true}' a.mkv \
    heard a.mkv -ar 44100 -c:a aac -bsf:a "setts=pts=$in_pairs:dts=$in_pairs"
row "twenty samples of sound" '{"video":null,"quiet":true}' a.wav \
    quiet_ffmpeg -f lavfi -i sine=400:r=8000 -af atrim=end_sample=20 -c:a pcm_s16le a.wav
long "3 kHz" '{"video":null,"quiet":true}' a.wav heard a.wav -ar 3000 -c:a pcm_s16le
long "192 kHz" '{"video":null,"quiet":true}' a.wav heard a.wav -ar 192000 -c:a pcm_s24le

# ---- sound without a picture ----
apart() { # FILE PICTURES SECONDS DELAY: so many pictures, that begin so late, beside so much sound
    local file=$1
    quiet_ffmpeg -i "$scratch/base.nut" -frames:v $2 $H264 v.mp4
    quiet_ffmpeg -f lavfi -i sine=400:r=48000:d=$3 $AAC s.m4a
    quiet_ffmpeg -itsoffset $4 -i v.mp4 -i s.m4a -map 0 -map 1 -c copy "$file"
}
row "one picture and 8 s of sound" '{"video":{"frames":13},"outcome":"whole","sound":{"end":8.0},"warning":"the last one stays"}' a.mp4 apart a.mp4 1 8 0
row "4 s of picture and 9 s of sound" '{"video":{"frames":108},"outcome":"whole","sound":{"end":9.0},"warning":"the last one stays"}' a.mkv apart a.mkv 100 9 0
long "4 s of picture and 1 s of sound" '{"video":{"frames":100,"every":0.04},"sound":{"end":4.0}}' a.mp4 apart a.mp4 100 1 0
hurt_end() { # FILE: as apart, with nothing but zeros in the last two pictures
    apart "$1" 100 9 0
    ffprobe -v error -select_streams v -show_entries packet=pos,size -of default=nw=1 "$1" | tail -n 4 | paste - - | tr '=\t' '  ' |
        while read -r _ size _ pos; do
            dd if=/dev/zero of="$1" bs=1 seek=$pos count=$size conv=notrunc status=none || return
        done
}
long "4 s of picture that ends in damage, and 9 s of sound" '{"outcome":"damaged","video":{"frames":108},"sound":{"end":9.0}}' a.mp4 hurt_end a.mp4
