#!/bin/bash
# Sources made of parts by chance are the same in one chunk and in several: as many
# as two minutes have room for. By hand: other seeds, and all of them.
exec "$(dirname "$0")/random" --seconds 100 --jobs 2
