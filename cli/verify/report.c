#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"

enum { DETAIL_MAX = 10, TEXT_MAX = 512 };

static const struct rule {
    const char *id, *text;
} rules[CHECK_MAX] = {
    [CHECK_RECEIPT] = {"receipt",              "job.json is a receipt that can be read"                                               },
    [CHECK_FILES_NAMED] = { "files.named",         "every object that a playlist or the receipt names is "
                                           "there"                                              },
    [CHECK_FILES_DIGEST] = { "files.digest",        "sizes, sha256 and md5 are those of the receipt"                                       },
    [CHECK_FILES_EXTRA] = { "files.extra",         "nothing lies in the package that nothing names"                                       },
    [CHECK_INIT_BOXES] = { "init.boxes",
                       "init segments: ftyp and a moov with one track, no sample, "
                           "a timescale"                                                                                              },
    [CHECK_INIT_CODEC] = { "init.codec",          "codec configuration and CODECS of every playlist agree; "
                                         "hvc1, not hev1"                                        },
    [CHECK_INIT_PICTURE] = { "init.picture",        "picture size, aspect and colour are sane and agree "
                                             "with the playlists"                              },
    [CHECK_INIT_EDITS] = { "init.edits",
                       "no edit list, but for an audio track's priming, which Opus tells alike"                                       },
    [CHECK_SEG_BOXES] = { "seg.boxes",           "each fragment: mfhd, one traf, default-base-is-moof, tfdt "
                                       "version 1, durations, mdat of the right size"             },
    [CHECK_SEG_TIME] = { "seg.time",            "each tfdt is the end of the fragment before, in every "
                                     "segment"                                                     },
    [CHECK_SEG_SYNC] = { "seg.sync",            "each video fragment starts with a real IDR or key picture, "
                                     "and holds no other, unless it is a copy"                     },
    [CHECK_SEG_ORDER] = { "seg.order",           "presentation times are unique, start at the fragment's "
                                       "tfdt, and each picture lasts until the next"              },
    [CHECK_HLS_MEDIA] = { "hls.media",           "media playlists have all tags that a VOD needs, and name "
                                       "the segments in order"                                    },
    [CHECK_HLS_EXTINF] = { "hls.extinf",          "EXTINF is the segment's exact duration; TARGETDURATION "
                                         "covers all"                                            },
    [CHECK_HLS_IFRAME] = { "hls.iframe",          "I-frame playlists name every GOP by a range that holds a "
                                         "moof and one key picture"                              },
    [CHECK_HLS_MASTER] = { "hls.master",          "the master playlist's groups, RESOLUTION, FRAME-RATE and "
                                         "VIDEO-RANGE are right"                                 },
    [CHECK_HLS_GROUPS] = { "hls.groups",
                       "audio groups have the same tracks, each with a name of its own, and one "
                           "default"                                                                                                  },
    [CHECK_HLS_BANDWIDTH] = { "hls.bandwidth",       "BANDWIDTH covers the measured peak; it and "
                                               "AVERAGE-BANDWIDTH are within 10 %"            },
    [CHECK_HLS_CAPTIONS] = { "hls.captions",
                       "pictures have no closed captions where the master playlist says "
                             "that there are none"                                                                                    },
    [CHECK_ALIGN_VIDEO] = { "align.video",         "segments and GOPs start at the same times in every "
                                           "video rendition"                                    },
    [CHECK_ALIGN_AUDIO] = { "align.audio",         "audio segments start within one audio frame of the "
                                           "video's"                                            },
    [CHECK_ALIGN_END] = { "align.end",           "all renditions of a kind end together"                                                },
    [CHECK_DASH_MPD] = { "dash.mpd",            "manifest.mpd is a static MPD with profile, duration and one "
                                     "period"                                                      },
    [CHECK_DASH_REPRESENTATION] = { "dash.representation", "each representation: codecs, size, "
                                                           "bandwidth, SAP 1, alignment"},
    [CHECK_DASH_TIMELINE] = { "dash.timeline",       "each SegmentTimeline names the same files at the "
                                               "same times as HLS does"                       },
    [CHECK_DASH_TRACKS] = { "dash.tracks",
                       "languages, roles and labels of sound are those of HLS"                                                        },
    [CHECK_TEXT_CUES] = { "text.cues",
                       "subtitles are WebVTT, and each segment has the cues that are "
                          "shown in it, and no others"                                                                                },
    [CHECK_TEXT_TIMES] = { "text.times",
                       "segments of subtitles begin where the video's do, and last "
                           "as long as the presentation"                                                                              },
    [CHECK_TEXT_NAMED] = { "text.named",          "master, manifest and receipt name the same subtitles, in "
                                         "the same languages"                                    },
    [CHECK_PICTURES_FILES] = { "pictures.files",      "poster and sheets are JPEGs of the size that the "
                                                 "receipt says"                              },
    [CHECK_PICTURES_NAMED] = { "pictures.named",
                       "the storyboard's index, playlist and manifest name "
                               "every tile, in its place and at its time"                                                             },
    [CHECK_DECODE_VIDEO] = { "decode.video",        "every video rendition decodes without an error into "
                                             "the container's frames"                          },
    [CHECK_DECODE_AUDIO] = { "decode.audio",        "audio decodes without an error or a gap, first to "
                                             "last sample"                                     },
    [CHECK_SOURCE_FRAMES] = { "source.frames",       "frames and times are the source's: none missing, "
                                               "doubled or moved"                             },
    [CHECK_SOURCE_ORIGIN] = { "source.origin",       "time 0 is the source's first frame or first sound, "
                                               "whichever comes first"                        },
    [CHECK_SOURCE_PICTURE] = { "source.picture",      "pictures show what the source shows at their "
                                                 "times"                                     },
    [CHECK_SOURCE_COPY] = { "source.copy",
                       "a copied rendition's pictures are the source's, to the bit"                                                   },
    [CHECK_SOURCE_AUDIO] = { "source.audio",        "sound is in step with the source within half an "
                                             "audio frame"                                     },
    [CHECK_SOURCE_TRACKS] = { "source.tracks",
                       "sound tracks are the source's: all or the default one, each "
                              "in its language"                                                                                       },
    [CHECK_SOURCE_TEXT] = { "source.text",         "subtitles say what the source's say, at their times"                                  },
};

struct entry {
    int ran;
    size_t fails, warns;
    char *details[DETAIL_MAX]; /* failures first reported */
    char *warnings[DETAIL_MAX];
    char *pass;
};

struct report {
    pthread_mutex_t lock; /* guards all entries */
    struct entry e[CHECK_MAX];
};

struct report *report_new(void)
{
    struct report *r = calloc(1, sizeof(*r));
    if (r)
        pthread_mutex_init(&r->lock, NULL);
    return r;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    for (size_t c = 0; c < CHECK_MAX; c++) {
        for (size_t i = 0; i < DETAIL_MAX; i++) {
            free(r->e[c].details[i]);
            free(r->e[c].warnings[i]);
        }
        free(r->e[c].pass);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

const char *check_id(enum check c)
{
    return rules[c].id;
}

const char *check_rule(enum check c)
{
    return rules[c].text;
}

void report_ran(struct report *r, enum check c)
{
    pthread_mutex_lock(&r->lock);
    r->e[c].ran = 1;
    pthread_mutex_unlock(&r->lock);
}

/* Texts quote hostile files: what isn't printable ASCII becomes '?'. */
static char *format(const char *fmt, va_list ap)
{
    char buf[TEXT_MAX];
    if (vsnprintf(buf, sizeof(buf), fmt, ap) < 0)
        return NULL;
    for (char *p = buf; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    return strdup(buf);
}

void report_pass(struct report *r, enum check c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = format(fmt, ap);
    va_end(ap);

    pthread_mutex_lock(&r->lock);
    struct entry *e = &r->e[c];
    e->ran = 1;
    if (!e->pass) {
        e->pass = take_ptr(text);
    } else if (text && strlen(e->pass) < TEXT_MAX * 4) {
        char *joined = NULL;
        if (asprintf(&joined, "%s; %s", e->pass, text) >= 0) {
            free(e->pass);
            e->pass = joined;
        }
    }
    pthread_mutex_unlock(&r->lock);
}

static void add(struct report *r, struct entry *e, char **list, size_t *n, char *taken)
{
    pthread_mutex_lock(&r->lock);
    e->ran = 1;
    if (*n < DETAIL_MAX)
        list[*n] = taken;
    else
        free(taken);
    (*n)++;
    pthread_mutex_unlock(&r->lock);
}

void report_fail(struct report *r, enum check c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = format(fmt, ap);
    va_end(ap);
    add(r, &r->e[c], r->e[c].details, &r->e[c].fails, text);
}

void report_warn(struct report *r, enum check c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = format(fmt, ap);
    va_end(ap);
    add(r, &r->e[c], r->e[c].warnings, &r->e[c].warns, text);
}

enum check_state report_state(const struct report *r, enum check c)
{
    const struct entry *e = &r->e[c];
    if (e->fails)
        return CHECK_FAIL;
    if (e->warns)
        return CHECK_WARN;
    return e->ran ? CHECK_OK : CHECK_SKIP;
}

int report_ok(const struct report *r)
{
    for (size_t c = 0; c < CHECK_MAX; c++)
        if (r->e[c].fails)
            return 0;
    return 1;
}

static const char *const state_names[] = {
    [CHECK_SKIP] = "skip",
    [CHECK_OK] = "ok",
    [CHECK_WARN] = "warn",
    [CHECK_FAIL] = "FAIL",
};

static void print_list(FILE *to, char *const *list, size_t n)
{
    for (size_t i = 0; i < n && i < DETAIL_MAX; i++)
        fprintf(to, "       %s\n", list[i] ? list[i] : "(out of memory)");
    if (n > DETAIL_MAX)
        fprintf(to, "       and %zu more\n", n - DETAIL_MAX);
}

void report_print(const struct report *r, FILE *to)
{
    size_t count[CHECK_FAIL + 1] = { 0 };
    for (enum check c = 0; c < CHECK_MAX; c++) {
        const struct entry *e = &r->e[c];
        enum check_state s = report_state(r, c);
        count[s]++;
        fprintf(to, "%-4s  %-20s %s%s%s\n", state_names[s], rules[c].id,
                s == CHECK_OK && e->pass ? e->pass : rules[c].text, "", "");
        print_list(to, e->details, e->fails);
        print_list(to, e->warnings, e->warns);
    }
    fprintf(to, "%s: %zu ok, %zu failed, %zu warned, %zu skipped\n",
            count[CHECK_FAIL] ? "NOT RIGHT" : "all right", count[CHECK_OK], count[CHECK_FAIL],
            count[CHECK_WARN], count[CHECK_SKIP]);
}

static char *detail_text(const struct entry *e, enum check_state s)
{
    char *const *list = s == CHECK_FAIL ? e->details : e->warnings;
    size_t n = s == CHECK_FAIL ? e->fails : e->warns;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return NULL;
    if (s == CHECK_OK)
        fputs(e->pass ? e->pass : "", f);
    for (size_t i = 0; s >= CHECK_WARN && i < n && i < DETAIL_MAX; i++)
        fprintf(f, "%s%s", i ? "; " : "", list[i] ? list[i] : "(out of memory)");
    if (s >= CHECK_WARN && n > DETAIL_MAX)
        fprintf(f, "; and %zu more", n - DETAIL_MAX);
    fclose(f);
    return text;
}

int report_print_json(const struct report *r, FILE *to)
{
    json_t *checks = json_array();
    for (enum check c = 0; c < CHECK_MAX && checks; c++) {
        enum check_state s = report_state(r, c);
        _cleanup_free_ char *detail = detail_text(&r->e[c], s);
        json_array_append_new(checks, json_pack("{ss, sb, ss, ss}", "id", rules[c].id, "ok",
                                                s != CHECK_FAIL, "state",
                                                s == CHECK_FAIL ? "fail" : state_names[s], "detail",
                                                detail ? detail : ""));
    }
    json_t *root = json_pack("{sb, so}", "ok", report_ok(r), "checks", checks);
    int ret = -ENOMEM;
    if (root && json_dumpf(root, to, JSON_INDENT(1)) == 0) {
        fputc('\n', to);
        ret = 0;
    }
    json_decref(root);
    return ret;
}
