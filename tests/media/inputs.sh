#!/bin/bash
# Every upload plays right, or is refused in words: the table of inputs
# (tests/media/inputs), two rows at a time. By hand it has more rows.
exec "$(dirname "$0")/inputs" --quick --jobs 2
