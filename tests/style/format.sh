#!/bin/sh
# The tree is as clang-format leaves it. Usage: format.sh SOURCE
set -eu
cd "$1"
find common ladders dispatcher worker cli tests -name '*.[ch]' -print0 |
    xargs -0 clang-format --dry-run -Werror
