#!/bin/bash
# Loudness as the ladder asks for it (EBU R 128): what is decoded from the
# package has the target, by ffmpeg's own meter, and no peak above its limit;
# a track whose peaks don't allow it says so, silence stays silence, and
# the same source gives the same bytes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL

ladder() { # NAME KEYS: stereo in AAC and Opus, and 5.1
    cat >"$1.yaml" <<Y
name: $1
segment_seconds: 4
defaults:
  aac: { $2 }
  opus: { $2 }
audio:
  - { name: a, codec: aac, bitrate: 128k }
  - { name: o, codec: opus, bitrate: 96k }
  - { name: six, codec: aac, bitrate: 320k, channels: 6 }
Y
}
ladder quiet 'loudness: -23'
ladder loud 'loudness: -16, true_peak: -1.5'

ff() { ffmpeg -nostdin -v error "$@" </dev/null; }
# Noise that swells, as speech does; peaks far above its loudness.
noise() { # AMPLITUDE SEED
    echo "anoisesrc=color=pink:seed=$2:r=48000:d=16:amplitude=$1,volume='0.3+0.7*abs(sin(t*2.1))':eval=frame"
}
ff -f lavfi -i "$(noise 0.5 1)" -f lavfi -i "$(noise 0.5 2)" -filter_complex '[0][1]amerge=2' -c:a flac noise.mka
ff -f lavfi -i "$(noise 0.02 3)" -f lavfi -i "$(noise 0.02 4)" -filter_complex '[0][1]amerge=2' -c:a flac soft.mka
ff -f lavfi -i "aevalsrc='0.02*sin(2*PI*500*t)+0.9*sin(2*PI*900*t)*lt(mod(t\\,4)\\,0.01)|0.02*sin(2*PI*500*t)':d=16:s=48000" \
    -c:a flac clicks.mka
ff -f lavfi -i 'anullsrc=r=44100:cl=stereo' -t 6 -c:a aac silent.m4a
for seed in 5 6 7 8 9 10; do six+=(-f lavfi -i "$(noise 0.25 $seed)"); done
ff "${six[@]}" -filter_complex 'amerge=6,aformat=channel_layouts=5.1(side)' -c:a ac3 -b:a 448k six.mka

package() { # CLIP LADDER
    rm -rf "$1.p"
    "$gopmill" run "$1" --ladder "./$2.yaml" --output "$1.p" >"$1.said" 2>&1
    local status=$?
    cat "$1.said"
    return $status
}

# Integrated loudness and true peak of a rendition, as ffmpeg hears it.
heard() { # CLIP RENDITION
    cat "$1.p/audio/$2/init.mp4" "$1.p/audio/$2"/seg-*.m4s >x.mp4
    ffmpeg -nostdin -i x.mp4 -af ebur128=peak=true:framelog=verbose -f null - 2>&1 |
        awk '/Summary/ { on = 1 } on && $1 == "I:" { i = $2 } on && $1 == "Peak:" { p = $2 }
            END { print i, p }'
}

is_at() { # CLIP RENDITION TARGET PEAK-LIMIT
    heard "$1" "$2" | awk -v want="$3" -v most="$4" '{ print
        exit !($1 > want - 0.5 && $1 < want + 0.5 && $2 <= most) }'
}

receipt() { # CLIP JQ-FILTER: true
    jq '.renditions[] | .loudness' "$1.p/job.json"
    jq -e "$2" "$1.p/job.json" >/dev/null
}

fact "noise becomes a package at -23 LUFS" package noise.mka quiet
for r in a o six; do
    fact "noise, $r: it is there, and no peak above -1 dB" is_at noise.mka $r -23 -1
done
fact "what was measured is in the receipt" receipt noise.mka \
    '[.renditions[].loudness | (.measured + .gain - .target) | fabs] | max < 0.011'
fact "and told" grep -E '^a: -[0-9.]+ LUFS by [+-][0-9.]+ dB to -23.0' noise.mka.said

fact "soft noise becomes a package at -16 LUFS" package soft.mka loud
fact "soft noise, a: by a lot of gain" is_at soft.mka a -16 -1.5
fact "soft noise, o" is_at soft.mka o -16 -1.5
fact "the receipt says how much" receipt soft.mka '.renditions[0].loudness.gain > 15'

fact "5.1 becomes a package at -23 LUFS" package six.mka quiet
fact "5.1, as stereo" is_at six.mka a -23 -1
fact "5.1, as it is" is_at six.mka six -23 -1
fact "each mix was measured" receipt six.mka \
    '.renditions[0].loudness.measured != .renditions[2].loudness.measured'

fact "clicks don't stop a package" package clicks.mka loud
for r in a o; do
    fact "clicks, $r: their peak stays below the limit" eval \
        "heard clicks.mka $r | awk '{ print; exit !(\$2 <= -1.5 && \$1 < -20) }'"
done
fact "and that the target isn't reached is said in words" jq -e \
    '.warnings[] | select(test("rendition a has -[0-9.]+ LUFS, not -16.0: its peaks"))' clicks.mka.p/job.json

fact "silence becomes a package" package silent.m4a loud
fact "it stays as it was" receipt silent.m4a '[.renditions[].loudness | .gain == 0 and .measured == -70] | all'
fact "and nobody is warned" receipt silent.m4a '.warnings == []'

cp -r noise.mka.p first
fact "the same again" package noise.mka quiet
fact "gives the same bytes" diff -r first/audio noise.mka.p/audio
finish
