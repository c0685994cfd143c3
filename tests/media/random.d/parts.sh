# parts.sh - sourced by ../random: what sources are made of. Everything is drawn
# from $RANDOM, so that a seed gives the same source on every machine.
# shellcheck shell=bash disable=SC2034,SC2154
#
#   make_source   makes a file in the current folder, and sets `file`, `parts` (what it
#                 is, in words), `chunk` (seconds), and where they matter `expected`
#                 (numbers that are shown), `whole` (empty: of damage nobody knows what
#                 is shown) and `refusable` (a refusal is right, too)

quiet_ffmpeg() { ffmpeg -nostdin -y -v error "$@"; }

# one_of WORD...: one of them by chance, in `pick`. A word may be empty.
one_of() { local all=("$@") && pick=${all[RANDOM % $#]}; }

# between LOW HIGH, in `pick`
between() { pick=$(($1 + RANDOM % ($2 - $1 + 1))); }

# seconds_of FORMULA
seconds_of() { awk "BEGIN { printf \"%.3f\", $1 }"; }

# Whether what happens once in N times does.
once_in() { [ $((RANDOM % $1)) -eq 0 ]; }

# ---- the picture: sets codec, encode (options), containers ----
gop_options() {
    one_of 6 12 25 48 90 300
    encode+=" -g $pick" parts+=" g=$pick"
}

x264_parts() {
    local x264='' pyramid
    one_of 0 0 1 2 3 4
    encode+=" -c:v libx264 -preset veryfast -crf 14 -bf $pick" parts+=" bf=$pick"
    if [ "$pick" -gt 1 ]; then
        one_of none strict normal
        pyramid=$pick
        x264+=":b-pyramid=$pyramid" parts+=" pyramid=$pyramid"
    fi
    if once_in 3; then x264+=":open-gop=1" parts+=" open-gop"; fi
    if once_in 8; then x264+=":intra-refresh=1" parts+=" intra-refresh"; fi
    if once_in 4; then x264+=":slices=4" parts+=" slices"; fi
    if once_in 6; then x264+=":ref=5" parts+=" ref=5"; fi
    if once_in 5; then x264+=":aud=1" parts+=" aud"; fi
    if once_in 6; then encode+=" -flags +ildct+ilme -x264opts tff=1" parts+=" fields"; fi
    one_of yuv420p yuv420p yuv420p yuv420p yuv422p yuv444p yuv420p10le
    encode+=" -pix_fmt $pick" parts+=" $pick"
    [ -z "$x264" ] || encode+=" -x264-params ${x264#:}"
    containers="mp4 mp4 mp4 mov fragments mkv mkv-live ts ts m2ts flv nut"
    [ "$pick" = yuv420p ] || containers="mp4 mov mkv ts nut"
}

x265_parts() {
    local x265=log-level=error
    one_of 0 2 4
    x265+=":bframes=$pick" parts+=" bf=$pick"
    if once_in 2; then x265+=":open-gop=1" parts+=" open-gop"; else x265+=":open-gop=0"; fi
    if once_in 3; then x265+=":repeat-headers=1" parts+=" repeat-headers"; fi
    encode+=" -c:v libx265 -preset ultrafast -crf 16 -x265-params $x265"
    one_of yuv420p yuv420p yuv420p10le
    encode+=" -pix_fmt $pick" parts+=" $pick"
    containers="mp4 mov fragments mkv ts ts m2ts nut"
}

mpeg_parts() { # CODEC CONTAINERS
    one_of 0 0 2 2 3
    encode+=" -c:v $1 -q:v 3 -pix_fmt yuv420p -bf $pick" parts+=" bf=$pick"
    if [ "$1" = mpeg2video ] && once_in 3; then encode+=" -flags +ildct+ilme -top 1" parts+=" fields"; fi
    # Without sc_threshold the encoder refuses closed GOPs with B pictures.
    if [ "$1" != mpeg4 ] && once_in 4; then encode+=" -flags +cgop -sc_threshold 1000000000" parts+=" closed"; fi
    [ "$1" != mpeg4 ] || [ "$pick" = 0 ] || refusable=yes
    containers=$2
}

vpx_parts() { # CODEC
    encode+=" -c:v $1 -deadline realtime -cpu-used 8 -b:v 3M -pix_fmt yuv420p"
    if once_in 2; then encode+=" -auto-alt-ref 1 -lag-in-frames 16" parts+=" alt-ref"; fi
    containers="webm mkv mkv-live nut"
    [ "$1" != libvpx-vp9 ] || containers+=" mp4 fragments"
}

# A codec of pictures that only depend on those before them, by its name in ffmpeg.
simple_parts() { # CODEC CONTAINERS
    encode+=" -c:v $1 -q:v 3"
    containers=$2
}

picture_parts() {
    one_of h264 h264 h264 h264 h264 h264 h264 h264 h264 hevc hevc hevc mpeg2 mpeg2 mpeg2 mpeg4 mpeg4 vp8 vp9 vp9 msmpeg4 msmpeg4v2 h263 \
        flv1 wmv2 mpeg1 theora rv20 svq1 mjpeg ffv1 av1 prores
    parts=$pick
    case $pick in
    h264) x264_parts ;;
    hevc) x265_parts ;;
    mpeg2) mpeg_parts mpeg2video "ts ts m2ts vob mkv mp4 mxf avi nut" ;;
    mpeg1) mpeg_parts mpeg1video "vob mkv ts" ;;
    mpeg4) mpeg_parts mpeg4 "mp4 mkv avi ts mov 3gp" ;;
    vp8) vpx_parts libvpx ;;
    vp9) vpx_parts libvpx-vp9 ;;
    msmpeg4 | msmpeg4v2) simple_parts "$pick" "avi asf mkv" ;;
    h263) simple_parts h263 "3gp avi mkv mov" && size=352x288 ;;
    flv1) simple_parts flv "flv avi mkv" ;;
    wmv2) simple_parts wmv2 "asf avi mkv" ;;
    theora) simple_parts libtheora "ogg mkv" && encode+=" -q:v 9 -pix_fmt yuv420p" ;;
    rv20) simple_parts rv20 rm && size=352x288 ;;
    svq1) simple_parts svq1 "mov mkv" && encode+=" -pix_fmt yuv410p" ;;
    mjpeg) simple_parts mjpeg "avi mov mkv mp4" && encode+=" -pix_fmt yuvj420p" ;;
    ffv1) simple_parts ffv1 "mkv avi nut" && encode+=" -pix_fmt yuv420p" ;;
    prores) simple_parts prores_ks "mov mkv nut" && encode+=" -pix_fmt yuv422p10le" ;;
    av1) encode+=" -c:v libsvtav1 -preset 12 -crf 20 -pix_fmt yuv420p" containers="mp4 mkv fragments webm" ;;
    esac
    gop_options
}

# ---- rates ----
rate_parts() {
    local uneven
    case $parts in
    mpeg1* | mpeg2*) one_of 24000/1001 25 25 30000/1001 30 50 60000/1001 ;; # it has no others
    *) one_of 24000/1001 25 25 30000/1001 30 50 60000/1001 60 25/2 10 ;;
    esac
    rate=$pick
    parts+=", $rate fps"
    case $containers in *avi* | *vob* | *mxf* | *rm* | *ogg*) return ;; esac
    case $parts in mpeg* | *fields*) return ;; esac
    if once_in 5; then
        between 1 9
        uneven=$pick
        retime="-vf settb=1/90000,setpts='N*3600+mod(N*N*$uneven\,1700)' -enc_time_base 1/90000"
        parts+=" uneven"
    fi
}

# ---- sound ----
sound_parts() { # CONTAINER
    local codecs
    case $1 in
    mp4 | mov | fragments | 3gp) codecs="aac aac none" ;;
    ts | m2ts) codecs="aac mp2 ac3 none" ;;
    vob) codecs="mp2 ac3 none" ;;
    webm | ogg) codecs="libvorbis none" ;;
    avi) codecs="mp3 pcm_s16le none" ;;
    flv) codecs="aac mp3 none" ;;
    asf) codecs="wmav2 none" ;;
    mxf) codecs="pcm_s16le none" ;;
    rm) codecs="none" ;;
    *) codecs="aac ac3 libvorbis flac pcm_s16le none" ;;
    esac
    # shellcheck disable=SC2086 # words
    one_of $codecs
    [ "$pick" != none ] || { parts+=", no sound" && return; }
    parts+=", $pick"
    sound="-f lavfi -i anoisesrc=d=$length:r=48000:a=0.4:seed=5,lowpass=f=4000"
    sound_options="-map 1:a -c:a $pick -b:a 96k"
    if once_in 5; then
        one_of -0.6 0.35 1.2 6.5
        sound="-itsoffset $pick $sound" parts+=" from $pick s on"
    fi
}

# ---- containers ----
container_parts() {
    # shellcheck disable=SC2086 # words
    one_of $containers
    container=$pick
    parts+=", $container"
    case $container in
    fragments) file=source.mp4 mux="-movflags frag_keyframe+empty_moov" ;;
    mkv-live) file=source.mkv mux="-live 1" ;;
    m2ts) file=source.m2ts ;;
    vob) file=source.vob mux="-f vob" ;;
    ogg) file=source.ogv ;;
    *) file=source.$container ;;
    esac
    case $container in
    ts) once_in 3 && mux="-pes_payload_size 20000" && parts+=" large PES" ;;
    mp4 | mov)
        if once_in 4; then mux="-movflags faststart"; fi
        if once_in 6; then mux="-movflags negative_cts_offsets" parts+=" negative offsets"; fi
        ;;
    esac
}

# ---- what becomes of files ----
trim() {
    between 5 25
    parts+=", trimmed at $pick % of its length"
    mv "$file" "whole.$file"
    quiet_ffmpeg -ss "$(seconds_of "$length * $pick / 100")" -i "whole.$file" -map 0 -c copy "$file"
    # Behind the last keyframe nothing is left.
    [ -s "$file" ] || mv "whole.$file" "$file"
}

# The same stream goes on with pictures of other parameters: a shape, a depth, a size.
join_other() {
    local codec
    case $parts in
    h264*) codec="libx264 -preset ultrafast" ;;
    hevc*) codec="libx265 -preset ultrafast -x265-params log-level=error" ;;
    *) codec="mpeg2video -q:v 3" ;;
    esac
    one_of "" "" "-s 640x360" "-s 160x90" "-s 240x180" "-pix_fmt yuv422p"
    parts+=", joined with one of other parameters${pick:+ ($pick)}"
    # shellcheck disable=SC2086 # lists of options
    quiet_ffmpeg -i "$file" -map 0 -c copy -c:v $codec -bf 0 -g 30 $pick \
        -output_ts_offset "$length" "other.$file"
    cat "other.$file" >>"$file"
    whole=''
}

# Edit lists of the picture and of the sound, by chance.
edit() {
    local lists
    between 1 30000
    mv "$file" "whole.$file"
    lists=$("$EDITS" random "$pick" "whole.$file" "$file" | tr '\n' ' ') || return
    parts+=", edits $lists" edited=yes
}

# Times are few, or PES packets begin where pictures don't.
lay_pes() {
    if once_in 2; then
        one_of 2 5 12 25
        set -- strip "$pick"
        parts+=", times in one of $pick PES packets"
    else
        between 1 150
        set -- shift "$pick"
        one_of 1 1 1 2 3
        set -- "$@" "$pick"
        parts+=", PES packets of $3 pictures that begin $2 bytes early, picture only"
    fi
    mv "$file" "whole.$file"
    "$PES" "$@" <"whole.$file" >"$file"
}

damage() {
    local bytes i
    parts+=", damaged"
    bytes=$(stat -c %s "$file")
    for ((i = 0; i < 3; i++)); do
        printf 'xyz' | dd of="$file" bs=1 conv=notrunc status=none \
            seek=$((bytes / 3 + (RANDOM * 32768 + RANDOM) % (bytes / 2)))
    done
    whole='' refusable=yes
}

file_parts() {
    case $container in
    mp4 | mkv | ts) ! once_in 8 || { trim && return; } ;;
    esac
    case $container:$parts in
    ts:h264* | ts:hevc* | ts:mpeg2*)
        ! once_in 5 || { join_other && return; }
        ! once_in 3 || { lay_pes && return; }
        ;;
    mp4:h264*aac* | mov:h264*aac*) [ "$mux" = "-movflags faststart" ] || ! once_in 2 || { edit && return; } ;;
    esac
    case $container in
    ts | mkv | vob | flv) ! once_in 10 || damage ;;
    esac
}

make_source() {
    local encode='' containers='' container='' mux='' rate='' retime='' sound='' sound_options='' size=320x180
    local frames length pick
    picture_parts
    rate_parts
    between 70 220
    frames=$pick
    length=$(seconds_of "$frames / ($rate)")
    container_parts
    sound_parts "$container"
    one_of 0.5 1 1 1.7 3
    chunk=$pick
    "$NUMBERED" make "$frames" "${size%x*}" "${size#*x}" "${rate/\//:}:1" >source.y4m || return
    # shellcheck disable=SC2086 # lists of options
    eval quiet_ffmpeg -i source.y4m $sound -map 0:v $sound_options -threads 1 -vsync passthrough $retime $encode $mux "$file" || return
    rm source.y4m
    file_parts
}
