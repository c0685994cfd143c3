#!/bin/bash
# What is heard is where it was: sound decoded from packages lines up with
# the picture as it did in the source, within half a frame of AAC, from the
# first second to the last, and has no joint. The clips' sound is pulses
# whose places are known by a formula (sounding.c finds them again).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL
sounding=$GOPMILL_BUILD/tests/media/sounding
seconds=12
tolerance=0.010667 # 512 samples of 48 kHz

# ---- ladders ----
ladder() { # NAME SEGMENT-SECONDS AUDIO-OPTIONS
    cat >"$1.yaml" <<Y
name: $1
gop_seconds: 1
segment_seconds: $2
defaults:
  h264: { preset: ultrafast, crf: 30 }
video:
  - { name: v, codec: h264, size: 90, maxrate: 1M }
audio:
  - { name: a, codec: aac, bitrate: 160k$3 }
Y
}
ladder stereo 2 ''
ladder short 1 ''
ladder long 30 ''
ladder fixed 2 ', sample_rate: 48000'

# ---- clips ----

# A pulse each 1.07 s, so that none can stand for another; the right channel
# is half as loud.
pulse='sin(2*PI*1000*t)*exp(-pow((mod(t\,1.07)-0.3)/0.005\,2))'
pulses="aevalsrc='0.5*$pulse|0.25*$pulse':d=$seconds:s"
ff() { ffmpeg -nostdin -v error "$@" </dev/null; }

"$GOPMILL_BUILD/tests/media/numbered" make $((seconds * 25)) 320 180 25:1 |
    ffmpeg -v error -f yuv4mpegpipe -i pipe:0 -c:v libx264 -preset ultrafast -bf 2 -g 50 v.mp4
sound48=(-f lavfi -i "$pulses=48000")
copy=(-map 0:v -map 1:a -c:v copy)
# Shifted sound comes from a file: lavfi's own timestamps would be mended.
ff "${sound48[@]}" s.wav

ff -i v.mp4 "${sound48[@]}" "${copy[@]}" -c:a aac -b:a 192k aac.mp4
ff -i v.mp4 "${sound48[@]}" "${copy[@]}" -c:a libopus -b:a 192k opus.mkv
ff -i v.mp4 "${sound48[@]}" "${copy[@]}" -c:a mp2 -b:a 256k mp2.ts
ff -i v.mp4 "${sound48[@]}" "${copy[@]}" -c:a aac -b:a 192k aac.ts
ff -i v.mp4 "${sound48[@]}" "${copy[@]}" -c:a pcm_s16le pcm.mov
ff -i v.mp4 "${sound48[@]}" "${copy[@]}" -c:a flac flac.mkv
for to in mp4 mkv ts; do
    ff -i v.mp4 -itsoffset 0.5 -i s.wav "${copy[@]}" -c:a aac -b:a 192k "late-sound.$to"
    ff -itsoffset 0.7 -i v.mp4 -i s.wav "${copy[@]}" -c:a aac -b:a 192k "late-video.$to"
done
# Packets of two seconds are missing; pulses of 4.58 and 5.65 with them.
ff -i opus.mkv -c copy -bsf:a "noise=drop=between(pts*tb\,4\,6)" hole.mkv
ff -i aac.ts -c copy -bsf:a "noise=drop=between((pts-startpts)*tb\,4\,6)" hole.ts
# The sound's clock runs by 2 in 1000 too slow; timestamps tell.
ff -i v.mp4 -i s.wav "${copy[@]}" -af 'asetpts=PTS*1.002' -c:a pcm_s16le drift.mkv
# The 33 bits of MPEG-TS begin anew after six seconds.
ff -i v.mp4 -i s.wav "${copy[@]}" -c:a aac -b:a 192k -output_ts_offset 95438 -mpegts_copyts 1 wrap.ts
ff -i v.mp4 -t 5 -i s.wav "${copy[@]}" -c:a aac -b:a 192k short.mp4
ff -t 5 -i v.mp4 -i s.wav "${copy[@]}" -c:a aac -b:a 192k longer.mp4
ff -i v.mp4 -f lavfi -i "$pulses=44100" "${copy[@]}" -c:a aac -b:a 192k cd.mp4
ff -i v.mp4 -f lavfi -i "aevalsrc='0.5*$pulse':d=$seconds:s=48000" "${copy[@]}" -c:a aac mono.mp4
p="0.2*$pulse"
ff -i v.mp4 -f lavfi -i "aevalsrc='$p|$p|$p|0*t|$p|$p':c=5.1:d=$seconds:s=48000" \
    "${copy[@]}" -c:a aac -b:a 384k six.mp4
ff -i s.wav -c:a aac -b:a 192k only.m4a
ff -i s.wav -c:a libmp3lame -b:a 192k only.mp3
ff -i s.wav -c:a libopus -b:a 192k only.ogg
# Cut without encoding: an edit list hides what lies before 1.3 s.
ff -ss 1.3 -i aac.mp4 -c copy cut.mp4

# ---- what is expected ----

# Where the formula's pulses are to be heard, those of FROM to TO left out.
formula() { # OFFSET FACTOR FROM TO
    awk -v o="$1" -v f="$2" -v from="$3" -v to="$4" -v d=$seconds 'BEGIN {
        for (t = 0.3; t < d - 0.05; t += 1.07)
            if (t < from || t > to) printf "%.6f\n", t * f + o }'
}

heard() { # AUDIO [VIDEO]: the pulses' places
    "$sounding" pulses "$@" | awk '$1 ~ /^-?[0-9]/ { print $1 }'
}

# Every pulse of `want` is in `got`, at its place, and no other.
compare() { # WANT GOT
    paste "$1" "$2" | awk -v most=$tolerance -v n="$(wc -l <"$1")" -v m="$(wc -l <"$2")" '
        { off = $2 - $1; off = off < 0 ? -off : off; worst = off > worst ? off : worst }
        END { printf "%d pulses, expected %d; the farthest is off by %.6f s\n", m, n, worst
              exit !(n > 0 && n == m && worst <= most) }' || { paste "$1" "$2"; return 1; }
}

# ---- packages ----
package() { # CLIP LADDER
    rm -rf "$1.p"
    "$gopmill" run "$1" --ladder "./$2.yaml" --output "$1.p" --slots 2 || return 1
    cat "$1.p"/audio/a/init.mp4 "$1.p"/audio/a/seg-*.m4s >"$1.a.mp4"
    [ ! -d "$1.p/video" ] || cat "$1.p"/video/v/init.mp4 "$1.p"/video/v/seg-*.m4s >"$1.v.mp4"
}

picture() { # the file that holds CLIP's picture, if there is one
    [ ! -e "$1.v.mp4" ] || echo "$1.v.mp4"
}

in_place() { # CLIP
    # shellcheck disable=SC2046 # one word or none
    heard "$1.a.mp4" $(picture "$1") >got
    compare "$1.want" got
}

in_place_by_hls() { # CLIP
    if [ -e "$1.v.mp4" ]; then
        heard "$1.p/master.m3u8" "$1.p/master.m3u8" >got
    else
        heard "$1.p/master.m3u8" >got
    fi
    compare "$1.want" got
}

# From 0 on, to the end of the source, without a gap between frames.
whole() { # CLIP LAST
    "$sounding" pulses "$1.a.mp4" >all
    grep -E 'gap|start|end' all
    ! grep -q gap all &&
        awk -v last="$2" '/start/ { s = $2 } /end/ { e = $2 }
            END { exit !(s > -0.000001 && s < 0.000001 && e >= last - 0.03 && e <= last + 0.05) }' all
}

# Peaks of the channels, within a tenth. RIGHT is - where there is but one.
levels() { # CLIP LEFT RIGHT
    "$sounding" pulses "$1.a.mp4" | awk -v l="$2" -v r="$3" '
        function off(x, want) { return x < 0.9 * want || x > 1.1 * want }
        $1 ~ /^-?[0-9]/ { n++; print; bad += off($2, l) || (r == "-" ? NF > 2 : off($3, r)) }
        END { exit bad || n == 0 }'
}

# ---- facts ----

lines_up() { # CLIP LADDER LEFT RIGHT LAST OFFSET [FACTOR FROM TO]
    local clip=$1
    formula "$6" "${7:-1}" "${8:--1}" "${9:--1}" >"$clip.want"
    fact "$clip becomes a package" package "$clip" "$2"
    fact "$clip: every pulse is heard where it was" in_place "$clip"
    fact "$clip: also by its playlists" in_place_by_hls "$clip"
    fact "$clip: sound from 0 to the end, without a gap" whole "$clip" "$5"
    fact "$clip: both channels, as loud as they were" levels "$clip" "$3" "$4"
}

lines_up aac.mp4 stereo 0.5 0.25 12 0
fact "and gopmill verify agrees" "$gopmill" verify aac.mp4.p --source aac.mp4
# libavformat's Matroska muxer counts the delay of Opus, 7 ms, once too often,
# and once more in a copy.
lines_up opus.mkv stereo 0.5 0.25 12 -0.007
lines_up mp2.ts stereo 0.5 0.25 12 0
lines_up aac.ts stereo 0.5 0.25 12 0
lines_up pcm.mov stereo 0.5 0.25 12 0
lines_up flac.mkv stereo 0.5 0.25 12 0
for to in mp4 mkv ts; do
    lines_up late-sound.$to stereo 0.5 0.25 12.5 0.5
    lines_up late-video.$to stereo 0.5 0.25 12.7 -0.7
done
fact "and gopmill verify agrees" "$gopmill" verify late-video.mkv.p --source late-video.mkv
lines_up hole.mkv stereo 0.5 0.25 12 -0.014 1 3.9 6.1
lines_up hole.ts stereo 0.5 0.25 12 0 1 3.9 6.1
lines_up wrap.ts stereo 0.5 0.25 12 0
lines_up short.mp4 stereo 0.5 0.25 12 0 1 4.9 99
lines_up longer.mp4 stereo 0.5 0.25 12 0
lines_up drift.mkv stereo 0.5 0.25 12 0 1.002
lines_up cd.mp4 stereo 0.5 0.25 12 0
lines_up cd.mp4 fixed 0.5 0.25 12 0
lines_up mono.mp4 stereo 0.5 - 12 0
# Left, and 3 dB less of the centre and of what is behind.
lines_up six.mp4 stereo 0.483 0.483 12 0
lines_up only.m4a stereo 0.5 0.25 12 0
lines_up only.mp3 stereo 0.5 0.25 12 0
lines_up only.ogg stereo 0.5 0.25 12 0

heard cut.mp4 cut.mp4 >cut.mp4.want
fact "cut.mp4 becomes a package" package cut.mp4 stereo
fact "cut.mp4: an edit list moves sound and picture alike" in_place cut.mp4

# ---- joints ----
sine() { # NAME LADDER CHUNKS [CLIP]
    "$gopmill" run "${4-sine.mp4}" --ladder "./$2.yaml" --chunks "$3" --output "sine-$1" --slots 2 || return 1
    cat "sine-$1"/audio/a/init.mp4 "sine-$1"/audio/a/seg-*.m4s >"sine-$1.mp4"
    "$sounding" sine "sine-$1.mp4" 2000 >"sine-$1.told"
    cat "sine-$1.told"
}
smooth() { # NAME: even in level, and no corner in the wave
    cat "sine-$1.told"
    awk '{ exit !($1 > 11.9 && $2 > 0.3 && $3 > 0.95 * $2 && $4 < 1.1) }' "sine-$1.told"
}
same_sound() { # what the packets hold, whatever the segments
    local a b
    a=$(ff -i "sine-$1.mp4" -c copy -f adts - | md5sum)
    b=$(ff -i "sine-$2.mp4" -c copy -f adts - | md5sum)
    echo "$a" "$b"
    [ "$a" = "$b" ]
}
segments() { # DIR AT-LEAST
    find "$1" -name 'seg-*' | wc -l | awk -v n="$2" '{ print; exit !($1 >= n) }'
}
ff -i v.mp4 -f lavfi -i "aevalsrc='0.5*sin(2*PI*2000*t)|0.5*sin(2*PI*2000*t)':d=$seconds:s=48000" \
    "${copy[@]}" -c:a pcm_s16le sine.mov && mv sine.mov sine.mp4
fact "a sine in segments of 1 s" sine many short 6
fact "there are many" segments sine-many/audio/a 11
fact "a sine in one segment" sine one long 1
fact "there is one" eval '! segments sine-one/audio/a 2'
fact "one segment is a clean sine" smooth one
fact "many are as clean" smooth many
fact "sound does not depend on chunks and segments" same_sound many one

# A clock that is off by 1 in 1000, in either direction: bent, not torn.
for factor in 1.001 0.999; do
    ff -i v.mp4 -i sine.mp4 "${copy[@]}" -af "asetpts=PTS*$factor" -c:a pcm_s16le sine-$factor.mkv
    fact "a sine whose stamps run by $factor" sine $factor short 3 sine-$factor.mkv
    fact "is one without a joint" smooth $factor
done
finish
