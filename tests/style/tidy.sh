#!/bin/sh
# clang-tidy over every source of the programs, not of their tests. Usage: tidy.sh SOURCE BUILD
#
# A file that was found clean is not looked at again until it, a header, the
# checks or the compile database change: the marks lie in BUILD/tidy/.
set -eu
source=$1 build=$2
marks=$build/tidy
mkdir -p "$marks"
cd "$source"

common=$(find common ladders dispatcher worker cli -name '*.h' -print0 | sort -z |
    xargs -0 cat .clang-tidy tests/style/tidy.sh "$build/compile_commands.json" | sha256sum | cut -d ' ' -f 1)

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
    clang-tidy -p "$0" --quiet "$1" 2>/dev/null && : >"$2" || { echo "clang-tidy: $1"; exit 1; }
    ' "$build" <"$todo"
echo "$(wc -l <"$todo") files looked at"
