#!/bin/bash
# Several tracks of sound: each becomes a track of every group, with its
# language, its purpose and its own sound in its place; the default one is
# the source's. Each track of the clips is pulses at places of its own, so
# that none is taken for another.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL verify=$GOPMILL_VERIFY clips=$GOPMILL_TEST_CLIPS
sounding=$GOPMILL_BUILD/tests/media/sounding
seconds=12
tolerance=0.010667 # 512 samples of 48 kHz

# ---- ladders ----
ladder() { # NAME TOP-LEVEL-LINE AUDIO...
    {
        printf 'name: %s\ngop_seconds: 1\nsegment_seconds: 2\n%s\n' "$1" "$2"
        printf 'defaults:\n  h264: { preset: ultrafast, crf: 30 }\n'
        printf 'video:\n  - { name: v, codec: h264, size: 90, maxrate: 1M }\naudio:\n'
        shift 2
        printf '  - { %s }\n' "$@"
    } >"$1.yaml"
}
ladder two '' 'name: a, codec: aac, bitrate: 128k' 'name: o, codec: opus, bitrate: 96k'
ladder six '' 'name: a, codec: aac, bitrate: 320k, channels: 6' 'name: o, codec: opus, bitrate: 256k, channels: 6'
ladder one 'audio_tracks: default' 'name: a, codec: aac, bitrate: 96k'

# ---- clips ----
ff() { ffmpeg -nostdin -v error "$@" </dev/null; }
# A pulse each 1.07 s from OFFSET on.
pulse() { # OFFSET
    printf '0.5*sin(2*PI*1000*t)*exp(-pow((mod(t-%s+10.7\\,1.07)-0.3)/0.005\\,2))' "$1"
}
track() { # OFFSET DURATION: an input
    in+=(-f lavfi -i "aevalsrc='$(pulse "$1")':d=$2:s=48000")
}
"$GOPMILL_BUILD/tests/media/numbered" make $((seconds * 25)) 320 180 25:1 |
    ffmpeg -v error -f yuv4mpegpipe -i pipe:0 -c:v libx264 -preset ultrafast -bf 2 -g 50 v.mp4
in=()
track 0 12
track 0.2 12
track 0.4 9
track 0.6 12
ff -i v.mp4 "${in[@]}" -map 0:v -map 1:a -map 2:a -map 3:a -map 4:a -c:v copy -c:a flac \
    -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -metadata:s:a:1 'title=Die "Fassung"' \
    -metadata:s:a:2 language=eng -metadata:s:a:3 language=eng \
    -disposition:a:0 0 -disposition:a:1 default -disposition:a:2 comment \
    -disposition:a:3 visual_impaired four.mkv
ff -i v.mp4 "${in[@]:0:4}" -itsoffset 0.5 "${in[@]:4:4}" -map 0:v -map 1:a -map 2:a -c:v copy \
    -c:a aac -b:a 96k late.mp4
ff "${in[@]:0:12}" -map 0:a -map 1:a -map 2:a -c:a aac -b:a 96k -metadata:s:a:0 language=spa \
    -metadata:s:a:1 language=fra only.mp4
# The second track is noise from the first packet on.
ff -i v.mp4 "${in[@]:0:8}" -map 0:v -map 1:a -map 2:a -c:v copy -c:a ac3 -b:a 96k plain.mkv
ff -i plain.mkv -map 0 -c copy -bsf:a:1 noise=amount=1 broken.mkv

# 5.1: all channels at full scale, each its own tone; and speech alone.
tones=
for hz in 220 330 440 60 550 660; do tones="$tones|sin(2*PI*$hz*t)"; done
ff -f lavfi -i "aevalsrc='${tones#|}':c=5.1(side):d=6:s=48000" -c:a pcm_f32le loud.mkv
ff -f lavfi -i "aevalsrc='0|0|0.5*sin(2*PI*400*t)|0|0|0':c=5.1:d=4:s=48000" -c:a pcm_s16le speech.mov

# ---- helpers ----
package() { # CLIP LADDER
    rm -rf "$1.p"
    "$gopmill" run "$1" --ladder "./$2.yaml" --output "$1.p" --slots 2
}

# The pulses of a rendition stand where the formula has them.
in_place() { # CLIP RENDITION OFFSET UNTIL
    cat "$1.p/audio/$2/init.mp4" "$1.p/audio/$2"/seg-*.m4s >x.mp4
    "$sounding" pulses x.mp4 >heard
    awk -v most=$tolerance -v o="$3" -v until="$4" '
        /gap/ { bad = 1; print }
        $1 ~ /^-?[0-9]/ && $1 < until { n++; at = $1 - o - 0.3; k = at / 1.07
            off = at - 1.07 * int(k + 0.5); off = off < 0 ? -off : off
            worst = off > worst ? off : worst }
        $1 ~ /^-?[0-9]/ && $1 >= until { bad = 1; print }
        END { printf "%d pulses, the farthest is off by %.6f s\n", n, worst
              exit bad || n < until / 1.07 - 1 || worst > most }' heard
}

has() { # FILE LINE...: each is there, as a whole
    local file=$1 line
    shift
    cat "$file"
    for line in "$@"; do
        grep -qxF -- "$line" "$file" || { echo "not there: $line" && return 1; }
    done
}

count() { # N FILE PATTERN
    grep -c -- "$3" "$2" | awk -v n="$1" '{ print; exit !($1 == n) }'
}

tasks() { # DIR: ids of the tasks of sound
    jq -r '[.run.tasks[].id | select(startswith("a-"))] | join(" ")' "$1/job.json"
}

# verify fails, and says so by this check.
breaks() { # CHECK FILE SED-EXPRESSION
    rm -rf bad && cp -r four.mkv.p bad && rm -rf bad/.gopmill
    sed -i "$3" "bad/$2"
    ! cmp -s "bad/$2" "four.mkv.p/$2" || { echo "nothing was changed" && return 1; }
    "$verify" bad --source four.mkv --no-decode --json >out.json
    jq -r '.checks[] | select(.ok | not) | "\(.id): \(.detail)"' out.json
    jq -e --arg id "$1" '.checks[] | select(.id == $id) | .ok | not' out.json >/dev/null
}

media() { # GROUP NAME LANGUAGE FLAGS FOLDER
    printf '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="%s",NAME="%s",LANGUAGE="%s",%s,CHANNELS="1",URI="audio/%s/index.m3u8"' "$@"
}

# ---- facts ----
fact "four tracks in two codecs become a package" package four.mkv two
fact "and gopmill verify agrees, sound for sound" "$verify" four.mkv.p --source four.mkv
fact "each track was one task" eval '[ "$(tasks four.mkv.p)" = "a-0 a-1 a-2 a-3" ]'
aac=("$(media a "Die 'Fassung'" de DEFAULT=YES,AUTOSELECT=YES a)"
    "$(media a en en DEFAULT=NO,AUTOSELECT=YES a-eng)"
    "$(media a 'en (commentary)' en DEFAULT=NO,AUTOSELECT=NO a-eng-2)"
    "$(media a 'en (description)' en \
        'DEFAULT=NO,AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.describes-video"' a-eng-3)")
fact "the AAC group names each of them" has four.mkv.p/master.m3u8 "${aac[@]}"
opus=("${aac[@]//GROUP-ID=\"a\"/GROUP-ID=\"o\"}")
fact "the Opus group has the same" has four.mkv.p/master.m3u8 "${opus[@]//audio\/a/audio/o}"
fact "the picture is there once for each group" count 2 four.mkv.p/master.m3u8 '^#EXT-X-STREAM-INF'
fact "in the manifest each track is a set, for each codec" count 9 four.mkv.p/manifest.mpd '<AdaptationSet'
for role in commentary description alternate; do
    fact "two of them have the role $role" count 2 four.mkv.p/manifest.mpd "role:2011\" value=\"$role\""
done
fact "and two the title as a label" count 2 four.mkv.p/manifest.mpd "<Label>Die 'Fassung'</Label>"
for codec in a o; do
    fact "$codec: the default track in its place" in_place four.mkv $codec 0.2 12
    fact "$codec: the second" in_place four.mkv $codec-eng 0 12
    fact "$codec: the one that ends early" in_place four.mkv $codec-eng-2 0.4 9
    fact "$codec: the last" in_place four.mkv $codec-eng-3 0.6 12
done

fact "verify: two defaults in a group" breaks hls.groups master.m3u8 '0,/DEFAULT=NO,AUTOSELECT=YES/s//DEFAULT=YES,AUTOSELECT=YES/'
fact "verify: no default" breaks hls.groups master.m3u8 's/DEFAULT=YES/DEFAULT=NO/'
fact "verify: a name twice" breaks hls.groups master.m3u8 's/NAME="en (commentary)"/NAME="en"/'
fact "verify: a track that one group hasn't" breaks hls.groups master.m3u8 '/URI="audio\/o-eng-2/d'
fact "verify: a language of its own in the manifest" breaks dash.tracks manifest.mpd '0,/lang="en"/s//lang="fr"/'
fact "verify: another role than the default's" breaks dash.tracks manifest.mpd '0,/value="main"/!s//value="dub"/'
fact "verify: a language that the source hasn't" breaks source.tracks master.m3u8 's/LANGUAGE="de"/LANGUAGE="fr"/'
fact "verify: the receipt names another stream" breaks source.tracks job.json 's/"stream": 2,/"stream": 1,/'

other_skip() { # dOps: version, channels, then how many samples to skip
    local at
    rm -rf bad && cp -r four.mkv.p bad
    at=$(grep -abo dOps bad/audio/o/init.mp4 | head -n 1 | cut -d: -f1)
    printf '\x01\x39' | dd of=bad/audio/o/init.mp4 bs=1 seek=$((at + 6)) conv=notrunc status=none
    "$verify" bad --no-decode --json >out.json
    jq -e '.checks[] | select(.id == "init.edits") | .ok | not' out.json
}
fact "verify: Opus that tells two delays" other_skip

fact "a track that begins late becomes a package" package late.mp4 two
fact "it is heard late" in_place late.mp4 a-2 0.7 12.5
fact "the other one isn't" in_place late.mp4 a 0 12
fact "and gopmill verify agrees" "$verify" late.mp4.p --source late.mp4 --no-decode

fact "a ladder may keep the default track alone" package four.mkv one
fact "there is one rendition of sound" eval '[ "$(ls four.mkv.p/audio)" = a ]'
fact "and gopmill verify agrees" "$verify" four.mkv.p --source four.mkv --no-decode

fact "sound alone in three tracks becomes a package" package only.mp4 two
fact "each group is a variant" count 2 only.mp4.p/master.m3u8 '^#EXT-X-STREAM-INF'
fact "and gopmill verify agrees" "$verify" only.mp4.p --source only.mp4 --no-decode
fact "a track in its place" in_place only.mp4 a-fra 0.2 12
fact "one without a language has its number" in_place only.mp4 a-3 0.4 9

fact "a broken second track doesn't stop the first" package broken.mkv two
fact "it is left out with a word" jq -e '.warnings[] | select(test("can.t be decoded and is left out"))' broken.mkv.p/job.json
fact "and gopmill verify agrees" "$verify" broken.mkv.p --source broken.mkv --no-decode

peak() { # CLIP RENDITION: of what is decoded, dB of full scale
    cat "$1.p/audio/$2/init.mp4" "$1.p/audio/$2"/seg-*.m4s >x.mp4
    ffmpeg -nostdin -v info -i x.mp4 -af 'aformat=flt,atrim=0.5:3.5,astats=measure_perchannel=0' -f null - 2>&1 |
        awk -F ': ' '/Peak level dB/ { print $2 }'
}
peaks() { # CLIP RENDITION LEAST MOST
    peak "$1" "$2" | awk -v least="$3" -v most="$4" '{ print; exit !($1 >= least && $1 <= most) }'
}
fact "5.1 at full scale becomes stereo" package loud.mkv two
fact "speech in 5.1 becomes stereo" package speech.mov two
for codec in a o; do
    fact "$codec: full scale does not clip, and is loud" peaks loud.mkv $codec -3 0
    fact "$codec: speech is 3 dB lower on either side, as it was" peaks speech.mov $codec -9.4 -8.6
done
fact "5.1 stays 5.1" package speech.mov six
for codec in a o; do
    fact "$codec: speech stays in the centre" peaks speech.mov $codec -6.4 -5.6
done

# Real files: languages, edit lists, 5.1, low rates.
for clip in d_sintel_2audio_sub_editlist.mp4 mb_multi_aac.mp4 nasa_13013.mp4; do
    if [ ! -f "$clips/$clip" ]; then
        skip "$clip has two tracks" "no such clip here"
        continue
    fi
    ln -s "$clips/$clip" .
    fact "$clip becomes a package" package $clip two
    fact "$clip has two tracks that are right" "$verify" $clip.p --source $clip
    fact "$clip: in each group" count 4 $clip.p/master.m3u8 '^#EXT-X-MEDIA:TYPE=AUDIO'
done
if [ -f "$clips/ax_opus51.mka" ]; then
    ln -s "$clips/ax_opus51.mka" .
    fact "ax_opus51.mka stays 5.1" package ax_opus51.mka six
    fact "and gopmill verify agrees" "$verify" ax_opus51.mka.p --source ax_opus51.mka
else
    skip "ax_opus51.mka stays 5.1" "no such clip here"
fi
finish
