# What is expected of a source, and what was got, in the same words.

def seconds: if . == null or . == "N/A" then null else tonumber end;
def round3: . * 1000 | round / 1000;
def known: if . == null or . == "unknown" or . == "reserved" or . == "unspecified" then null else . end;
def even: [2 * ((. / 2 - 0.5) | ceil), 2] | max;

# docs/ladders.md: upright, pixels squared, fitted into 320x180, sides even,
# never enlarged.
def fitted:
    (.sample_aspect_ratio // "1:1" | split(":") | map(tonumber) | if .[1] > 0 and .[0] > 0 then .[0] / .[1] else 1 end) as $sar
    | (if $sar < 0.1 or $sar > 10 then 1 else $sar end) as $sar
    | ([.side_data_list[]? | .rotation // empty] | first // 0) as $turn
    | [.width * $sar, .height]
    | if ($turn | fabs | . % 180) == 90 then reverse else . end
    | . as $p | (320 / max) as $long | (180 / min) as $short
    | ([$long, $short, 1] | min) as $by
    | { short: ($p | min), width: ($p[0] * $by | even), height: ($p[1] * $by | even) };

def complaints_of($text): $text | split("\n") | map(select(length > 0));

def frame_times: [.frames[]? | .best_effort_timestamp_time | seconds | select(. != null)];

def video_of($stream; $frames):
    ($frames | frame_times | sort | unique) as $t
    | if ($t | length) == 0 then null else
        { stream: $stream.index, codec: $stream.codec_name, frames: ($t | length), at: $t[0], times: ($t | map(. - $t[0])),
          last: ($frames.frames[-1].pkt_duration_time | seconds), yuv: ($stream.pix_fmt // "" | test("yuv|^nv|gray|^y2|^p0")),
          capped: ([range(1; $t | length) | $t[.] - $t[. - 1]] | min // 1 | . < 1 / 245),
          interlaced: ([$frames.frames[] | select(.interlaced_frame == 1)] | length),
          hdr: ($stream.color_transfer == "smpte2084" or $stream.color_transfer == "arib-std-b67"),
          color: { primaries: ($stream.color_primaries | known), transfer: ($stream.color_transfer | known),
                   matrix: ($stream.color_space | known) } }
        + ($stream | fitted)
      end;

def sound_of($stream; $frames):
    [$frames.frames[]? | select((.best_effort_timestamp_time | seconds) != null and (.nb_samples // 0) > 0)] as $f
    | if ($f | length) == 0 then null else
        { codec: $stream.codec_name, channels: $stream.channels, at: ($f[0].best_effort_timestamp_time | seconds),
          end: ([$f[] | (.best_effort_timestamp_time | seconds) + .nb_samples / ((.sample_rate // $stream.sample_rate) | tonumber)] | max) }
      end;

# Times count from what is shown or heard first.
def source($streams; $v; $video; $a; $sound; $complaints):
    ($streams.streams // []) as $all
    | (if $v == "-" then null else video_of($all[$v | tonumber]; $video) end) as $picture
    | (if $a == "-" then null else sound_of($all[$a | tonumber]; $sound) end) as $heard
    | ([$picture.at, $heard.at] | map(select(. != null)) | min) as $zero
    | { video: $picture, sound: $heard, zero: $zero, complaints: complaints_of($complaints) }
    | .outcome = (if .video == null and .sound == null then "refused" elif (.complaints | length) > 0 then "damaged" else "whole" end)
    | if .video then .video.first = (.video.at - $zero) else . end
    | if .sound then .sound |= (.start = .at - $zero | .end -= $zero) else . end;

def got_video($shown):
    ([$shown.packets[]?.pts_time | seconds] | sort) as $t
    | ($shown.streams // [] | first) as $s
    | if ($t | length) == 0 then null else
        { frames: ($t | length), first: $t[0], times: ($t | map(. - $t[0])), width: $s.width, height: $s.height,
          sar: ($s.sample_aspect_ratio // "1:1"), range: $s.color_range,
          color: { primaries: ($s.color_primaries | known), transfer: ($s.color_transfer | known), matrix: ($s.color_space | known) },
          turned: ([$s.side_data_list[]? | .rotation // empty] | length) }
      end;

def got_sound:
    [.renditions[]? | select(.kind == "audio")] | first
    | if . == null then null else
        { channels: .channels, start: (.start / .timescale), end: ((.start + .duration) / .timescale) } end;

def got($status; $stderr; $receipt; $shown; $verified; $left):
    { status: $status, stderr: ($stderr | split("\n") | map(select(length > 0))), left: $left,
      warnings: ($receipt.warnings // []), concealed: ($receipt.totals.frames_concealed // 0),
      video: got_video($shown), sound: ($receipt | got_sound),
      wrong: [$verified.checks[]? | select(.ok == false) | "\(.id): \(.detail)"] };
