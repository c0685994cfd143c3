#!/bin/sh
# Every shell script passes shellcheck. Usage: shell.sh SOURCE
set -eu
cd "$1"
find scripts .ci tests -type f -print |
    while read -r file; do
        case $(head -n 1 "$file" | tr -d '\0') in
        '#!/bin/sh'* | '#!/bin/bash'* | '#!/usr/bin/env bash'*) printf '%s\0' "$file" ;;
        esac
    done |
    xargs -0 shellcheck --severity=warning --external-sources
