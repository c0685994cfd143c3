# Rows about what containers carry across a cut: ../law.sh has those that need no package.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# As a program that cuts without encoding writes them: whole GOPs, and an edit list that hides what comes before the cut.
# (ffmpeg itself shows it.)
row "fragments of which an edit list hides the beginning" '{"video":{"frames":70,"every":0.04},"sound":{"start":0,"end":2.8},"picture_limit":255,"numbers":"30-99","quiet":true}' trimmed.mp4 \
    eval 'clip whole.mp4 $H264 -g 50 $AAC && quiet_ffmpeg -ss 1.2 -i whole.mp4 -c copy -movflags frag_keyframe+delay_moov trimmed.mp4'
# Sound goes on for long: the last picture is repeated, from where decoding is right, though no chunk begins there.
row "H.264: a last picture that stays, in the middle of an intra refresh" '{"video":{"held":true}}' stays.mov \
    eval '"$NUMBERED" make 53 320 180 25:1 | quiet_ffmpeg -f yuv4mpegpipe -i pipe:0 -i "$scratch/sound.wav" -map 0:v -map 1:a -threads 1 -c:v libx264 -preset veryfast -crf 14 -g 12 -bf 3 -x264-params intra-refresh=1:b-pyramid=none $AAC stays.mov'
