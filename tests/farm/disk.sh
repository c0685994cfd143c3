#!/bin/bash
# The disk of the dispatcher's database is full: what was accepted is not lost,
# whoever asks is told why nothing is accepted now, and it goes on by itself.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mkdir small
unmount() { mountpoint -q "$scratch/small" && umount -l "$scratch/small"; }
mount -t tmpfs -o size=64m,mode=700 gopmill-test small 2>/dev/null || {
    skip "a dispatcher on a full disk" "no file system can be mounted here"
    finish
}
trap 'unmount; farm_leave' EXIT
ln -s small/jobs.db jobs.db # the database, and what SQLite puts beside it, lie on the small one

farm_up
chunks=8
clip_make long.mp4 480x270 16 || bail "no clip"
fact "the undisturbed package" eval 'reference long.mp4 slow.yaml >/dev/null'
fact "a dispatcher on a small disk" dispatcher_start
fact "two workers" two_workers
fact "a job before" eval 'posted 202 before long.mp4 quick.yaml && wait_for before "done"'

fill() { head -c 1G /dev/zero >small/filler 2>/dev/null; [ "$(df --output=avail small | tail -n 1)" -eq 0 ]; }
empty() { rm -f small/filler; }
says_full() { [ "$(status_of GET /readyz)" = 503 ] && jq -r .error.text answer | grep -qF "the disk is full"; }

full() {
    posted 202 during long.mp4 slow.yaml && await 30 done_at_least during 2 && fill || return 1
    await 20 says_full || { cat answer; tail -n 5 "$farm/log/dispatcher"; return 1; }
}
fact "the disk is full in the middle of a job: it isn't ready, and says why" full
refused() {
    posted 503 late long.mp4 quick.yaml && jq -e '.error | .class == "storage" and (.text | contains("the disk is full"))' answer >/dev/null
}
fact "a job is refused with 503 and that reason" refused
submit() { # ID: by the command line
    "$GOPMILL" submit "s3://$bucket/long.mp4" --output "s3://$bucket/out/$1/" --ladder "$PWD/quick.yaml" --id "$1" >out 2>&1
}
fact "the command line says it, too" eval '! submit late && grep -qF "the disk is full" out || { cat out && false; }'
fact "it lives" eval '[ "$(status_of GET /healthz)" = 200 ] && is_up "$farm" dispatcher'
fact "and holds its database" eval '! "$GOPMILL_DISPATCHER_PROGRAM" --broker "$broker" --db jobs.db --listen "127.0.0.1:$((ports + 5))" >out 2>&1 &&
    grep -q "another dispatcher" out'

goes_on() { empty && await 20 dispatcher_ready && wait_for during "done" 90; }
fact "with room again it goes on by itself, and the job is done" goes_on
fact "no attempt failed" eval '[ "$(job during .progress.attempts_failed)" = 0 ] || { job during .progress && false; }'
fact "none was encoded twice but what ran then" encoded_at_most during $((chunks + 3))
fact "the package is the undisturbed one" same_as_run during long.mp4 slow.yaml
fact "the job from before is there" eval 'state_is before "done"'
fact "what was refused is not" eval '[ "$(status_of GET /v1/jobs/late)" = 404 ]'
fact "and is accepted now" eval 'submit late && wait_for late "done"'
fact "nothing is left over" nothing_left

# Full again, and killed; and told to end while it waits.
# Connections end for a moment while it lays its work down; who asks again is told why.
is_refused() { posted 503 nobody long.mp4 quick.yaml >/dev/null 2>&1; }
killed() {
    fill
    await 20 is_refused && await 20 says_full && dispatcher_kill
    run_in "$farm" dispatcher "$GOPMILL_DISPATCHER_PROGRAM" --broker "$broker" --db "$scratch/jobs.db" \
        --listen "127.0.0.1:$ports" --token-file "$scratch/token"
    await 10 listens "$ports" && await 20 is_refused && await 20 says_full || return 1
    empty && await 20 dispatcher_ready && state_is late "done"
}
fact "killed meanwhile and started again, it goes on when there is room" killed
told_to_end() {
    fill
    await 20 is_refused && await 20 says_full && dispatcher_stop
    ! grep -q "ended at once" "$farm/log/dispatcher" && empty && dispatcher_start && state_is late "done"
}
fact "told to end while it waits, it does" told_to_end
finish
