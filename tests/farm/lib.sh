# lib.sh - sourced by the scripts here: a farm of real processes against a
# real broker and a real S3 server, jobs, and what must hold afterwards.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2034 # variables are for those who source this
#
#   own_servers [SERVER...]       has farm_up start rabbitmq, rgw (default: both) for this script alone:
#                                 whoever disturbs them
#   farm_up                       broker and S3: a vhost and a bucket of this test's own
#   dispatcher_start [ARG...]     waits until it is ready; its log is $farm/log/dispatcher
#   worker_start NAME [ARG...]    one slot unless ARG says otherwise
#   post ID CLIP LADDER [JSON]    POST /v1/jobs; prints the status; the answer is in `answer`
#   job ID [JQ-FILTER]            GET /v1/jobs/ID
#   wait_for ID STATE [SECONDS]   fails at once where it ends otherwise
#   same_as_run ID CLIP LADDER    its package has the bytes that `gopmill run` makes
#   same_media_as_run ID CLIP LADDER   the same of one that was made beside another
#   encoded_at_most ID NUMBER     of its tasks, those that were encoded twice counted twice
#   nothing_left                  no message and no row too many
#
# The servers are those of the whole suite where `meson test` called, else this script's own. Several
# scripts use them at the same time: each has a vhost and a bucket of its own.
# Everything is gone at the end, also after kill -9 (private.sh).
. "$(dirname "${BASH_SOURCE[0]}")/../media/tap.sh"
. "$(dirname "${BASH_SOURCE[0]}")/private.sh"
. "$(dirname "${BASH_SOURCE[0]}")/s3.sh"
cd "$scratch" || exit 1
export GOPMILL_STORAGE_RETRY=0 # a minute of patience with a store is none of a test's

test_name=$(basename "$0" .sh)
farm=$scratch/farm
private_make "$farm" $$
own=$scratch/servers
case $(tr '\0' ' ' <"/proc/$PPID/cmdline") in
*meson*) servers=/tmp/gopmill-farm.$(id -u).$PPID servers_owner=$PPID ;;
*) servers=$own servers_owner=$$ ;;
esac
declare -A server_dir=([rabbitmq]=$servers.rabbitmq [rgw]=$servers.rgw)
rgw_options=() # of `rgw start`: only with own_servers, like those of farm_up
vhost='' bucket=$test_name-$$

farm_leave() {
    [ -z "$vhost" ] || rabbitmq_do api DELETE "vhosts/$vhost" >/dev/null 2>&1
    if [ "${facts_failed-0}" -gt 0 ]; then show_logs; fi
    for folder in "$farm" "$own".*; do private_end "$folder"; done
    rm -rf "$scratch"
}
trap farm_leave EXIT

show_logs() {
    local log
    for log in "$farm"/log/*; do
        [ -s "$log" ] || continue
        echo "# ---- $(basename "$log")"
        tail -n "${GOPMILL_TEST_LOG_LINES-25}" "$log" | cut -c -400 | sed 's/^/#   /'
    done
    [ -z "${GOPMILL_TEST_KEEP_LOGS-}" ] || cp -r "$farm/log" "$GOPMILL_TEST_KEEP_LOGS/$test_name-$$"
}

# ---- servers ----

rabbitmq_do() { # COMMAND ARG...
    local command=$1
    shift
    "$private_here/rabbitmq" "$command" "${server_dir[rabbitmq]}" "$@"
}

rgw_do() { # COMMAND ARG...
    local command=$1
    shift
    "$private_here/rgw" "$command" "${server_dir[rgw]}" "$@"
}

# Before farm_up: servers for this script alone.
own_servers() { # [SERVER...]
    local server
    [ $# -gt 0 ] || set -- rabbitmq rgw
    for server in "$@"; do server_dir[$server]=$own.$server; done
}

# With a lock of that name held, which is everybody's whose `shared` is the same.
alone() { # NAME COMMAND...
    local name=$1
    shift
    (
        flock 8
        "$@" 8>&- # what is started in there doesn't hold it
    ) 8>"$shared/$name.lock"
}

# Whoever comes first starts it, for all.
server_start() { # SERVER [START-OPTION...]: prints its variables
    local server=$1 owner=$servers_owner
    shift
    case ${server_dir[$server]} in
    "$own".*) "${server}_do" start --owner $$ "$@" ;;
    *) alone "$server" "${server}_do" start --owner "$owner" "$@" ;;
    esac
}

farm_up() { # [RABBITMQ-START-OPTION...]; rgw_options: an array of those of rgw
    shared=$servers.shared # clips, packages to compare with: made once
    private_make "$shared" "$servers_owner"
    server_start rabbitmq "$@" >"$scratch/rabbitmq.env" &
    server_start rgw "${rgw_options[@]}" >"$scratch/rgw.env" || bail "no S3 server"
    wait $! || bail "no RabbitMQ"
    # shellcheck disable=SC1091 # written above
    . "$scratch/rabbitmq.env"
    set -a
    # shellcheck disable=SC1091
    . "$scratch/rgw.env"
    set +a
    vhost=$test_name-$$
    rabbitmq_do vhost "$vhost" || bail "no vhost"
    broker=$RMQ_URLS$vhost
    s3_bucket "$bucket" || bail "no bucket"
    ports=$(ports_take "$farm") || exit 1
    token=$(secret)
    (umask 077 && echo "$token" >"$scratch/token")
    url=http://127.0.0.1:$ports
    export GOPMILL_DISPATCHER=$url GOPMILL_TOKEN=$token
}

bail() {
    echo "Bail out! $1"
    exit 1
}

# A network that fails on demand (faultproxy.c): proxy_start NAME HOST:PORT [--raw],
# then proxy_do NAME pass|refuse|hang|slow N|…; it listens at $(proxy_at NAME).
proxy_start() {
    local name=$1 target=$2
    shift 2
    echo pass >"$scratch/proxy-$name"
    proxies=$((${proxies-10} + 1))
    echo "127.0.0.1:$((ports + proxies))" >"$scratch/at-$name"
    run_in "$farm" "proxy-$name" "$GOPMILL_BUILD/tests/farm/faultproxy" $((ports + proxies)) "$target" "$scratch/proxy-$name" "$@"
    await 60 listens $((ports + proxies))
}
proxy_at() { cat "$scratch/at-$1"; }
# COMMAND with its S3 behind a proxy.
over() { # PROXY COMMAND...
    local -x AWS_ENDPOINT_URL_S3
    AWS_ENDPOINT_URL_S3=http://$(proxy_at "$1")
    shift
    "$@"
}
proxy_do() { # NAME FAULT...: in effect 20 ms later
    local name=$1
    shift
    echo "$*" >"$scratch/proxy-$name.new"
    mv "$scratch/proxy-$name.new" "$scratch/proxy-$name"
    sleep 0.1
}

# ---- dispatcher and workers ----

dispatcher_start() { # [ARG...]
    run_in "$farm" dispatcher "$GOPMILL_DISPATCHER_PROGRAM" --broker "${dispatcher_broker-$broker}" \
        --db "$scratch/jobs.db" --listen "127.0.0.1:$ports" --token-file "$scratch/token" "$@"
    await 60 dispatcher_ready_or_dead && dispatcher_ready && return 0
    echo "the dispatcher isn't ready:"
    tail -n 20 "$farm/log/dispatcher"
    return 1
}
dispatcher_ready() { peek /readyz; }
dispatcher_ready_or_dead() { dispatcher_ready || ! is_up "$farm" dispatcher; }
dispatcher_stop() { kill_in "$farm" dispatcher TERM 20; }
dispatcher_kill() { kill_in "$farm" dispatcher; }

# Not nice to what else runs on the machine: a test would starve beside it.
worker_start() { # NAME [ARG...]
    local name=$1
    shift
    run_in "$farm" "$name" "$GOPMILL_WORKER_PROGRAM" --broker "${worker_broker-$broker}" \
        --id "$name" --slots 1 --nice "${worker_nice-0}" --log-format json --log-level debug "$@"
}
worker_stop() { kill_in "$farm" "$1" TERM 30; }

# Kills the worker alone: its children have to notice by themselves.
worker_kill() { # NAME
    local pid
    pid=$(pid_of "$farm" "$1")
    kill -KILL "$pid"
    await 5 nobody_in_session "$pid" || {
        echo "$1 left behind:"
        ps -o pid,stat,args -s "$pid"
        return 1
    }
    rm -f "$farm/pids/$1"
}
nobody_in_session() { ! ps -o stat= -s "$1" | grep -qv '^Z'; } # a zombie has ended

workers_known() { # NUMBER
    peek /v1/workers || return 1
    local others=${seen//'"state":"active"'/}
    [ $(((${#seen} - ${#others}) / 16)) = "$1" ]
}

two_workers() {
    worker_start w1
    worker_start w2
    await 60 workers_known 2 || { echo "the workers aren't seen" && api GET /v1/workers && return 1; }
}

# Nothing of the farm runs a task, within SECONDS.
idle_within() { # SECONDS
    await "$1" no_child || { echo "still at work:" && ps -eo pid,args | grep '[g]opmill-child' && return 1; }
}
no_child() { # children that wait ready have no task: they use no CPU
    peek /v1/workers && [[ $seen != *'"running":[{'* ]]
}

# ---- the API ----

api() { # METHOD PATH [JSON]: prints the body; fails where the status isn't 2xx
    curl -sS --fail-with-body --max-time 20 -X "$1" -H "authorization: Bearer $token" \
        ${3+-H "content-type: application/json" --data-binary "$3"} "$url$2"
}

status_of() { # METHOD PATH [JSON]: prints the status; the body is in `answer`
    curl -sS --max-time 20 -X "$1" -H "authorization: Bearer $token" -o "$scratch/answer" -w '%{http_code}\n' \
        ${3+-H "content-type: application/json" --data-binary "$3"} "$url$2"
}

# GET, answered with 200: the body is in `seen`. What is asked for again and again is asked for
# without a process.
peek() { # PATH
    local status='' line
    seen=''
    { exec 7<>"/dev/tcp/127.0.0.1/$ports"; } 2>/dev/null || return 1
    trap '' PIPE # it may be killed right now
    printf 'GET %s HTTP/1.0\r\nauthorization: Bearer %s\r\n\r\n' "$1" "$token" >&7 2>/dev/null
    trap - PIPE
    IFS= read -r -t 10 -u 7 status
    while IFS= read -r -t 10 -u 7 line && [ "$line" != $'\r' ]; do :; done
    IFS= read -r -d '' -t 10 -u 7 seen
    exec 7>&-
    [[ $status == *' 200 '* ]]
}

# A submission as JSON. LADDER is a file here or a ladder's name; CLIP lies in the bucket.
job_json() { # ID CLIP LADDER [JSON: more fields, which win]
    local extra=${4-}
    [ -n "$extra" ] || extra='{}'
    if [ -e "$3" ]; then
        jq -nc --arg id "$1" --arg in "s3://$bucket/$2" --arg out "s3://$bucket/out/$1/" --rawfile yaml "$3" \
            --argjson chunks "$chunks" --argjson extra "$extra" \
            '{id: $id, source: $in, output: $out, ladder: {yaml: $yaml}, options: {chunk_count: $chunks}} * $extra'
    else
        jq -nc --arg id "$1" --arg in "s3://$bucket/$2" --arg out "s3://$bucket/out/$1/" --arg ladder "$3" \
            --argjson chunks "$chunks" --argjson extra "$extra" \
            '{id: $id, source: $in, output: $out, ladder: $ladder, options: {chunk_count: $chunks}} * $extra'
    fi
}

post() { # ID CLIP LADDER [JSON]
    status_of POST /v1/jobs "$(job_json "$@")"
}

posted() { # STATUS ID CLIP LADDER [JSON]
    local want=$1 got
    shift
    got=$(post "$@")
    [ "$got" = "$want" ] || { echo "POST /v1/jobs: $got instead of $want: $(head -c 600 "$scratch/answer")" && return 1; }
}

job() { # ID [JQ-FILTER]
    api GET "/v1/jobs/$1" | jq -r "${2-.}"
}
job_state() { # ID: in `state`
    state=''
    peek "/v1/jobs/$1?tasks=0" && [[ $seen =~ '"state":"'([a-z]+)'"' ]] && state=${BASH_REMATCH[1]}
}
job_number() { # ID FIELD: that of progress, in `number`
    number=''
    peek "/v1/jobs/$1?tasks=0" && [[ $seen =~ \"$2\":([0-9]+) ]] && number=${BASH_REMATCH[1]}
}
state_is() { job_state "$1" && [ "$state" = "$2" ]; } # ID STATE
has_ended() { job_state "$1" && case $state in done | failed | canceled) ;; *) return 1 ;; esac }

wait_for() { # ID STATE [SECONDS]
    await "${3-120}" ended_or "$1" "$2"
    state_is "$1" "$2" && return 0
    echo "$1 isn't $2:"
    job "$1" '{state, error, progress, tasks: [.tasks[]? | select(.state != "done")]}' | head -c 3000
    return 1
}
ended_or() { has_ended "$1" || [ "$state" = "$2" ]; }

tasks_done() { job_number "$1" tasks_done && echo "$number"; }
done_at_least() { job_number "$1" tasks_done && [ "$number" -ge "$2" ]; } # ID NUMBER
planned() { job_number "$1" tasks && [ "$number" -gt 0 ]; }               # ID

error_says() { # ID CLASS TEXT...: the error has all of the texts
    local id=$1 class=$2 got text
    shift 2
    got=$(job "$id" '.error | "\(.class): \(.text)"')
    case $got in "$class: "*) ;; *) echo "not of class $class: $got" && return 1 ;; esac
    for text in "$@"; do
        case $got in *"$text"*) ;; *) echo "doesn't say \"$text\": $got" && return 1 ;; esac
    done
}

# ---- messages ----

# To a queue, as a pipeline would.
publish_text() { # QUEUE FILE
    amqp-publish --url "$RMQ_URL$vhost" -r "$1" -p <"$2"
}

# Without the management plugin's statistics, which fail for a minute at times where
# virtual hosts come and go.
queues() { rabbitmq_do api GET "queues/$vhost?disable_stats=true&enable_queue_totals=true"; }
queue_rows() { # prints "QUEUE MESSAGES" for each with any
    local all
    all=$(queues) || { echo "the broker doesn't tell: $all" && return 1; }
    jq -r '.[] | select((.messages // 0) > 0) | "\(.name) \(.messages)"' <<<"$all"
}
queues_empty() {
    local rows
    rows=$(queue_rows) && [ -z "$rows" ]
}

# ---- what must hold ----

# The broker tells its counts twice a second: seen empty twice, they are.
nothing_left() {
    local rows
    await 60 queues_empty && sleep 1.2 && queues_empty || {
        echo "messages left:"
        queue_rows
        return 1
    }
    # shellcheck disable=SC2016 # SQL
    rows=$(sqlite3 "file:$scratch/jobs.db?mode=ro" 'SELECT j.id, j.state, t.id, t.state FROM jobs j JOIN tasks t ON t.job = j.id
        WHERE j.state = '"'done'"' AND t.state <> '"'done'"' LIMIT 10' 2>&1)
    [ -z "$rows" ] || { echo "rows left: $rows" && return 1; }
}

# A package's objects by sha256, and its receipt without what is the run's own
# or says where things lie.
digests() { # DIR
    (cd "$1" && find . -path ./.gopmill -prune -o -type f ! -name job.json -print0 |
        sort -z | xargs -0r sha256sum)
    jq -S 'del(.run, .job, .source.url, .source.etag)' "$1/job.json"
}

# What `gopmill run` makes of a clip; made once.
reference() { # CLIP LADDER
    local dir
    dir=$shared/$1-$(basename "$2" .yaml)-$chunks
    alone "$(basename "$dir")" reference_make "$dir" "$shared/$1" "$2" || return 1
    echo "$dir"
}
reference_make() { # DIR CLIP LADDER
    [ ! -e "$1/job.json" ] || return 0
    "$GOPMILL" run "$2" --ladder "$3" --chunks "$chunks" --slots 2 --output "$1" >"$scratch/run" 2>&1 ||
        { cat "$scratch/run" >&2 && return 1; }
}

fetch() { # ID: its package, into package-ID
    rm -rf "$scratch/package-$1"
    s3_fetch "$bucket" "out/$1/" "$scratch/package-$1"
}

same_as_run() { # ID CLIP LADDER
    local dir
    dir=$(reference "$2" "$3") && fetch "$1" || return 1
    diff <(digests "$dir") <(digests "$scratch/package-$1") | head -n 30
    [ "${PIPESTATUS[0]}" = 0 ]
}

# Of a package that was made beside another one: its media lies in the folder of its version.
same_media_as_run() { # ID CLIP LADDER
    local dir version
    dir=$(reference "$2" "$3") && await 20 fetch "$1" 2>/dev/null &&
        version=$(jq -er .version "$scratch/package-$1/job.json") || return 1
    diff <(media_digests "$dir") <(media_digests "$scratch/package-$1/$version") | head -n 30
    [ "${PIPESTATUS[0]}" = 0 ] && "$GOPMILL_VERIFY" "$scratch/package-$1" >"$scratch/verified" ||
        { tail -n 20 "$scratch/verified" && return 1; }
}
media_digests() { (cd "$1" && find video audio -type f -print0 | sort -z | xargs -0r sha256sum); } # DIR

# Tasks that were encoded to their end, by the logs of all workers that there were.
encoded() { # ID
    cat "$farm"/log/w* 2>/dev/null |
        jq -rR --arg id "$1" 'fromjson? | select(.event == "task.done" and .job == $id) | .task'
}
# In all of them together, so often.
encoded_at_most() { # ID NUMBER
    encoded "$1" >"$scratch/encoded"
    [ "$(wc -l <"$scratch/encoded")" -le "$2" ] && [ -s "$scratch/encoded" ] || {
        echo "encoded $(wc -l <"$scratch/encoded") times, expected at most $2:"
        sort "$scratch/encoded"
        return 1
    }
}

# ---- clips ----

# WxH and seconds: moving, noisy pictures with sound.
clip_make() { # NAME SIZE SECONDS
    alone "$1" clip_draw "$@" && s3_put "$shared/$1" "$bucket/$1"
}
clip_draw() { # NAME SIZE SECONDS
    [ -e "$shared/$1" ] || {
        ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=size=$2:rate=25" \
            -f lavfi -i "sine=frequency=440:sample_rate=48000" -t "$3" -vf "noise=alls=8:allf=t,format=yuv420p" \
            -c:v libx264 -preset ultrafast -crf 23 -g 25 -c:a aac -b:a 96k -movflags +faststart -f mp4 \
            "$shared/$1.part" && mv "$shared/$1.part" "$shared/$1"
    }
}

# quick.yaml: a task is a fraction of a second; slow.yaml: half of one, and a few beside other farms.
ladders_make() {
    local preset
    for preset in quick:veryfast slow:faster; do
        cat >"$scratch/${preset%:*}.yaml" <<END
name: ${preset%:*}
gop_seconds: 1
segment_seconds: 2
defaults:
  h264: { preset: ${preset#*:}, crf: 24 }
video:
  - { name: full, codec: h264, size: 180, maxrate: 2M }
  - { name: half, codec: h264, size: 90, maxrate: 1M }
audio:
  - { name: sound, codec: aac, bitrate: 96k }
END
    done
    sed -i 's/size: 180/size: 216/; s/size: 90/size: 144/; s/maxrate: 2M/maxrate: 4M/' "$scratch/slow.yaml"
}

chunks=6
ladders_make
