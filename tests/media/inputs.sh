#!/bin/bash
# Every upload plays right, or is refused in words: the table of inputs
# (tests/media/inputs), two rows at a time.
exec "$(dirname "$0")/inputs" --jobs 2
