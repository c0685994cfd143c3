#!/bin/bash
# Sources whose URLs are secrets: presigned ones, by https. They are read, and
# what makes them secret is in nothing that leaves.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

farm_up
chunks=3
clip_make short.mp4 320x180 12 || bail "no clip"
trusting() { AWS_CA_BUNDLE=$RGW_CA GOPMILL_CA_FILE=$RGW_CA "$@"; }
fact "a dispatcher" trusting dispatcher_start --private-sources 1 --attempts 2 \
    --allow-source s3:// --allow-source "$RGW_TLS_URL/"
workers() {
    trusting worker_start w1 --private-addresses && trusting worker_start w2 --private-addresses &&
        await 15 workers_known 2
}
fact "two workers" workers

# ---- presigned URLs, as any S3 client makes them ----

hmac() { # KEY(hex: or key:) TEXT
    printf %s "$2" | openssl dgst -sha256 -mac HMAC -macopt "$1" | sed 's/.* //'
}
presigned() { # BUCKET/KEY
    local now day scope query host k part
    now=$(date -u +%Y%m%dT%H%M%SZ) day=${now%T*} host=${RGW_TLS_URL#https://}
    scope=$day/$AWS_REGION/s3/aws4_request
    query="X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=$(s3_encoded "$AWS_ACCESS_KEY_ID/$scope")"
    query="$query&X-Amz-Date=$now&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
    k=key:AWS4$AWS_SECRET_ACCESS_KEY
    for part in "$day" "$AWS_REGION" s3 aws4_request; do k=hexkey:$(hmac "$k" "$part"); done
    echo "$RGW_TLS_URL/$1?$query&X-Amz-Signature=$(hmac "$k" "AWS4-HMAC-SHA256
$now
$scope
$(printf 'GET\n/%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD' "$1" "$query" "$host" | sha256sum | cut -d ' ' -f 1)")"
}
signature() { echo "${1##*=}"; } # URL

good=$(presigned "$bucket/short.mp4")
gone=$(presigned "$bucket/gone.mp4")
posted_from() { # ID URL
    posted 202 "$1" short.mp4 quick.yaml "{\"source\": \"$2\"}"
}
fact "a job whose source is presigned is accepted" posted_from one "$good"
fact "and done" wait_for one "done"
fact "with the package that gopmill run makes of the file" same_as_run one short.mp4 quick.yaml
fact "one whose source isn't there fails" eval 'posted_from two "$gone" && wait_for two failed'
fact "which is told by its address" error_says two input gone.mp4

# Only workers see that it went: they have nothing of it yet.
goes_away() {
    local from
    s3_put "$shared/short.mp4" "$bucket/late.mp4" && from=$(presigned "$bucket/late.mp4") && echo "$from" >late
    worker_stop w1 && worker_stop w2 && posted_from three "$from" && await 30 planned three || return 1
    s3_delete "$bucket/late.mp4" && workers && wait_for three failed && error_says three input late.mp4 "not there"
}
planned() { [ "$(job "$1" .progress.tasks 2>/dev/null)" -gt 0 ]; }
fact "one whose source goes away fails in a worker" goes_away
refused_one() {
    job_json four short.mp4 quick.yaml "{\"source\": \"$good\", \"priority\": 77}" >four.json
    publish_text gopmill.jobs four.json && await 15 is_dead
}
is_dead() { api GET /v1/dead | jq -e '.dead[] | select(.queue == "gopmill.jobs")' >/dev/null; }
fact "a message that nobody can use is a dead letter" refused_one

# ---- where it must not be ----

all_that_is_told() {
    api GET /v1/dead
    api GET /v1/jobs
    for id in one two three; do api GET "/v1/jobs/$id"; done
    cat package-one/job.json
    "$GOPMILL" status one
    "$GOPMILL" failed
    "$GOPMILL" dead
    curl -s -H "authorization: Bearer $token" "$url/metrics"
    cat "$farm"/log/dispatcher "$farm"/log/w*
}
all_that_is_told >told 2>&1
tells_address() { grep -q "$RGW_TLS_URL/$bucket/short.mp4" told; }
fact "status, receipt, logs and dead letters tell the address" tells_address
tells_no_secret() {
    grep -nE "X-Amz|$(signature "$good")|$(signature "$gone")|$(signature "$(cat late)")" told >secrets || return 0
    cut -c -300 secrets
    return 1
}
fact "and no signature" tells_no_secret
fact "nothing is left over" nothing_left
finish
