# Rows about caps on rates: whatever a clock jitters by, each step is one of as many frames.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# jittery FILE RATE PART [OPTION...]: two seconds whose stamps are off by up to a PART of a frame.
jittery() {
    local file=$1 rate=$2 part=$3
    shift 3
    "$NUMBERED" make $(awk "BEGIN { print int(2 * $rate) }") 640 360 "${rate/\//:}$([[ $rate = */* ]] || echo :1)" |
        ffmpeg -nostdin -v error -f yuv4mpegpipe -i pipe:0 \
            -vf "settb=1/90000,setpts='round((N+1+$part*(mod(N*N*7,21)-10)/10)*90000/($rate))'" \
            -enc_time_base 1/90000 -vsync passthrough $H264 -bf 0 "$@" "$file"
}
row "60 fps in Matroska's milliseconds, capped at 15" '{"steps":"4"}' ms.mkv eval 'jittery ms.mkv 60 0'
row "59.94 fps with a tenth of jitter, capped at 15" '{"steps":"4"}' j.mp4 eval 'jittery j.mp4 60000/1001 0.1 -video_track_timescale 90000'
row "50 fps with a tenth of jitter, capped at 15" '{"steps":"4"}' j.ts eval 'jittery j.ts 50 0.1'
row "120 fps with a tenth of jitter, capped at 15" '{"steps":"8"}' j.mp4 eval 'jittery j.mp4 120 0.1 -video_track_timescale 90000'
row "240 fps with a tenth of jitter, capped at 15" '{"steps":"16"}' j.mp4 eval 'jittery j.mp4 240 0.1 -video_track_timescale 90000'
