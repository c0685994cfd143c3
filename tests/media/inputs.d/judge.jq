# A row: what is expected against what was got. Prints the row's words, then
# what is wrong with it.

def s: . * 1000 | round / 1000 | tostring;
def abs: if . < 0 then -. else . end;
def tag: if . == null then "?" else . end;
def colors: [.primaries, .transfer, .matrix] | map(tag) | unique | join("/");

def video_words: if . == null then "no picture" else
    "\(.frames) frames, \(.first | s) to \(.first + .times[-1] | s) s, \(.width)x\(.height)\(if .sar and .sar != "1:1" then " SAR " + .sar else "" end)"
    + ", \(.color | colors)" + (if (.interlaced // 0) > 0 then ", \(.interlaced) of them made of fields" else "" end) end;
def sound_words: if . == null then "no sound" else
    "sound of \(.channels) channels, \(.start | s) to \(.end | s) s" end;

def expected_words:
    (if .outcome == "refused" then "refused with status 3" else
        (if .outcome == "damaged" then "damaged: refused, or a package with a warning: " else "" end)
        + "\(.video | video_words); \(.sound | sound_words)" end)
    + (if .warning then "; a warning: /\(.warning)/" else "" end) + (if .sentence then "; a sentence: /\(.sentence)/" else "" end);
def got_words:
    (if .status != 0 then "status \(.status): \(.stderr | last)" else "\(.video | video_words); \(.sound | sound_words)" end)
    + (if (.warnings | length) > 0 then "; warnings: \(.warnings | join("; "))" else "" end);

# Half a millisecond: Matroska's times are whole ones.
def moved($a; $b): [range($a | length) | select(($a[.] - $b[.] | abs) > 0.0005)];

# Above the ladder's cap some frames are left out; the others don't move.
def wrong_capped($e; $g):
    ([$g.times[] as $t | select([$e.times[] | select((. - $t | abs) < 0.0005)] == [])] | length) as $n
    | if $n > 0 then "\($n) frames at times of their own" else empty end,
    if $g.frames < 240 * 0.6 * $e.times[-1] or $g.frames > $e.frames then "\($g.frames) frames of \($e.frames)" else empty end;

# Pictures that are held beside longer sound are verify's to judge.
def wrong_times($e; $g):
    if $e.held then (if $g.frames < $e.frames then "\($g.frames) frames of \($e.frames)" else empty end)
    elif $e.capped then wrong_capped($e; $g)
    elif $e.frames != $g.frames then "\($g.frames) frames instead of \($e.frames)"
    else (moved($e.times; $g.times) as $m
        | if ($m | length) > 0 then "\($m | length) frames moved, the first is number \($m[0]): at \($g.times[$m[0]] | s) instead of \($e.times[$m[0]] | s) s after the first" else empty end)
    end;

# Where time begins is a matter of the sound's priming, by up to a packet.
def wrong_start($e; $g; $heard):
    (if $heard != null and $heard.start <= $e.first + 0.05 then 0.05 else 0.0015 end) as $slack
    | if ($e.first - $g.first | abs) > $slack then "the first frame is at \($g.first | s) instead of \($e.first | s) s" else empty end;

def wrong_size($e; $g):
    if ($e.width - $g.width | abs) > 2 or ($e.height - $g.height | abs) > 2
    then "\($g.width)x\($g.height) instead of \($e.width)x\($e.height)" else empty end,
    if $g.turned > 0 then "it still has to be turned" else empty end;

# A rendition always says what its colours are; where the source says so, too, the same.
def same_systems: if . == "bt470bg" or . == "smpte170m" then "bt601" elif . == "bt2020-10" or . == "bt2020-12" then "bt709" else . end;
def wrong_color($e; $g):
    if $g.range != "tv" then "range \($g.range | tag)" else empty end,
    (["primaries", "transfer", "matrix"][] as $k
     | (if $e.hdr then "bt709" elif $e.color[$k] == "gbr" or $e.color[$k] == "ycgco" then null else $e.color[$k] end) as $want
     | if $g.color[$k] == null then "no \($k)"
       elif $want != null and ($want | same_systems) != ($g.color[$k] | same_systems) then "\($k) \($g.color[$k]) instead of \($want)" else empty end);

def wrong_video($e; $g):
    if $e == null and $g == null then empty
    elif $e == null then "there is a picture"
    elif $g == null then "there is no picture"
    else $e.exact as $exact | wrong_times($e; $g), wrong_size($e; $g), wrong_color($e; $g) end;

# How long a last frame is shown is often not said.
def last_step($v): if $v == null or ($v.times | length) < 2 then 0 else $v.times[-1] - $v.times[-2] end;

def wrong_sound($e; $g; $until; $slack):
    if $e == null and $g == null then empty
    elif $e == null then "there is sound"
    elif $g == null then "there is no sound"
    else
        if $g.channels != ([$e.channels, 2] | min) then "\($g.channels) channels" else empty end,
        if $g.start > $e.start + 0.03 then "the sound begins at \($g.start | s) s" else empty end,
        if ($g.end - ([$e.end, $until] | max) | abs) > 0.08 + $slack then "the sound ends at \($g.end | s) instead of \([$e.end, $until] | max | s) s" else empty end
    end;

def ends($v): if $v == null then 0 else $v.first + $v.times[-1] + ($v.last // 0) end;

def wrong_package($e; $g):
    wrong_video($e.video; $g.video),
    (if $e.video and $g.video then wrong_start($e.video; $g.video; $e.sound) else empty end),
    wrong_sound($e.sound; $g.sound; ends($e.video); last_step($e.video)),
    (if $e.picture_off and $e.picture_off > ($e.picture_limit // 12) then "pictures differ by \($e.picture_off | s) of 255" else empty end),
    (if $e.combed and $e.combed > 0.2 then "\($e.combed * 100 | round) % of the frames are combed" else empty end);

# Of a damaged source what can be played is there, and it is said.
def wrong_damaged($e; $g):
    (if ($g.warnings | length) == 0 then "nothing is said of the damage" else empty end),
    (if $e.video and (($g.video.frames // 0) < $e.video.frames * 0.9) then "\($g.video.frames // 0) of \($e.video.frames) frames that can be decoded" else empty end),
    (if $e.sound and ($g.sound == null) then "the sound is lost" else empty end);

# How a decoder mends a picture depends on those before it.
def wrong_again_of_damage($g): $g.again[] | select(test("another picture|stood in for") | not);

def wrong_refusal($g):
    (if $g.status != 3 then "status \($g.status)" else empty end),
    (if ([$g.stderr[] | select(startswith("gopmill: "))] | length) != 1 then "not one sentence" else empty end),
    (if $g.left then "something is left behind that names a package" else empty end);

def wrong($e; $g):
    (if $g.status != 0 and $g.status != 3 then "status \($g.status)" else
        if $e.outcome == "refused" or ($e.outcome == "damaged" and $g.status == 3) then wrong_refusal($g)
        elif $g.status == 3 then "refused"
        elif $e.outcome == "damaged" then wrong_damaged($e; $g), $g.wrong[], wrong_again_of_damage($g)
        else wrong_package($e; $g), $g.wrong[], $g.again[] end
     end),
    ($e.warning as $w | if $w and ([$g.warnings[] | select(test($w))] | length) == 0 then "no warning of that" else empty end),
    (if $e.quiet and ($g.warnings | length) > 0 then "there is nothing to warn of" else empty end),
    ($e.sentence as $w | if $w and (($g.stderr | join("\n") | test($w)) | not) then "another sentence" else empty end),
    (if $e.numbers and $e.numbers != $g.numbers then "frames in another order: \($g.numbers)" else empty end),
    (if $e.steps and $e.steps != $g.steps then "steps of \($g.steps) frames below a cap" else empty end);

# What is known of a row, over what was seen. Frames `every` so many seconds
# need no list of their times.
def laid_over($known):
    . * $known | if .video.every then .video |= (.every as $d | .times = [range(.frames) | . * $d]) else . end;

def judge($e; $g):
    [wrong($e; $g)] as $w
    | "\(if ($w | length) == 0 then "ok" else "not ok" end)",
      "expected  \($e | expected_words)", "got       \($g | got_words)", ($w[] | "wrong     \(.)");
