# private.sh - sourced by rabbitmq, rgw and lib.sh: private folders, free
# ports, processes that never outlive who asked for them.
# shellcheck shell=bash
#
# A private folder has `owner` (pid and start time of the process that it is
# for), `pids/NAME`, one for each process started in it, and `log/`. A guard
# watches the owner; once that is gone, however it went, all these processes
# are killed and the folder is removed.

private_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
private_registry=/tmp/gopmill-ports.$(id -u) # one folder for all of this machine's runs

# What the kernel says of a process that is alive, behind its name: state first, its start as the
# 20th. In `stat`; asked for again and again, and so without a process for it. A zombie is dead:
# whoever should reap it may be late.
look_at() { # PID
    local line
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra stat <<<"${line##*) }"
    case ${stat[0]-} in '' | Z | X) return 1 ;; esac
}

alive() { # PID
    local stat
    look_at "$1"
}

process_start() { # PID
    local stat
    look_at "$1" && echo "${stat[19]}"
}

same_process() { # PID START
    local stat
    look_at "$1" && [ "${stat[19]}" = "$2" ]
}

# Waits until a command succeeds: await SECONDS COMMAND... Between two looks it
# pauses for twice as long as one takes: tests that wait leave the machine to
# those that work.
await() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000)) since now ms
    shift
    while since=${EPOCHREALTIME/./} && ! "$@"; do
        now=${EPOCHREALTIME/./}
        [ "$now" -lt "$end" ] || return 1
        ms=$(((now - since) / 500))
        pause $((ms < 50 ? 50 : ms < 500 ? ms : 500))
    done
}

# Without a process for it: nobody ever writes into that pipe.
exec {private_silence}<> <(:)
pause() { # MS
    local fraction=00$(($1 % 1000))
    read -r -t "$(($1 / 1000)).${fraction: -3}" -u "$private_silence" || :
}

not() {
    ! "$@"
}

listens() { # PORT
    (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Makes the folder and has a guard watch the owner. Does nothing where it is there; of
# several who make it at once one does.
private_make() { # DIR OWNER-PID
    local new=$1/owner.$BASHPID
    [ ! -e "$1/owner" ] || return 0
    mkdir -p "$1/pids" "$1/log"
    chmod 700 "$1"
    echo "$2 $(process_start "$2")" >"$new"
    ln "$new" "$1/owner" 2>/dev/null || {
        rm "$new"
        return 0
    }
    rm "$new"
    setsid "$private_here/guard" "$1" </dev/null >/dev/null 2>&1 &
}

# Starts a command in a session of its own: run_in DIR NAME COMMAND...; its
# output goes to log/NAME.
run_in() {
    local dir=$1 name=$2
    shift 2
    rm -f "$dir/pids/$name" # of one that ended by itself
    # shellcheck disable=SC2016 # for the inner shell
    setsid bash -c 'echo $$ >"$0/pids/$1.new"; mv "$0/pids/$1.new" "$0/pids/$1"; shift; exec "$@"' \
        "$dir" "$name" "$@" >>"$dir/log/$name" 2>&1 </dev/null &
    disown # the shell has no word on how it ends
    await 60 pid_of "$dir" "$name" >/dev/null
}

pid_of() { # DIR NAME
    cat "$1/pids/$2" 2>/dev/null
}

is_up() { # DIR NAME
    local pid
    { read -r pid <"$1/pids/$2"; } 2>/dev/null && alive "$pid"
}

# kill_in DIR NAME [SIGNAL [SECONDS]]: ends one, with all that it started;
# by force where it doesn't go.
kill_in() {
    local pid signal=${3-KILL}
    pid=$(pid_of "$1" "$2") || return 0
    if [ "$signal" != KILL ]; then
        kill "-$signal" "$pid" 2>/dev/null
        await "${4-20}" not alive "$pid"
    fi
    kill -KILL -- "-$pid" 2>/dev/null
    await 30 not alive "$pid"
    rm -f "$1/pids/$2"
}

private_end() { # DIR
    local file
    for file in "$1"/pids/*; do
        [ ! -e "$file" ] || kill -KILL -- "-$(cat "$file")" 2>/dev/null
    done
    rm -rf "$1"
}

ports_in_use() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$2 ~ /:/ { sub(/.*:/, "", $2); print $2 }' |
        while read -r hex; do echo $((16#$hex)); done | sort -un
}

# Prints the first of 100 ports that are free and stay DIR's as long as DIR
# is there. They lie below those that the kernel gives to clients.
ports_take() { # DIR
    local base first used
    mkdir -p "$private_registry"
    exec 9>"$private_registry/lock"
    flock 9
    used=$(ports_in_use)
    first=$((RANDOM % 120))
    for ((i = 0; i < 120; i++)); do
        base=$((20000 + (first + i) % 120 * 100))
        if [ -e "$private_registry/$base" ]; then
            [ ! -d "$(cat "$private_registry/$base")" ] || continue
        fi
        ! awk -v b="$base" '$1 >= b && $1 < b + 100 { found = 1 } END { exit !found }' <<<"$used" ||
            continue
        echo "$1" >"$private_registry/$base"
        exec 9>&-
        echo "$base"
        return 0
    done
    exec 9>&-
    echo "no 100 free ports between 20000 and 32000" >&2
    return 1
}

secret() {
    head -c 30 /dev/urandom | base64 | tr -dc A-Za-z0-9 | head -c 24
}
