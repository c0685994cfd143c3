#!/bin/bash
# Killed at any moment and run again, a package becomes what it would have
# been: the same bytes, nothing encoded twice that was done, nothing left
# running in between.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/killed.sh"

# ---- undisturbed ----
begun=$(now_ms)
fact "a package, undisturbed" run undisturbed
took=$(($(now_ms) - begun))
echo "# it took $took ms"

# ---- killed ----

# One run, ended at a moment of its time. HOW is a kill(1) target: the group
# or the parent alone.
kill_once() { # DIR GROUP|PARENT|INTERRUPT MS
    start "$1"
    pause_ms "$3"
    case $2 in
    group) kill -KILL -- "-$session" ;;
    parent) kill -KILL "$session" ;;
    interrupt) kill -INT "$session" ;;
    esac 2>/dev/null
    wait "$job"
    all_gone
}

killed_and_resumed() { # DIR HOW MS
    kill_once "$1" "$2" "$3" || return 1
    nothing_half "$1" undisturbed || return 1
    run "$1" || return 1
    same_package undisturbed "$1"
}

i=0
for how in group parent group parent group parent group parent group parent interrupt interrupt; do
    i=$((i + 1))
    ms=$((RANDOM * took / 32768))
    fact "killed ($how) after $ms ms of $took and resumed, it is the same package" \
        killed_and_resumed "killed-$i" $how $ms
    rm -rf "killed-$i"
done

# While playlists appear.
killed_at_the_end() { # DIR FILE
    start "$1"
    until [ -e "$1/$2" ] || ! kill -0 "$session" 2>/dev/null; do :; done
    kill -KILL -- "-$session" 2>/dev/null
    wait "$job"
    all_gone && nothing_half "$1" undisturbed && run "$1" && same_package undisturbed "$1"
}
for file in video/full/index.m3u8 master.m3u8 manifest.mpd; do
    fact "killed when $file appears" killed_at_the_end end "$file"
    rm -rf end
done

# Each run is killed a little later than the one before it would have been:
# one that began anew each time would come to no end within these.
again_and_again() {
    local n=0 ended=1
    while [ $((n += 1)) -le 40 ] && [ $ended -ne 0 ]; do
        start often
        (pause_ms $((RANDOM * took / 98304 + took / 6)) && kill -KILL -- "-$session") 2>/dev/null &
        wait "$job" && ended=0
        wait
        all_gone || return 1
        nothing_half often undisturbed || return 1
    done
    echo "runs: $n"
    [ $ended -eq 0 ] && same_package undisturbed often
}
fact "killed again and again it still comes to its end" again_and_again

# ---- told to stop ----
some_done() { [ "$(jq -s 'map(.tasks_done // 0) | max' "$1.json" 2>/dev/null)" -gt 0 ] 2>/dev/null; }
interrupted() {
    local status=0
    start stopped
    wait_until 60 some_done stopped
    kill -INT -- "-$session" # as a terminal does: to the children as well
    wait "$job" || status=$?
    echo "status $status" && cat err
    [ $status -eq 1 ] && grep -q '^gopmill: stopped; run the same command again to go on' err &&
        [ -z "$(find stopped -name '*.m3u8' -o -name '*.mpd')" ] && all_gone
}
goes_on() {
    start stopped
    wait "$job" || return 1
    [ "$(tasks_reused stopped)" -gt 0 ] || { cat stopped.json && return 1; }
    same_package undisturbed stopped
}
fact "Ctrl-C ends a run in words, without a playlist or a process left" interrupted
fact "the next run uses what was done" goes_on

# ---- finished, and run again ----

# Name, time and size of all files; the receipt's run part may be new.
listing() { (cd "$1" && find . -path ./.gopmill -prune -o -type f -printf '%p %T@ %s\n' | sort); }
rest_untouched() { # BEFORE AFTER PATTERN: but for files of that pattern
    diff <(grep -vE "$3" "$1") <(grep -vE "$3" "$2")
}

# Damages the package, runs again; then it is whole, REDONE tasks were not
# reused, and files other than of PATTERN are those that were there before.
mended() { # REDONE PATTERN COMMAND...
    local redone=$1 pattern=$2 tasks
    shift 2
    listing stopped >before
    "$@" || return 1
    start stopped
    wait "$job" || { cat err && return 1; }
    tasks=$(jq -r 'select(.event == "planned") | .tasks' stopped.json)
    echo "$(tasks_reused stopped) of $tasks tasks reused"
    [ "$(tasks_reused stopped)" -eq $((tasks - redone)) ] || return 1
    same_package undisturbed stopped || return 1
    listing stopped >after
    rest_untouched before after "$pattern"
}
damage() { printf 'damage' | dd of="$1" bs=1 seek=3000 conv=notrunc status=none; }

late=$(find undisturbed/video/full -name 'seg-*' | sort | tail -n 1)
late=stopped/${late#*/}
texts='\.(m3u8|mpd)|job\.json'
last='/seg-0000[5-9]\.m4s'
fact "a finished package is left alone, but for texts, written again alike" mended 0 "$texts" true
fact "a segment that went is made again, by its task alone" mended 1 "$texts|$last" rm "$late"
fact "a segment that was damaged as well" mended 1 "$texts|$last" damage "$late"
fact "a segment that was cut short as well" mended 1 "$texts|$last" truncate -s 999 "$late"
fact "a piece of sound that went as well" mended 1 "$texts|/audio/" rm stopped/audio/sound/seg-00002.m4s
fact "a master that went is written again" mended 0 "$texts" rm stopped/master.m3u8
fact "a media playlist that was changed is written again" mended 0 "$texts" damage stopped/video/full/index.m3u8
fact "a receipt that went is written again" mended 0 "$texts" rm stopped/job.json
fact "an init segment that went is made again" mended 1 "$texts|init|/seg-00001" \
    rm stopped/video/half/init.mp4

forgotten() {
    rm -f stopped/.gopmill/job.db*
    run stopped && same_package undisturbed stopped
}
fact "without its database a package is made anew, over the old one" forgotten
not_a_database() {
    local status=0
    rm -f stopped/.gopmill/job.db*
    head -c 8192 /dev/urandom >stopped/.gopmill/job.db
    run stopped >out 2>err || status=$?
    cat err
    [ $status -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q '^gopmill: .*job.db' err
}
fact "a database that can't be read is named" not_a_database
rm -f stopped/.gopmill/job.db*
run stopped >/dev/null 2>&1

# ---- what does not belong together ----
refused() { # SENTENCE COMMAND...
    local sentence=$1 status=0
    shift
    listing stopped >before
    "$@" >out 2>err </dev/null || status=$?
    cat err
    [ $status -eq 2 ] && grep -qE "^gopmill: .*$sentence" err || return 1
    listing stopped >after
    diff before after
}
sed 's/crf: 22/crf: 23/' ladder.yaml >other.yaml
cp clip.mp4 other.mp4
# shellcheck disable=SC2046 # no word has a space
fact "another ladder in the same folder is refused" refused 'holds another package' \
    "$gopmill" $(words stopped) --ladder ./other.yaml
fact "another source in the same folder is refused" refused 'holds another package' \
    "$gopmill" run other.mp4 --ladder ./ladder.yaml --output stopped --chunks $chunks
printf 'more' >>clip.mp4
# shellcheck disable=SC2046 # no word has a space
fact "a source that was changed since is refused" refused 'holds another package|changed' \
    "$gopmill" $(words stopped)
finish
