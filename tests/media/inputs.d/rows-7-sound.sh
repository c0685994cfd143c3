# Rows about sound whose kind changes in mid-stream, and about codecs of telephones, whose packets
# have any number of frames.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# The last pair is broken: there is nothing behind that would tell.
row "stamps of sound in pairs, up to the end" '{"video":null,"quiet":true}' a.mkv \
    heard a.mkv -ar 16000 -c:a aac -frames:a 42 -bsf:a 'setts=pts=ceil(N/2)*128:dts=ceil(N/2)*128'

# joined_sound FILE FIRST SECOND: options of two recordings, 2 s each, as one MPEG-TS.
joined_sound() {
    heard a.ts -t 2 $2 -output_ts_offset 1 && heard b.ts -ss 2 -t 2 $3 -output_ts_offset 3 && cat a.ts b.ts >"$1"
}
row "AC-3 of two channels, then of six" '{"video":null,"quiet":true}' a.ts joined_sound a.ts "-c:a ac3" "-ac 6 -c:a ac3"
row "AAC of 44.1, then of 48 kHz" '{"video":null,"quiet":true}' a.ts joined_sound a.ts "-ar 44100 -c:a aac" "-c:a aac"
long "AAC of one channel, then of two" '{"video":null,"quiet":true}' a.ts joined_sound a.ts "-ac 1 -c:a aac" "-ac 2 -c:a aac"
long "MP2 of 48, then of 32 kHz and one channel" '{"video":null,"quiet":true}' a.ts joined_sound a.ts "-c:a mp2" "-ar 32000 -ac 1 -c:a mp2"
long "E-AC-3 of six channels, then of two" '{"video":null,"quiet":true}' a.ts joined_sound a.ts "-ac 6 -c:a eac3" "-c:a eac3"

# amr FILE MAGIC HEADER BYTES: 200 frames of 20 ms, of noise: nothing here encodes AMR.
amr() {
    LC_ALL=C awk -v magic="$2" -v head="$3" -v n="$4" 'BEGIN {
        printf "%s\n", magic; srand(1)
        for (i = 0; i < 200; i++) { printf "%c", head; for (k = 0; k < n; k++) printf "%c", 1 + int(rand() * 255) } }' >noise.amr &&
        quiet_ffmpeg -i noise.amr -c copy "$1"
}
row "AMR in 3GP" '{"video":null,"sound":{"end":4},"quiet":true}' a.3gp amr a.3gp '#!AMR' 60 31
long "AMR wideband in 3GP" '{"video":null,"sound":{"end":4},"quiet":true}' a.3gp amr a.3gp '#!AMR-WB' 68 60
long "AMR" '{"video":null,"sound":{"end":4},"quiet":true}' a.amr amr a.amr '#!AMR' 60 31

long "G.722" '{"video":null,"quiet":true}' a.wav heard a.wav -ar 16000 -ac 1 -c:a g722
long "G.723.1" '{"video":null,"quiet":true}' a.wav heard a.wav -ar 8000 -ac 1 -c:a g723_1
long "GSM in QuickTime" '{"video":null,"quiet":true}' a.mov heard a.mov -ar 8000 -ac 1 -c:a libgsm
long "Speex in FLV" '{"video":null,"quiet":true}' a.flv heard a.flv -ar 16000 -ac 1 -c:a libspeex
long "ADPCM (Shockwave)" '{"video":null,"quiet":true}' a.flv heard a.flv -ar 44100 -c:a adpcm_swf
long "Nellymoser" '{"video":null,"quiet":true}' a.flv heard a.flv -ar 22050 -ac 1 -c:a nellymoser
long "ADPCM (IMA) in Matroska" '{"video":null,"quiet":true}' a.mkv heard a.mkv -c:a adpcm_ima_wav
long "384 kHz" '{"video":null,"quiet":true}' a.wav heard a.wav -ar 384000 -c:a pcm_s24le
