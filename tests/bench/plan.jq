# What an ffmpeg command needs to know of a plan (`gopmill plan --json`).
# -n -r --slurpfile plan FILE --arg what WHAT; WHAT is one of the names at the end.

def q: .[0] / .[1];

# A list of encoder parameters "a=1:b:c=2" without some of them.
def without($names):
    split(":") | map(select((split("=")[0]) as $name | $names | index([$name]) | not)) | join(":");

# What only makes an encoder keep to one thread goes; libaom, which has no
# threads of its own accord, gets rows and two tile columns.
def unchained:
    if .key == "x264-params" then
        .value |= without(["threads", "lookahead-threads", "sliced-threads", "sync-lookahead"])
    elif .key == "x265-params" then .value |= without(["pools", "frame-threads", "wpp"])
    elif .key == "svtav1-params" then .value |= without(["lp"])
    elif .key == "row-mt" then .value = "1"
    elif .key == "tiles" then .value = "2x1"
    else . end
    | select(.value != "");

def video: map(select(.kind == "video"));

# Starts of all GOPs, in seconds of the source's own time.
def starts($p): [$p.chunks[].gops[] * ($p.info.video.tb | q)];

# Where GOPs begin, as frames counted from 0: ffmpeg rounds times to the
# encoder's time base, which may move a keyframe by one.
def frame_times($c):
    $c.pts as $p
    | reduce ([$p.runs | range(0; length; 2) as $i | [.[$i], .[$i + 1]]][]) as $run
        ([$p.first]; . as $v | $v + [range(1; $run[1] + 1) | $v[-1] + . * $run[0]]);
def gop_numbers($p):
    reduce $p.chunks[] as $c ({at: 0, v: []};
        frame_times($c) as $t
        | .v += [.at as $at | $c.gops[] as $g | $at + ($t | index($g))] | .at += ($t | length))
    | .v[1:];

# By times: for an encode that doesn't begin with the clip.
def forced_by_time($p):
    starts($p)[1:] | map(. - 0.25 / ($p.info.video.rate | q)) | map(tostring) | join(",");

# A rendition that drops frames is told times instead, a little before each
# GOP's first frame.
def forced($p; $r):
    if $r.grid_period[0] == 0 then gop_numbers($p) | map("eq(n,\(.))") | join("+")
        | if . == "" then . else "expr:" + . end
    else forced_by_time($p) end;

# Frames of the commonest GOP.
def gop_frames($p; $r):
    starts($p) | [.[1:], .[:-1]] | transpose | map(((.[0] - .[1]) * ($r.rate | q)) | round)
    | if length == 0 then 9999 else group_by(.) | max_by(length) | .[0] end;

# Keyframes: an encoder that is renewed for each GOP (libaom) can't be forced
# without making two of one, so it gets an even distance.
def keyframes($p; $r):
    if $r.gop_reset == 1 then
        (gop_frames($p; $r) | tostring) as $n | ["-g:v", $n, "-keyint_min:v", $n]
    elif forced($p; $r) == "" then []
    else ["-force_key_frames:v", forced($p; $r)] end;

def encoder($p; $r; $threads):
    ["-c:v", $r.encoder]
    + [$r.params[] | if $threads then unchained else . end | "-\(.key):v", .value]
    + keyframes($p; $r)
    + if $threads then [] else ["-threads", "1"] end;

# A capped frame rate keeps the first frame of each cell of the grid.
def dropped($p; $r):
    if $r.grid_period[0] == 0 then ""
    else
        ($r.grid_period | q | tostring) as $period
        | (($r.grid_phase | q) - $p.origin * ($p.info.video.tb | q) | tostring) as $phase
        | "select='isnan(prev_t)+gt(floor((t+\($phase))/\($period))\\,floor((prev_t+\($phase))/\($period)))',"
    end;

def rate($r): if $r.grid_period[0] == 0 then "" else ",fps=\($r.rate[0])/\($r.rate[1])" end;
def scale($r): "scale=\($r.width):\($r.height):flags=bicubic,format=\($r.pix_fmt)";

# gopmill scales an output from another one of its task that is at least 1.4
# times larger; an encode that is to see the same pictures does so, too. One
# of the source's size is the source.
def parents($p; $r):
    ($p.groups[] | map($p.renditions[.]) | select(map(.name) | index([$r.name])))
    | map(select(.pix_fmt == $r.pix_fmt and .color == $r.color and .sar == $r.sar
        and .width * 10 >= $r.width * 14 and .height * 10 >= $r.height * 14))
    | if length == 0 then [] else min_by(.width) | parents($p; .) + [.] end;
def cascade($p; $r):
    parents($p; $r)
    | map(select(.width != $p.info.video.width or .height != $p.info.video.height) | scale(.) + ",")
    | add // "";

def direct($p; $r): dropped($p; $r) + scale($r) + rate($r);
def same_pictures($p; $r): dropped($p; $r) + cascade($p; $r) + scale($r) + rate($r);

def sound($r):
    ["-c:a", $r.encoder] + [$r.params[] | "-\(.key):a", .value]
    + ["-b:a", ($r.bit_rate | tostring), "-ar", ($r.sample_rate | tostring), "-ac", ($r.channels | tostring)];

$plan[0] as $p | ($p.renditions | video) as $videos
| ($p.renditions | map(select(.kind == "audio"))) as $audios
| if $what == "facts" then # one line
    [($videos | length), ($audios | length), $p.info.video.stream, $p.info.audio.stream,
     ($p.chunks | length), ([$p.chunks[].gops[]] | length), $p.info.video.frames]
    | map(tostring) | join(" ")
  elif $what == "renditions" then # one line each
    $videos[] | "\(.name)\t\(direct($p; .))\t\(same_pictures($p; .))"
  elif $what == "graph" then # one decode for all
    "[0:\($p.info.video.stream)]split=\($videos | length)" + ([$videos[] | "[in-\(.name)]"] | add)
    + ([$videos[] | ";[in-\(.name)]\(direct($p; .))[\(.name)]"] | add)
  elif $what == "threads" or $what == "one-thread" then # one argument a line
    $videos[] | select(.name == $name) | encoder($p; .; $what == "threads")[]
  elif $what == "half" then # the same, begun anywhere
    $videos[] | select(.name == $name) | . as $r | encoder($p; $r; false)
    | (index("-force_key_frames:v")) as $at
    | if $at then .[$at + 1] = forced_by_time($p) else . end | .[]
  elif $what == "middle" then # where the GOP nearest to it begins, in seconds
    ((starts($p)[0] + starts($p)[-1]) / 2) as $half | starts($p)[1:] | min_by(. - $half | fabs)
  elif $what == "sounds" then $audios[].name
  elif $what == "sound" then $audios[] | select(.name == $name) | sound(.)[]
  else error("no such thing: \($what)") end
