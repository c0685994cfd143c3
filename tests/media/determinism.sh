#!/bin/bash
# The same task gives the same bytes: whenever, wherever, beside whatever, by
# each encoder. So a task that runs twice does no harm.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 1
gopmill=$GOPMILL

cat >ladder.yaml <<'Y'
name: determinism
gop_seconds: 1
segment_seconds: 2
video:
  - { name: h264, codec: h264, size: 180, maxrate: 2M, preset: fast, crf: 22 }
  - { name: small, codec: h264, size: 90, maxrate: 1M, preset: veryfast, crf: 22, max_fps: 15 }
  - { name: least, codec: h264, size: 64, maxrate: 500k, preset: veryfast, crf: 22 }
  - { name: hevc, codec: hevc, size: 180, maxrate: 2M, preset: superfast, crf: 24 }
  - { name: av1, codec: av1, encoder: libaom-av1, size: 120, maxrate: 2M, preset: 6, crf: 30 }
  - { name: svt, codec: av1, encoder: libsvtav1, size: 180, maxrate: 2M, preset: 12, crf: 30 }
audio:
  - { name: sound, codec: aac, bitrate: 128k }
  - { name: less, codec: aac, bitrate: 64k }
Y
# Noise, so that encoders have much to decide about.
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=25 \
    -f lavfi -i anoisesrc=sample_rate=48000:amplitude=0.3:seed=7 -vf noise=alls=6:allf=t:all_seed=7 \
    -t 4 -c:v libx264 -preset ultrafast -g 25 -c:a aac clip.mp4

package() { # DIR SLOTS
    "$gopmill" run clip.mp4 --ladder ./ladder.yaml --chunks 2 --slots "$2" --output "$1"
}
digests() { # DIR
    (cd "$1" && find . -path ./.gopmill -prune -o -type f ! -name job.json -print0 |
        sort -z | xargs -0r sha256sum)
}
same_files() { # DIR DIR
    digests "$1" >a && digests "$2" >b
    [ "$(wc -l <a)" -gt 15 ] && diff a b
}
same_receipt() { # DIR DIR: but for what the run was
    diff <(jq -S 'del(.run)' "$1/job.json") <(jq -S 'del(.run)' "$2/job.json")
}

fact "a package of all encoders" package one 2
fact "another, in another folder" package two 2
mkdir -p elsewhere/deep
fact "one by four slots, elsewhere" package elsewhere/deep/three 4
for dir in two elsewhere/deep/three; do
    fact "$dir has the bytes of the first" same_files one $dir
    fact "$dir: and its receipt" same_receipt one $dir
done

# ---- one task ----
tasks=$(sqlite3 one/.gopmill/job.db "SELECT id FROM tasks WHERE chunk = 1 OR audio ORDER BY id")
encode() { # TASK TIMES
    local i
    sqlite3 one/.gopmill/job.db "SELECT body FROM bodies WHERE id = '$1'" >task.json
    [ -s task.json ] || return 1
    for i in $(seq "$2"); do
        mkdir "$1-$i" && "$GOPMILL_BUILD/tests/media/onetask" clip.mp4 task.json "$1-$i" || return 1
    done
}
twice_the_same() { # TASK
    encode "$1" 2 || return 1
    [ "$(find "$1-1" -type f | wc -l)" -gt 1 ] || return 1
    # When its first frame was done is not of the result.
    diff <(jq -S 'del(.first_frame_s)' "$1-1/answer.json") <(jq -S 'del(.first_frame_s)' "$1-2/answer.json") &&
        diff -r -x answer.json "$1-1" "$1-2"
}
those_of_the_package() { # TASK
    local f name n=0
    for f in "$1-1"/*.m4s "$1-1"/*.mp4; do
        [ -e "$f" ] || continue
        name=${f#*/}
        cmp "$f" "one/${name//_//}" || return 1
        n=$((n + 1))
    done
    [ $n -gt 0 ]
}
for task in $tasks; do
    fact "task $task, twice in a child of its own: the same bytes" twice_the_same "$task"
    fact "task $task: those of the package" those_of_the_package "$task"
done

# A rendition that is asked for without its mates, some of which its pictures
# are scaled from: nothing else is made.
alone() { # TASK RENDITION
    local dir=$1-only-$2 f
    sqlite3 one/.gopmill/job.db "SELECT body FROM bodies WHERE id = '$1'" | jq -c --arg r "$2" '.only = $r' >task.json
    mkdir "$dir" && "$GOPMILL_BUILD/tests/media/onetask" clip.mp4 task.json "$dir" || return 1
    diff <(jq -S ".renditions[] | select(.name == \"$2\")" "$1-1/answer.json") \
        <(jq -S '.renditions[]' "$dir/answer.json") || return 1
    for f in "$dir"/*.m*; do
        case $f in "$dir"/*_"$2"_*) cmp "$f" "$1-1/${f##*/}" || return 1 ;; *) echo "$f was made" && return 1 ;; esac
    done
    [ "$(find "$dir" -name '*.m4s' | wc -l)" -gt 0 ]
}
for task in $tasks; do
    for r in $(jq -r '.renditions | select(length > 1) | .[].name' "$task-1/answer.json"); do
        fact "task $task, $r alone: the same bytes, and nothing else" alone "$task" "$r"
    done
done

# Init segments are what all chunks of a rendition share.
one_init() { # RENDITION
    sqlite3 one/.gopmill/job.db "SELECT result FROM results JOIN tasks USING (job, id) WHERE NOT audio" |
        jq -r ".renditions[] | select(.name == \"$1\") | .init.sha256" | sort | uniq -c >inits
    cat inits
    awk '{ n++; chunks = $1 } END { exit !(n == 1 && chunks == 2) }' inits
}
for r in h264 small least hevc av1 svt; do
    fact "$r: the chunks have one init segment" one_init $r
done
finish
