#!/bin/bash
# gopmill's command line: what it says and how it ends, for input that can't
# be used, for wrong words, and for people's scripts (--json).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL

# ---- clips ----
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=192x108:rate=25 -f lavfi -i sine=sample_rate=48000 \
    -t 2 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac good.mp4
ffmpeg -nostdin -v error -f lavfi -i sine=sample_rate=48000 -t 2 -c:a aac sound.m4a
: >empty.mp4
printf 'just some words\n%.0s' $(seq 100) >text.mp4
printf '{"a":1}' >tiny.json
head -c 20000 /dev/urandom >noise.mp4
printf '#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n' >list.m3u8
printf 'ffconcat version 1.0\nfile good.mp4\n' >list.ffconcat
mkdir folder
mkfifo pipe
# The index lies at the end: the first half has none.
head -c "$(($(stat -c %s good.mp4) / 2))" good.mp4 >no-moov.mp4
cp good.mp4 locked.mp4 && chmod 000 locked.mp4

# ---- helpers ----

# ends STATUS 'a grep -E of stderr' COMMAND...: with this status, one line on
# stderr that starts with "gopmill: " and matches.
ends() {
    local want=$1 sentence=$2 status=0
    shift 2
    "$@" >out 2>err </dev/null || status=$?
    echo "status $status, stderr:" && cat err
    [ "$status" -eq "$want" ] || return 1
    [ "$(wc -l <err)" -eq 1 ] || return 1
    grep -qE "^gopmill: .*($sentence)" err
}

# refused STATUS SENTENCE INPUT: by `gopmill run`, without a trace left behind.
refused() {
    rm -rf made
    ends "$1" "$2" timeout 60 "$gopmill" run "$3" --output made/deep || return 1
    [ ! -e made ] || { find made && return 1; }
}

says() { # PATTERN COMMAND...: status 0, and stdout matches
    local pattern=$1
    shift
    "$@" >out 2>err </dev/null || { cat err && return 1; }
    cat out
    grep -qE "$pattern" out
}

is_json() { # JQ-CONDITION COMMAND...
    local condition=$1
    shift
    "$@" >out 2>err </dev/null || { cat err && return 1; }
    jq -es "$condition" out >/dev/null || { cat out && return 1; }
}

# ---- input that can't be used: status 3 ----
fact "a missing input is named" refused 3 'nowhere.mp4: there is no such file' nowhere.mp4
fact "a folder is no input" refused 3 'folder: is a folder' folder
fact "a pipe is no input" refused 3 'pipe: is not a regular file' pipe
fact "an empty file is refused" refused 3 'empty.mp4: the file is empty' empty.mp4
fact "text is refused" refused 3 'text.mp4' text.mp4
fact "a few bytes of JSON are refused" refused 3 'tiny.json' tiny.json
fact "noise is refused" refused 3 'noise.mp4' noise.mp4
fact "a playlist of other files is refused" refused 3 'list.m3u8' list.m3u8
fact "a concat script is refused" refused 3 'list.ffconcat' list.ffconcat
fact "an MP4 without its index is refused" refused 3 'no-moov.mp4' no-moov.mp4
fact "an unknown kind of address is refused" refused 3 'gopher' gopher://host/clip.mp4
if [ "$(id -u)" -eq 0 ]; then
    skip "a file without permission is refused" "root reads everything"
else
    fact "a file without permission is refused" refused 3 "locked.mp4: can't be read" locked.mp4
fi
fact "probe refuses what run refuses" ends 3 'empty.mp4: the file is empty' "$gopmill" probe empty.mp4
fact "plan refuses what run refuses" ends 3 'text.mp4' "$gopmill" plan text.mp4

# ---- wrong words: status 2 ----
fact "no command is wrong usage" ends 2 'no command given; see gopmill --help' "$gopmill"
fact "an unknown command is named" ends 2 "no command 'fly'" "$gopmill" fly
fact "an unknown option is named" ends 2 '--fast.*see gopmill run --help' "$gopmill" run --fast good.mp4
fact "an option without its value is named" ends 2 '--output needs a value' "$gopmill" run good.mp4 --output
fact "run needs an input" ends 2 'exactly one INPUT' "$gopmill" run
fact "run takes one input" ends 2 'exactly one INPUT' "$gopmill" run good.mp4 text.mp4
fact "no slots is out of range" ends 2 '--slots 0: .*from 1 to' "$gopmill" run good.mp4 --slots 0
fact "slots are a number" ends 2 '--slots 2x: ' "$gopmill" run good.mp4 --slots 2x
fact "chunks of no length are out of range" ends 2 '--chunk-seconds 0: ' "$gopmill" plan good.mp4 --chunk-seconds 0
fact "chunks of nan length are out of range" ends 2 '--chunk-seconds nan: ' "$gopmill" plan good.mp4 --chunk-seconds nan
fact "an unknown ladder is named, with those that are known" ends 2 'no-such.*web-h264' "$gopmill" run good.mp4 --ladder no-such
fact "ladder needs a verb" ends 2 'list, show NAME' "$gopmill" ladder

# ---- ladders ----
"$gopmill" ladder show web-h264 >fine.yaml
sed 's/maxrate:/maxrat:/' fine.yaml >typo.yaml
fact "a ladder with a typo is refused with its line" ends 2 'typo.yaml:[0-9]+: .*maxrat' "$gopmill" run good.mp4 --ladder ./typo.yaml --output made
fact "and leaves nothing behind" test ! -e made
fact "ladder check refuses it too, as its answer" ends 1 'typo.yaml:[0-9]+: ' "$gopmill" ladder check ./typo.yaml
fact "the shipped ladders pass their check" says '^web-h264: fine' "$gopmill" ladder check web-h264
fact "what ladder show prints is a ladder" says 'fine' "$gopmill" ladder check ./fine.yaml
fact "ladders are listed" says '^web-h264 ' "$gopmill" ladder list

# ---- output that can't be written: status 1 ----
: >file
fact "an output that is a file is refused" ends 1 'file: .*Not a directory' "$gopmill" run good.mp4 --output file
fact "an output inside a file is refused" ends 1 'file/x' "$gopmill" run good.mp4 --output file/x

# ---- a package ----
made() {
    "$gopmill" run good.mp4 --output package --json >run.jsonl 2>err || { cat err && return 1; }
    [ -s package/master.m3u8 ] && [ -s package/manifest.mpd ] && [ -s package/job.json ]
}
fact "a good clip becomes a package" made
fact "which passes gopmill verify" "$gopmill" verify package --source good.mp4
fact "every line of run --json is an object with an event" is_json 'all(.[]; type == "object" and has("event"))' cat run.jsonl
fact "its last line is the summary" is_json '.[-1] | .event == "done" and .totals.bytes > 0 and (.renditions | length) > 0' cat run.jsonl
fact "progress never goes back" is_json '[.[] | select(.event == "progress") | .percent // 0] | . == sort' cat run.jsonl
again() {
    "$gopmill" run good.mp4 --output package --json >again.jsonl 2>err || { cat err && return 1; }
    jq -es 'map(select(.event == "planned"))[0] | .tasks_reused == .tasks' again.jsonl || { cat again.jsonl && return 1; }
}
fact "a second run finds everything done" again
fact "a folder that holds another package is refused" ends 2 'holds another package' "$gopmill" run good.mp4 --output package --ladder preview
fact "a folder in use is refused" ends 1 'another gopmill run' flock package/.gopmill/lock "$gopmill" run good.mp4 --output package
fact "sound alone becomes a package" says 'done: ' "$gopmill" run sound.m4a --output sound
default_name() {
    mkdir -p here && (cd here && "$gopmill" run ../good.mp4 >/dev/null 2>&1 && test -s good/master.m3u8)
}
fact "the default output is named after the input" default_name
clean_stderr() {
    "$gopmill" run good.mp4 --output package >out 2>err
    ! grep -q "$(printf '\033')" err
}
fact "no escape codes where stderr is no terminal" clean_stderr

# ---- stopped and killed ----
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=sample_rate=48000 \
    -t 12 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac long.mp4

# Runs in a session of its own, so that what it leaves behind can be found.
# Sends the signal as soon as some, but not all, of the work is done.
interrupted() { # SIGNAL STATUS FOLDER
    local line status=0
    rm -f pid lines && mkfifo lines
    # shellcheck disable=SC2016 # that shell's own
    setsid --wait bash -c 'echo $$ >pid; exec "$0" run long.mp4 --output "$1" --chunks 6 --json' \
        "$gopmill" "$3" >lines 2>err &
    local job=$!
    while read -r line; do
        case $line in *'"tasks_done":'[2-5]*'"percent":100'*) ;; *'"tasks_done":'[2-5]*)
            kill -s "$1" "$(cat pid)" && break ;;
        esac
    done <lines
    wait "$job" || status=$?
    echo "status $status" && cat err
    [ "$status" -eq "$2" ] || return 1
    # Children of a killed parent need a moment to be told.
    for _ in $(seq 100); do
        pgrep -s "$(cat pid)" >left || return 0
        timeout 0.05 tail -f /dev/null
    done
    echo "still running:" && cat left
    return 1
}

same_package() { # FOLDER FOLDER
    diff -r -x .gopmill -x job.json "$1" "$2" &&
        diff <(jq 'del(.run)' "$1/job.json") <(jq 'del(.run)' "$2/job.json")
}

resumed() { # FOLDER
    "$gopmill" run long.mp4 --output "$1" --chunks 6 --json >run.jsonl 2>err || { cat err && return 1; }
    jq -es 'map(select(.event == "planned"))[0] | .tasks_reused > 0' run.jsonl >/dev/null ||
        { cat run.jsonl && return 1; }
    same_package "$1" undisturbed
}

fact "a package of six chunks" "$gopmill" run long.mp4 --output undisturbed --chunks 6
for signal in INT TERM HUP; do
    fact "SIG$signal stops a run and its children" interrupted "$signal" 1 "stopped-$signal"
    fact "and says how to go on" grep -q '^gopmill: stopped; run the same command again' err
    fact "without a playlist" test ! -e "stopped-$signal/master.m3u8"
done
fact "a stopped run goes on to the same package" resumed stopped-INT
fact "SIGKILL leaves no children" interrupted KILL 137 killed
fact "a killed run goes on to the same package" resumed killed

# Files can't grow beyond 150 kB, as on a disk that is full.
no_room() {
    local status=0
    # shellcheck disable=SC2016 # that shell's own
    bash -c 'trap "" XFSZ; ulimit -f 150; exec "$0" run long.mp4 --output cramped' "$gopmill" \
        >out 2>err </dev/null || status=$?
    echo "status $status" && cat err
    [ "$status" -eq 1 ] && tail -n 1 err | grep -qE '^gopmill: .*(File too large|disk I/O error)' &&
        [ ! -e cramped/master.m3u8 ]
}
fact "without room a run fails, says so and makes no playlist" no_room
fact "and goes on once there is room" "$gopmill" run long.mp4 --output cramped

# ---- looking ----
fact "probe tells streams" says 'h264.*192x108' "$gopmill" probe good.mp4
# Its stream begins behind all that is read to probe, and isn't at the end either.
mpeg2() { # SECONDS FILE OPTION...
    ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=320x180:rate=25:duration=$1" -vf noise=alls=60:allf=t \
        -c:v mpeg2video -q:v 1 "${@:3}" "$2"
}
mpeg2 12 first.ts && mpeg2 1 other.ts -streamid 0:0x200 -output_ts_offset 12 &&
    ffmpeg -nostdin -v error -i first.ts -c copy -output_ts_offset 13 last.ts && cat first.ts other.ts last.ts >joined.ts
joined_is_told() {
    "$gopmill" probe joined.ts --json | tee out |
        jq -e '.video.frames == 624 and (.warnings | any(test("go on under other numbers")))' || { cat out && return 1; }
}
fact "probe tells of a picture that goes on in another stream" joined_is_told
fact "probe --json is one object" is_json 'length == 1 and .[0].video.width == 192' "$gopmill" probe good.mp4 --json
fact "plan tells chunks" says '^ +0 +0\.000 ' "$gopmill" plan good.mp4
fact "plan --json is one object" is_json 'length == 1 and (.[0].chunks | length) > 0' "$gopmill" plan good.mp4 --json
fact "ladder list --json is one array" is_json 'length == 1 and all(.[0][]; has("name"))' "$gopmill" ladder list --json
fact "ladder show --json has the text" is_json '.[0].text | length > 0' "$gopmill" ladder show web-h264 --json
fact "ladder check --json tells" is_json '.[0].ok == true' "$gopmill" ladder check web-h264 --json
fact "help names every command" says '  verify ' "$gopmill" --help
for command in run probe plan ladder verify; do
    fact "$command --help tells its usage" says "^[Uu]sage: gopmill $command" "$gopmill" "$command" --help
done
fact "--version tells" says '^gopmill [0-9]' "$gopmill" --version
broken_stdout() {
    "$gopmill" --help >/dev/full 2>err
    [ $? -eq 1 ] && grep -q "stdout can't be written" err
}
fact "a full stdout is a failure" broken_stdout

finish
