#!/bin/bash
# The command line against a whole farm: what each command prints, and the
# exit status that a script goes by.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
clip_make short.mp4 320x180 12 || bail "no clip"
echo 'this is no video' >broken.mp4
s3_put broken.mp4 "$bucket/broken.mp4"

# exits STATUS COMMAND...: runs it; its words are in `out` and `err`.
exits() {
    local want=$1 got
    shift
    "$GOPMILL" "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$want" ] || { echo "gopmill $*: exit status $got instead of $want" && cat out err && return 1; }
}
says() { # FILE TEXT
    grep -qF -e "$2" "$1" || { echo "$1 doesn't say: $2" && cat "$1" && return 1; }
}
fails_saying() { # STATUS TEXT COMMAND...
    local status=$1 text=$2
    shift 2
    exits "$status" "$@" && says err "$text"
}

# ---- without a farm ----

fact "a dispatcher that isn't there is told so, with what to do" \
    fails_saying 1 "connection refused; is gopmill-dispatcher running? --dispatcher or GOPMILL_DISPATCHER names another" jobs

fact "a dispatcher starts" dispatcher_start
fact "without workers it says how to start one" fails_saying 0 "gopmill-worker --broker URL" workers
fact "two workers are seen" two_workers
fact "and listed" eval 'exits 0 workers && says out w1 && says out w2 && says out active'

GOPMILL_TOKEN=not-the-right-token fact "a wrong token is told so" \
    fails_saying 2 "refuses this token; GOPMILL_TOKEN or --token-file gives another" jobs
GOPMILL_TOKEN='' fact "a missing one as well" fails_saying 2 "wants a token" jobs
GOPMILL_TOKEN='' fact "a token may come from a file" exits 0 jobs --token-file token
fact "an unknown job is told so" fails_saying 2 nobody status nobody

# ---- a job ----

fact "submitting without --output asks for it" fails_saying 2 "where does the package go?" submit "s3://$bucket/short.mp4"
fact "a job is done when --wait returns" exits 0 submit "s3://$bucket/short.mp4" --output "s3://$bucket/out/one/" \
    --ladder "$PWD/quick.yaml" --id one --tenant acme --metadata '{"title":"Eins"}' --wait
fact "which says where" eval 'says out "one done in" && says out "s3://$bucket/out/one/"'
verified() { fetch one && "$GOPMILL_VERIFY" package-one --source "$shared/short.mp4"; }
fact "its package is right" verified
fact "its status has it all" eval 'exits 0 status one --tasks && says out "one: done" && says out v-0000-0 && says out acme'
fact "as JSON, too" eval 'exits 0 status one --json && [ "$(jq -r .metadata.title out)" = Eins ]'
fact "it is listed" eval 'exits 0 jobs --state done --tenant acme && says out one'
fact "not among those of others" eval 'exits 0 jobs --tenant other && ! grep -q one out'
fact "the same submission is the same job" exits 0 submit "s3://$bucket/short.mp4" --output "s3://$bucket/out/one/" \
    --ladder "$PWD/quick.yaml" --id one --tenant acme --metadata '{"title":"Eins"}' --wait
fact "its id with something else is refused" fails_saying 2 one submit "s3://$bucket/short.mp4" \
    --output "s3://$bucket/out/other/" --ladder "$PWD/quick.yaml" --id one

fact "one chunk is made anew" eval 'exits 0 requeue one --chunk 0 && exits 0 watch one'
fact "it is done again" wait_for one "done" 10
fact "a chunk that there isn't is refused" exits 2 requeue one --chunk 99999

# ---- what goes wrong ----

fact "a source that is no video ends with 3" exits 3 submit "s3://$bucket/broken.mp4" \
    --output "s3://$bucket/out/broken/" --ladder "$PWD/quick.yaml" --id broken --wait
fact "and is listed as failed with its class" eval 'exits 0 failed --since 1h && says out broken && says out input && says out SOURCE && says out "$(date -u +%Y-%m-%d)"'
fact "but not of the last second, a little later" eval 'sleep 1.2; exits 0 failed --since 1s && ! grep -q broken out'
fact "all that failed are requeued" eval 'exits 0 requeue --failed --since 1h && says out "broken requeued"'
fact "and watched to their end" exits 3 watch broken
fact "a ladder that nobody has is told so" eval 'exits 2 submit "s3://$bucket/short.mp4" --output "s3://$bucket/o/" --ladder none && [ -s err ]'
fact "a broken ladder is found before anything is sent" eval 'echo "name: [" >bad.yaml
    fails_saying 2 bad.yaml submit "s3://$bucket/short.mp4" --output "s3://$bucket/o/" --ladder ./bad.yaml'

printf 'not a job' >message
fact "a message that is no job is among the dead letters" eval 'publish_text gopmill.jobs message
    await 60 eval "exits 0 dead && says out gopmill.jobs"'

# ---- ends ----

slow_job() { exits 0 submit "s3://$bucket/short.mp4" --output "s3://$bucket/out/$1/" --ladder "$PWD/slow.yaml" --id "$1"; }
fact "a job is canceled" eval 'slow_job two && exits 0 cancel two && wait_for two canceled 10'
fact "canceling it again is refused" exits 2 cancel two
fact "watching it ends with 1" exits 1 watch two
fact "it is deleted" eval 'exits 0 delete two && exits 2 status two'
fact "the package goes with --package" eval 'exits 0 delete one --package
    await 60 eval "! s3_has $bucket/out/one/master.m3u8"'
worker_drained() { exits 0 workers --json && [ "$(jq '[.workers[] | select(.id == "w1" and .state == "active")] | length' out)" = 0 ]; }
fact "a worker drains" eval 'exits 0 drain w1 && await 60 worker_drained'
fact "one that there isn't is told so" exits 2 drain nobody

# ---- on this machine, from and to the store ----

fact "probe reads from the store" eval 'exits 0 probe "s3://$bucket/short.mp4" && says out 320x180'
fact "plan, too" exits 0 plan "s3://$bucket/short.mp4" --ladder "$PWD/quick.yaml"
run_to_store() {
    XDG_STATE_HOME=$scratch/state exits 0 run "s3://$bucket/short.mp4" --output "s3://$bucket/run/" \
        --ladder "$PWD/quick.yaml" --chunks "$chunks" || return 1
    s3_fetch "$bucket" run/ "$scratch/package-run" && diff <(digests "$(reference short.mp4 quick.yaml)") <(digests package-run)
}
fact "run makes the same package in the store as in a folder" run_to_store

finish
