# Rows about pictures that containers and their own bits describe.
# shellcheck shell=bash disable=SC2086,SC2154

hevc_fields() {
    quiet_ffmpeg -f lavfi -i mandelbrot=size=320x180:rate=50 -t 3 -vf interlace=scan=tff:lowpass=off,separatefields \
        $HEVC -x265-params log-level=error:interlace=tff:keyint=50 "$1"
}
for container in mp4 mkv; do
    row "HEVC of fields, in $container" '{"video":{"frames":75,"every":0.04,"height":180}}' fields.$container hevc_fields fields.$container
done
