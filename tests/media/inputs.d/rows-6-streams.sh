# Rows about which of a source's streams are taken.
# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154

# A phone's motion photo: a still of two pictures, larger and flagged as the default, beside the film.
motion_photo() {
    quiet_ffmpeg -i "$scratch/base.nut" -i "$scratch/base.nut" -threads 1 -filter_complex '[0:v]trim=end_frame=2,scale=640:360[still]' \
        -map '[still]' -map 1:v -vsync passthrough $H264 -disposition:v:0 default -disposition:v:1 0 "$1"
}
row "a motion photo: the still isn't the film" '{"video":{"stream":1,"frames":100,"every":0.04,"first":0},"numbers":"0-99","warning":"1 more video stream"}' photo.mp4 motion_photo photo.mp4

# PIDs whose streams begin after all that opening looks at.
late_sound() {
    quiet_ffmpeg -i "$scratch/base.nut" -threads 1 -vf tpad=stop=100:stop_mode=clone $H264 picture.mp4 &&
        quiet_ffmpeg -i picture.mp4 -itsoffset 6 -f lavfi -i sine=500:d=2 -map 0 -map 1 -c:v copy $AAC "$1"
}
row "sound that begins after 6 s, in MPEG-TS" '{"video":{"frames":200,"every":0.04},"sound":{"channels":1,"start":6,"end":8}}' late.ts late_sound late.ts
