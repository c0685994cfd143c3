# killed.sh - sourced by resume.sh and crash.sh: a clip, a ladder, runs that
# are ended by signals, and packages compared.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2034 # variables are for those who source this
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL

# The same moments again: GOPMILL_TEST_SEED=<what was printed>.
seed=${GOPMILL_TEST_SEED:-$(($(date +%s) % 32768))}
echo "# GOPMILL_TEST_SEED=$seed"
RANDOM=$seed

cat >ladder.yaml <<'Y'
name: killed
gop_seconds: 1
segment_seconds: 2
defaults:
  h264: { preset: fast, crf: 22 }
video:
  - { name: full, codec: h264, size: 180, maxrate: 2M }
  - { name: half, codec: h264, size: 90, maxrate: 1M }
audio:
  - { name: sound, codec: aac, bitrate: 128k }
Y
chunks=6
"$GOPMILL_BUILD/tests/media/numbered" make 300 320 180 25:1 |
    ffmpeg -v error -f yuv4mpegpipe -i pipe:0 -f lavfi -i "sine=frequency=440:sample_rate=48000" \
        -shortest -c:v libx264 -preset ultrafast -g 50 -c:a aac clip.mp4

words() { # DIR: the command that makes it
    echo run clip.mp4 --ladder ./ladder.yaml --output "$1" --chunks $chunks --slots 2
}

# shellcheck disable=SC2046 # no word has a space
run() { "$gopmill" $(words "$1"); } # DIR

# In a session and a group of its own, whose number is $session from then on.
start() { # DIR
    rm -f pid && mkfifo pid
    # shellcheck disable=SC2016,SC2046 # that shell's own; no word has a space
    setsid bash -c 'echo $$ >pid; exec "$0" "$@"' "$gopmill" $(words "$1") --json >"$1.json" 2>err </dev/null &
    job=$!
    read -r session <pid
}

# wait_until SECONDS COMMAND...: until the command succeeds.
wait_until() {
    local ticks=$(($1 * 50))
    shift
    until "$@"; do
        [ $((ticks -= 1)) -gt 0 ] || return 1
        pause_ms 20
    done
    return 0 # not what the last pause said
}

# To timeout 0 is no limit.
pause_ms() { [ "$1" -le 0 ] || timeout "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" tail -f /dev/null; } 2>/dev/null

now_ms() { date +%s%3N; }
# A zombie has ended: where process 1 is slow to reap, it stays for a while.
nobody_left() { ! ps -o stat= -s "$session" | grep -qv '^Z'; }
all_gone() { wait_until 10 nobody_left || { ps -o pid,ppid,stat,args -s "$session" && return 1; }; }

# Files of a package, without what is the run's own; the receipt without it too.
digests() { # DIR
    (cd "$1" && find . -path ./.gopmill -prune -o -type f ! -name job.json -print0 |
        sort -z | xargs -0r sha256sum)
    [ ! -e "$1/job.json" ] || jq -S 'del(.run)' "$1/job.json"
}
same_package() { diff <(digests "$1") <(digests "$2"); } # DIR DIR

# What is there under a final name is final: no file differs from that of the
# undisturbed package, and playlists name only what is there.
nothing_half() { # DIR WHOLE-PACKAGE
    local f name bad=0
    while read -r f; do
        [ -e "$2/$f" ] || { echo "$f is not of the package" && bad=1 && continue; }
        [ "$f" = ./job.json ] || cmp "$1/$f" "$2/$f" || bad=1
        case $f in *.m3u8) ;; *) continue ;; esac
        for name in $(grep -v '^#' "$1/$f") $(sed -n 's/.*URI="\([^"]*\)".*/\1/p' "$1/$f"); do
            [ -s "$1/$(dirname "$f")/$name" ] || { echo "$f names $name" && bad=1; }
        done
    done < <(cd "$1" 2>/dev/null && find . -path ./.gopmill -prune -o -type f ! -name '.*' -print)
    return $bad
}

tasks_reused() { jq -r 'select(.event == "planned") | .tasks_reused' "$1.json"; }
