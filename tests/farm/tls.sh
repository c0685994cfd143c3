#!/bin/bash
# A farm that speaks TLS only, to servers of a private authority: everybody
# verifies, says clearly what isn't trusted, and shows a certificate where asked.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/farm/certs.sh
. "$private_here/certs.sh"

own_servers
certs=$scratch/certs
certs_ca "$certs" && certs_ca "$certs" stranger && certs_make "$certs" server DNS:localhost || bail "no certificates"
rgw_options=(--tls "$certs/server.pem" "$certs/server.key")
farm_up --client-certs
clip_make short.mp4 320x180 12 || bail "no clip"
fact "the undisturbed package" eval 'reference short.mp4 quick.yaml >/dev/null'
rmq_certs=$(dirname "$RMQ_CA")
certs_make "$rmq_certs" client DNS:client && certs_make "$certs" client DNS:client || bail "no certificates"
broker=$RMQ_TLS_URL$vhost

# What this script itself asks goes the plain way, so that it needs no trust.
over_tls() { # COMMAND...: as a member of the farm
    local -x AWS_ENDPOINT_URL_S3=$RGW_TLS_URL AWS_CA_BUNDLE=${bundle-$certs/ca.pem}
    local -x GOPMILL_BROKER_CA=$RMQ_CA GOPMILL_BROKER_CERT=$rmq_certs/client.pem GOPMILL_BROKER_KEY=$rmq_certs/client.key
    "$@"
}

# ---- the broker ----

waits_saying() { # TEXT VARIABLE=VALUE...: a worker that doesn't come to be connected
    local text=$1 r
    shift
    rm -f "$farm/log/stray"
    over_tls run_in "$farm" stray env "$@" "$GOPMILL_WORKER_PROGRAM" --broker "${at-$broker}" --id stray --slots 1
    await 15 grep -qF "$text" "$farm/log/stray"
    r=$?
    kill_in "$farm" stray
    [ $r -eq 0 ] || cat "$farm/log/stray"
    ! grep -q '"amqp.connected"' "$farm/log/stray" && return $r
}
fact "a broker of a stranger's authority is not connected to" \
    waits_saying "its certificate isn't trusted: self-signed certificate in certificate chain" GOPMILL_BROKER_CA="$certs/stranger.pem"
fact "nor one that only a private authority vouches for" waits_saying "its certificate isn't trusted" GOPMILL_BROKER_CA=
at=${broker/localhost/127.1} fact "nor one by a name that isn't its own" waits_saying "its certificate isn't trusted: hostname mismatch" A=
fact "without a certificate of its own a worker is told that one is wanted" \
    waits_saying "the broker wants a certificate" GOPMILL_BROKER_CERT= GOPMILL_BROKER_KEY=
fact "one of a stranger's authority is refused" \
    waits_saying "the broker refuses its client's certificate" GOPMILL_BROKER_CERT="$certs/client.pem" GOPMILL_BROKER_KEY="$certs/client.key"
fact "a certificate without its key is wrong usage" eval '! over_tls env GOPMILL_BROKER_KEY= "$GOPMILL_WORKER_PROGRAM" \
    --broker "$broker" >err 2>&1 && grep -q key err'
other=http://127.0.0.1:$((ports + 5))
is_not_ready() { curl -s --max-time 2 "$other/readyz" | grep -qF "isn't trusted"; }
not_ready() {
    over_tls run_in "$farm" other env GOPMILL_BROKER_CA="$certs/stranger.pem" "$GOPMILL_DISPATCHER_PROGRAM" \
        --broker "$broker" --db "$scratch/other.db" --listen "${other#http://}"
    await 15 is_not_ready || { cat "$farm/log/other" && return 1; }
    kill_in "$farm" other
}
fact "a dispatcher that doesn't trust its broker says so in /readyz" not_ready

# ---- a farm over TLS ----

fact "a dispatcher with the right certificates" over_tls dispatcher_start
fact "two workers" over_tls two_workers
fact "a job is done" eval 'posted 202 safe short.mp4 quick.yaml && wait_for safe "done"'
fact "its package is the undisturbed one" same_as_run safe short.mp4 quick.yaml
on_tls() { # every connection of the vhost, and every request to the store
    [ "$(rabbitmq_do api GET "vhosts/$vhost/connections" | jq -c '[length, all(.[]; .ssl)]')" = '[3,true]' ]
}
fact "no connection to the broker was a plain one" await 10 on_tls

# ---- the store ----

run_says() { # TEXT VARIABLE=VALUE...
    local text=$1
    shift
    ! over_tls env "$@" "$GOPMILL" probe "s3://$bucket/short.mp4" >out 2>&1 && grep -qF "$text" out || { cat out && return 1; }
}
fact "a store is read over TLS" over_tls "$GOPMILL" probe "s3://$bucket/short.mp4"
fact "one of a stranger's authority isn't" run_says "AWS_CA_BUNDLE" AWS_CA_BUNDLE="$certs/stranger.pem"
fact "nor one by a name that isn't its own" run_says "127.0.0.1" AWS_ENDPOINT_URL_S3="${RGW_TLS_URL/localhost/127.0.0.1}"
fact "a CA file that isn't there is named" run_says "/no/such.pem" AWS_CA_BUNDLE=/no/such.pem
says_why() { # the only worker there is: why it takes nothing
    api GET /v1/workers | jq -e '[.workers[] | select(.id == "bad") | .reason // "" | contains("certificate") and contains("AWS_CA_BUNDLE")] == [true]' >/dev/null
}
waits() { [ "$(job bad '"\(.state) \(.progress.attempts_failed)"')" = "running 0" ]; }
distrusted() {
    worker_stop w1 && worker_stop w2 || return 1
    bundle=$certs/stranger.pem over_tls worker_start bad && posted 202 bad short.mp4 quick.yaml || return 1
    await 40 says_why || { api GET /v1/workers && tail -n 5 "$farm/log/bad" && return 1; }
    await 20 waits || { job bad . && return 1; }
}
fact "a worker that doesn't trust the store takes nothing, and says why" distrusted
fact "one that does makes the job" eval 'over_tls worker_start good && wait_for bad "done" 60'

# ---- the command line ----

front() { # NAME PORT-OFFSET SOCAT-OPTION: TLS before the dispatcher
    run_in "$farm" "$1" socat "OPENSSL-LISTEN:$((ports + $2)),bind=127.0.0.1,reuseaddr,fork,cert=$certs/server.pem,key=$certs/server.key,$3" \
        "TCP:127.0.0.1:$ports"
    await 10 listens $((ports + $2))
}
fact "TLS before the dispatcher" front front 6 verify=0
fact "and one that wants certificates" front strict 7 "verify=1,cafile=$certs/ca.pem"
asks() { # STATUS TEXT URL ARG...: `gopmill jobs`
    local want=$1 text=$2 got
    GOPMILL_DISPATCHER=$3
    shift 3
    "$GOPMILL" jobs "$@" >out 2>&1
    got=$?
    [ $got = "$want" ] && grep -qF -e "$text" out || { echo "exit status $got instead of $want, or not: $text" && cat out && return 1; }
}
safe=https://localhost:$((ports + 6)) strict=https://localhost:$((ports + 7))
fact "the command line asks over TLS" asks 0 safe "$safe" --ca-file "$certs/ca.pem"
GOPMILL_CA_FILE=$certs/ca.pem fact "the authority may come from the environment" asks 0 safe "$safe"
fact "a stranger's authority is refused" asks 1 "--ca-file or GOPMILL_CA_FILE names the certificate to trust" "$safe" --ca-file "$certs/stranger.pem"
fact "none at all as well" asks 1 "--ca-file or GOPMILL_CA_FILE names the certificate to trust" "$safe"
fact "another name than the certificate's, too" asks 1 "127.0.0.1'" "${safe/localhost/127.0.0.1}" --ca-file "$certs/ca.pem"
fact "who speaks no TLS is told so" asks 1 "does it speak https?" "${url/http:/https:}" --ca-file "$certs/ca.pem"
fact "a certificate is shown where one is wanted" asks 0 safe "$strict" --ca-file "$certs/ca.pem" \
    --cert-file "$certs/client.pem" --key-file "$certs/client.key"
GOPMILL_CA_FILE=$certs/ca.pem GOPMILL_CERT_FILE=$certs/client.pem GOPMILL_KEY_FILE=$certs/client.key \
    fact "it may come from the environment" asks 0 safe "$strict"
fact "who has none is told so" asks 1 "--cert-file and --key-file name your own certificate" "$strict" --ca-file "$certs/ca.pem"
fact "a certificate that isn't there is named" asks 1 "/no/such.pem" "$safe" --ca-file "$certs/ca.pem" --cert-file /no/such.pem
fact "a key alone is wrong usage" asks 2 "--cert-file" "$safe" --ca-file "$certs/ca.pem" --key-file "$certs/client.key"
finish
