/* source.text: whether subtitles say what the source's say, and when. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "said.h"
#include "texts.h"

enum { LONG_TEXT = 3000 };

/* Bytes that aren't UTF-8 became '?', and a very long cue is cut. */
static int same_words(const char *source, const char *cue)
{
    size_t n = strlen(cue);
    if (n < LONG_TEXT && strlen(source) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (source[i] != cue[i] && !(cue[i] == '?' && (unsigned char)source[i] >= 0x80))
            return 0;
    return 1;
}

/* Whether a cue ends when its line does; behind `until` nothing is shown, and what a source
 * doesn't say may be anything. */
static int ends_with(const struct said_line *l, const struct vtt_cue *c, int64_t until)
{
    int64_t off = l->end - c->end;
    return l->end == INT64_MAX || (off >= -SAID_OFF_MS && off <= SAID_OFF_MS) ||
           (l->end >= until - SAID_OFF_MS && c->end >= until - SAID_OFF_MS);
}

/* 1; 0: it is none; -1: it is, but ends at another time. */
static int is_line(struct said *l, const struct vtt_cue *c, const char *words, int64_t until)
{
    int is = 0;
    for (size_t i = 0; i < l->n; i++) {
        int64_t off = l->v[i].start - c->start;
        if (off < -SAID_OFF_MS || off > SAID_OFF_MS || !same_words(l->v[i].words, words))
            continue;
        l->v[i].found = 1;
        if (ends_with(&l->v[i], c, until))
            return 1;
        is = -1;
    }
    return is;
}

/* Where subtitles end at the latest: behind the last picture and sound, whatever a manifest adds.
 */
static int64_t timeline_end(const struct package *p)
{
    return p->mpd && p->mpd->duration_s > 0
               ? (int64_t)((p->mpd->duration_s - package_padding(p)) * 1000)
               : INT64_MAX;
}

static int compare(struct package *p, const struct text_track *t, struct said *l)
{
    size_t found = 0, strange = 0;
    int64_t end = timeline_end(p);
    for (size_t i = 0; i < t->all->n; i++) {
        const struct vtt_cue *c = &t->all->cues[i];
        _cleanup_free_ char *words = strdup(c->text);
        if (!words)
            return -ENOMEM;
        vtt_words(words);
        int is = is_line(l, c, words, end);
        if (is > 0)
            found++;
        else if (is < 0 && !strange++)
            report_fail(p->report, CHECK_SOURCE_TEXT,
                        "%s: the cue of %.3f s ends at %.3f s, which the source doesn't say",
                        t->whole, (double)c->start / 1000, (double)c->end / 1000);
        else if (is == 0 && !strange++)
            report_fail(p->report, CHECK_SOURCE_TEXT, "%s: the cue of %.3f s is none of the source",
                        t->whole, (double)c->start / 1000);
    }
    /* Of layers that say the same at the same time one is enough. */
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = i;
             k-- > 0 && !l->v[i].found && l->v[k].start + SAID_OFF_MS >= l->v[i].start;)
            l->v[i].found = l->v[k].found && !strcmp(l->v[k].words, l->v[i].words);
    for (size_t i = 0; i < l->n; i++)
        if (!l->v[i].found && l->v[i].start < end - SAID_OFF_MS) {
            report_fail(p->report, CHECK_SOURCE_TEXT, "%s: it lacks what the source says at %.3f s",
                        t->whole, (double)l->v[i].start / 1000);
            break;
        }
    report_pass(p->report, CHECK_SOURCE_TEXT, "%s: %zu cues", t->folder, found);
    return 0;
}

void check_source_texts(struct package *p, const struct source *s, const struct match *m)
{
    for (size_t i = 0; i < p->n_texts && m->has_origin && p->receipt; i++) {
        const struct text_track *t = &p->texts[i];
        _cleanup_(said_release) struct said l = { 0 };
        struct err err = { 0 };
        const struct receipt_text *named = NULL;
        for (size_t k = 0; k < p->receipt->n_texts; k++)
            if (!strcmp(p->receipt->texts[k].folder, t->folder))
                named = &p->receipt->texts[k];
        if (named && named->captions && !captions_are_seen(named, s))
            continue;
        report_ran(p->report, CHECK_SOURCE_TEXT);
        if (!t->all)
            continue;
        if (named && named->captions) {
            check_source_captions(p, t, named, s, m);
            continue;
        }
        int r = said_read(s, named ? (int)named->stream : -1, named ? (int)named->page : 0,
                          m->origin_s, &l, &err);
        if (!r)
            r = compare(p, t, &l);
        if (r < 0)
            report_fail(p->report, CHECK_SOURCE_TEXT, "%s: %s", t->folder,
                        r == -ENOMEM ? "out of memory" : err.text);
    }
}
