#!/bin/sh
# clang-tidy over every source of the programs, not of their tests. Usage: tidy.sh SOURCE BUILD
#
# A file that was found clean is not looked at again until it, a header, the
# checks or the compile database change: the marks lie in BUILD/tidy/.
#
# Nearly all of its time goes into following the paths through functions that
# have very many. GOPMILL_TIDY_NODES is where that ends, of each function: the
# analyzer's own default, 225000, takes over ten times as long, 40000 four times,
# and found nothing more.
set -eu
source=$1 build=$2
export GOPMILL_TIDY_NODES="${GOPMILL_TIDY_NODES:-10000}"
marks=$build/tidy
mkdir -p "$marks"
cd "$source"

common=$(find common ladders dispatcher worker cli -name '*.h' -print0 | sort -z |
    { echo "$GOPMILL_TIDY_NODES" && xargs -0 cat .clang-tidy tests/style/tidy.sh "$build/compile_commands.json"; } | sha256sum | cut -d ' ' -f 1)

todo=$marks/todo
: >"$todo"
for file in $(jq -r '.[].file' "$build/compile_commands.json" | sort -u); do
    path=$(realpath "$build/$file" 2>/dev/null || realpath "$file")
    case $path in "$source"/tests/*) continue ;; esac
    mark=$marks/$( (echo "$common" && cat "$path") | sha256sum | cut -d ' ' -f 1)
    [ -e "$mark" ] || printf '%s %s\n' "$path" "$mark" >>"$todo"
done

# xargs gives 123 where one of them failed.
xargs -r -P "$(nproc)" -n 2 sh -c '
    clang-tidy -p "$0" --quiet --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang \
        --extra-arg=max-nodes="$GOPMILL_TIDY_NODES" "$1" 2>/dev/null && : >"$2" || { echo "clang-tidy: $1"; exit 1; }
    ' "$build" <"$todo"
echo "$(wc -l <"$todo") files looked at"
