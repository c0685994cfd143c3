#!/bin/sh
# Compiles each header of the programs by itself. Usage: alone.sh SOURCE BUILD CC...
# BUILD is where gopmill-config.h lies.
set -u
source=$1 build=$2
shift 2

flags="-std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wconversion -Wno-sign-conversion
    -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wwrite-strings
    -Wno-missing-field-initializers
    $(pkg-config --cflags jansson libavformat libavfilter libavcodec libavutil libxml-2.0)"

failed=0 count=0
# One line a header; none has a blank in its name.
for header in $(cd "$source" && find common ladders dispatcher worker cli tests -name '*.h' | sort); do
    count=$((count + 1))
    # shellcheck disable=SC2086 # flags are words
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$@" $flags -I "$source" -I "$build" -x c -fsyntax-only - || {
        echo "does not compile alone: $header"
        failed=$((failed + 1))
    }
done

echo "$count headers, $failed failed"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
