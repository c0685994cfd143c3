# s3.sh - sourced by lib.sh and scripts/farm: a bucket by curl, so that what a
# package is taken out with shares no code with what put it there.
# shellcheck shell=bash
#
# $AWS_ENDPOINT_URL_S3, $AWS_REGION, $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY say where.
# Keys are of letters that URLs take as they are.

s3_curl() { # CURL-ARG...
    curl -sS --fail --max-time 60 --path-as-is --aws-sigv4 "aws:amz:$AWS_REGION:s3" \
        --config <(echo "user = \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\"") \
        -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@"
}

s3_bucket() { # BUCKET
    s3_curl -X PUT -o /dev/null "$AWS_ENDPOINT_URL_S3/$1"
}

s3_put() { # FILE BUCKET/KEY
    s3_curl -T "$1" -o /dev/null "$AWS_ENDPOINT_URL_S3/$2"
}

s3_get() { # BUCKET/KEY FILE
    s3_curl -o "$2" "$AWS_ENDPOINT_URL_S3/$1"
}

s3_delete() { # BUCKET/KEY
    s3_curl -X DELETE -o /dev/null "$AWS_ENDPOINT_URL_S3/$1"
}

s3_has() { # BUCKET/KEY
    s3_curl -I -o /dev/null "$AWS_ENDPOINT_URL_S3/$1" 2>/dev/null
}

s3_encoded() { # TEXT: as a query wants it
    local LC_ALL=C i c
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        case $c in
        [A-Za-z0-9._~-]) printf %s "$c" ;;
        *) printf %%%02X "'$c" ;;
        esac
    done
}

# Prints "SIZE KEY" of every object below the prefix.
s3_list() { # BUCKET [PREFIX]
    local page token='' query
    query="list-type=2&prefix=$(s3_encoded "${2-}")"
    while :; do
        page=$(s3_curl "$AWS_ENDPOINT_URL_S3/$1?${token:+continuation-token=$(s3_encoded "$token")&}$query") ||
            return 1
        sed 's/<Contents>/\n&/g' <<<"$page" |
            sed -n 's|^<Contents><Key>\([^<]*\)</Key>.*<Size>\([0-9]*\)</Size>.*|\2 \1|p'
        token=$(sed -n 's|.*<NextContinuationToken>\([^<]*\)<.*|\1|p' <<<"$page" | sed 's/&amp;/\&/g')
        [ -n "$token" ] || return 0
    done
}

# Every object below a prefix into a folder: one curl, a few at a time.
s3_fetch() { # BUCKET PREFIX DIR
    local key list
    list=$(s3_list "$1" "$2") || return 1
    mkdir -p "$3"
    [ -n "$list" ] || return 0
    while read -r _ key; do
        printf 'url = "%s"\noutput = "%s"\n' "$AWS_ENDPOINT_URL_S3/$1/$key" "$3/${key#"$2"}"
    done <<<"$list" >"$3/.fetch"
    s3_curl --parallel --parallel-max 4 --no-progress-meter --create-dirs --config "$3/.fetch" || return 1
    rm "$3/.fetch"
}

s3_empty() { # BUCKET PREFIX
    local key
    s3_list "$1" "$2" | while read -r _ key; do s3_delete "$1/$key"; done
}
