#!/bin/bash
# What docs/operations.md says to configure, word for word, on the real
# servers: with those rights a farm works, and its members can't do more.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

doc=$GOPMILL_SOURCE/docs/operations.md
farm_up
clip_make short.mp4 320x180 12 || bail "no clip"
fact "the undisturbed package" eval 'reference short.mp4 quick.yaml >/dev/null'

# The JSON among the document's blocks that has such a field.
documented_json() { # FIELD
    awk '/^```json/ { on = 1; next } /^```/ { if (on) print "\0"; on = 0 } on' "$doc" |
        jq -Rrs --arg f "$1" 'split("\u0000")[] | fromjson? | select(has($f))'
}

# ---- RabbitMQ ----

password=$(secret)
as() { echo "amqp://$1-$$:$password@$RMQ_HOSTS/$vhost"; } # USER
permit() { # USER: one with the rights that the document gives it
    local rights
    rights=$(sed -n "s/^rabbitmqctl set_permissions -p gopmill $1 //p" "$doc")
    [ -n "$rights" ] || { echo "the document has none for $1" && return 1; }
    eval "set -- $1 $rights"
    rabbitmq_do user "$1-$$" "$password" "$vhost" &&
        rabbitmq_do api PUT "permissions/$vhost/$1-$$" "$(jq -nc --arg c "$2" --arg w "$3" --arg r "$4" '{configure: $c, write: $w, read: $r}')"
}
for user in dispatcher worker pipeline; do
    fact "$user: a user with the documented rights" permit $user
done

# ---- S3 ----

policy=$(documented_json Statement | sed "s|arn:aws:s3:::in\([\"/]\)|arn:aws:s3:::in-$bucket\1|g; s|arn:aws:s3:::out\([\"/]\)|arn:aws:s3:::out-$bucket\1|g" | jq -c .)
iam() { # PARAMETER...: of the user API, as the administrator
    local arg body=''
    for arg; do body=$body${body:+&}${arg%%=*}=$(s3_encoded "${arg#*=}"); done
    curl -sS --fail-with-body --max-time 20 --aws-sigv4 "aws:amz:$AWS_REGION:iam" \
        --config <(echo "user = \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\"") --data "$body" "$AWS_ENDPOINT_URL_S3/"
}
member() { # NAME POLICY: a user with it and nothing else
    local name=$1-$$
    rgw_do admin user info --uid="$name" >/dev/null 2>&1 || rgw_do user "$name" "key$name" "$password" || return 1
    iam Action=PutUserPolicy "UserName=$name" PolicyName=gopmill "PolicyDocument=$2"
}
acting() { # NAME COMMAND...: with that user's credentials
    local -x AWS_ACCESS_KEY_ID=key$1-$$ AWS_SECRET_ACCESS_KEY=$password
    shift
    "$@"
}
for_workers=$(jq -c '.Statement |= map(.Action -= ["s3:DeleteObject", "s3:ListBucketMultipartUploads"] | select(.Action != []))' <<<"$policy")
buckets() {
    rgw_do admin caps add --uid=farm --caps="user-policy=*" >/dev/null && s3_bucket "in-$bucket" && s3_bucket "out-$bucket" &&
        s3_put "$shared/short.mp4" "in-$bucket/short.mp4" && s3_put "$shared/short.mp4" "in-$bucket/other.mp4"
}
fact "two buckets" buckets
fact "the documented policy is taken" member dispatcher "$policy"
fact "for workers without what they don't need" member worker "$for_workers"

# ---- a farm with those rights ----

dispatcher_broker=$(as dispatcher) fact "a dispatcher" acting dispatcher dispatcher_start
worker_broker=$(as worker) fact "two workers" acting worker two_workers
there() { # ID: in those buckets
    jq -nc --arg in "s3://in-$bucket/short.mp4" --arg out "s3://out-$bucket/$1/" '{source: $in, output: $out}'
}
same() { # ID
    # Objects are theirs who wrote them, on RGW: not even the bucket's owner may read them.
    rm -rf "$scratch/package-$1" && acting dispatcher s3_fetch "out-$bucket" "$1/" "$scratch/package-$1" &&
        diff <(digests "$(reference short.mp4 quick.yaml)") <(digests "$scratch/package-$1")
}
fact "a job is done" eval 'posted 202 http short.mp4 quick.yaml "$(there http)" && wait_for http "done"'
fact "its package is the undisturbed one" same http
by_amqp() {
    job_json amqp short.mp4 quick.yaml "$(there amqp)" >submission
    amqp-publish --url "$(as pipeline)" -r gopmill.jobs -p <submission && await 20 job amqp .id >/dev/null && wait_for amqp "done"
}
fact "a pipeline submits by AMQP" by_amqp
fact "a job is canceled, and workers hear of it" eval 'posted 202 cancel short.mp4 slow.yaml "$(there cancel)" &&
    await 30 done_at_least cancel 1 && [ "$(status_of POST /v1/jobs/cancel/cancel "{}")" = 202 ] && wait_for cancel canceled 10 && idle_within 5'
fact "what was made of it is deleted" eval '[ "$(status_of DELETE "/v1/jobs/cancel")" -lt 300 ] &&
    await 30 eval "[ -z \"\$(acting dispatcher s3_list out-$bucket cancel/)\" ]"'
broken_task() {
    echo 'no task' >message
    publish_text gopmill.tasks message && await 15 eval 'api GET /v1/dead | jq -e ".dead | length > 0" >/dev/null'
}
fact "what a worker can't read becomes a dead letter" broken_task
fact "a worker drains when told to" eval '"$GOPMILL" drain w1 && await 20 not is_up "$farm" w1'
worker_broker=$(as worker) fact "a dispatcher that is killed and started again goes on" eval 'posted 202 again short.mp4 quick.yaml "$(there again)" &&
    dispatcher_kill && dispatcher_broker=$(as dispatcher) acting dispatcher dispatcher_start && wait_for again "done"'
refused_nothing() { ! grep -hE 'ACCESS_REFUSED|AccessDenied| 403' "$farm"/log/*; }
fact "nothing was refused to any of them" refused_nothing

# ---- and nothing else ----

refused() { # USER COMMAND...: by the broker
    local url
    url=$(as "$1")
    shift
    ! "$1" --url "$url" "${@:2}" >out 2>&1 </dev/null && grep -q ACCESS_REFUSED out || { cat out && return 1; }
}
for queue in jobs results dead uploads; do
    fact "a worker can't read gopmill.$queue" refused worker amqp-get -q gopmill.$queue
done
fact "a worker can't declare a queue" refused worker amqp-declare-queue -q gopmill.mine
fact "nor delete one" refused worker amqp-delete-queue -q gopmill.tasks
fact "a pipeline can't read results" refused pipeline amqp-get -q gopmill.results
fact "nor declare a queue" refused pipeline amqp-declare-queue -q gopmill.mine
fact "a dispatcher can't declare what isn't gopmill's" refused dispatcher amqp-declare-queue -q mine
denied() { # COMMAND...: by the store
    ! "$@" >out 2>&1 && grep -q 403 out || { cat out && return 1; }
}
for name in dispatcher worker; do
    fact "a $name can't write to the bucket of sources" denied acting $name s3_put message "in-$bucket/new"
    fact "nor delete there" denied acting $name s3_delete "in-$bucket/other.mp4"
    fact "nor read other buckets" denied acting $name s3_get "$bucket/short.mp4" got
    fact "nor list them" denied acting $name s3_list "$bucket"
done
fact "a worker can't delete anything" denied acting worker s3_delete "out-$bucket/http/master.m3u8"

unswept() {
    local -r not_listing=$(jq -c '.Statement |= map(.Action -= ["s3:ListBucketMultipartUploads"] | select(.Action != []))' <<<"$policy")
    member dispatcher "$not_listing" && posted 202 parts short.mp4 quick.yaml "$(there parts)" && wait_for parts "done" &&
        same parts && grep -q store.unswept "$farm/log/dispatcher"
}
fact "a dispatcher that may not look for left-over parts does its work all the same" unswept

# ---- CORS ----

cors_xml() { # S3 wants the rules as XML; `aws s3api put-bucket-cors` makes it of the JSON
    documented_json CORSRules | jq -r '"<CORSConfiguration>" + ([.CORSRules[] | "<CORSRule>" +
        ([(.AllowedOrigins[] | "<AllowedOrigin>\(.)</AllowedOrigin>"), (.AllowedMethods[] | "<AllowedMethod>\(.)</AllowedMethod>"),
          (.AllowedHeaders[] | "<AllowedHeader>\(.)</AllowedHeader>"), (.ExposeHeaders[] | "<ExposeHeader>\(.)</ExposeHeader>"),
          "<MaxAgeSeconds>\(.MaxAgeSeconds)</MaxAgeSeconds>"] | join("")) + "</CORSRule>"] | join("")) + "</CORSConfiguration>"'
}
cors_set() {
    cors_xml >cors.xml && s3_curl -X PUT -H "content-md5: $(openssl md5 -binary cors.xml | base64)" --data-binary @cors.xml \
        -o /dev/null "$AWS_ENDPOINT_URL_S3/out-$bucket?cors="
}
fact "the documented rule is taken" cors_set
preflight() { # ORIGIN METHOD HEADERS: prints the status; headers in `head`
    curl -sS -X OPTIONS -D head -o /dev/null -w '%{http_code}' -H "Origin: $1" -H "Access-Control-Request-Method: $2" \
        -H "Access-Control-Request-Headers: $3" "$AWS_ENDPOINT_URL_S3/out-$bucket/http/master.m3u8"
}
has_header() { # NAME TEXT
    grep -i "^$1:" head | grep -qiF -e "$2" || { echo "no $1 with $2:" && cat head && return 1; }
}
allowed() {
    [ "$(preflight https://www.example.com GET range)" = 200 ] && has_header access-control-allow-origin https://www.example.com &&
        has_header access-control-allow-methods GET && has_header access-control-allow-headers range && has_header access-control-max-age 86400
}
fact "a player's preflight is answered" allowed
fact "that of another origin isn't" eval '[ "$(preflight https://evil.example GET range)" = 403 ]'
fact "nor one that wants to write" eval '[ "$(preflight https://www.example.com PUT range)" = 403 ]'
exposed() {
    acting dispatcher s3_curl -D head -o /dev/null -H "Origin: https://www.example.com" -H "Range: bytes=0-9" "$AWS_ENDPOINT_URL_S3/out-$bucket/http/video/full/seg-00001.m4s" &&
        has_header access-control-allow-origin https://www.example.com && has_header access-control-expose-headers content-range &&
        has_header content-range "bytes 0-9/"
}
fact "a segment's range comes with what players may see" exposed
finish
