# Rows about what containers carry across a cut: ../law.sh has those that need no package.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# As a program that cuts without encoding writes them: whole GOPs, and an edit list that hides what comes before the cut.
# (ffmpeg itself shows it.)
row "fragments of which an edit list hides the beginning" '{"video":{"frames":70,"every":0.04},"sound":{"start":0,"end":2.8},"picture_limit":255,"numbers":"30-99","quiet":true}' trimmed.mp4 \
    eval 'clip whole.mp4 $H264 -g 50 $AAC && quiet_ffmpeg -ss 1.2 -i whole.mp4 -c copy -movflags frag_keyframe+delay_moov trimmed.mp4'
