/* text.*: subtitles, their segments, and what names them. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common/base/cleanup.h"
#include "texts.h"

enum { SLACK_MS = 2 }; /* cues are in milliseconds, segments in ticks */

/* ---- text.cues ---- */

static int same_cue(const struct vtt_cue *a, const struct vtt_cue *b)
{
    return a->start == b->start && a->end == b->end && !strcmp(a->text, b->text) &&
           !strcmp(a->settings, b->settings);
}

/* Whether the cue is shown within (from, to): 1, 0; -1: at its very edge. */
static int shown_in(const struct vtt_cue *c, double from, double to)
{
    if (c->end <= (int64_t)from - SLACK_MS || c->start >= (int64_t)to + SLACK_MS)
        return 0;
    return c->end > (int64_t)from + SLACK_MS && c->start < (int64_t)to - SLACK_MS ? 1 : -1;
}

static void check_segment(struct package *p, const struct text_track *t,
                          const struct text_segment *s, double from, double to)
{
    size_t k = 0;
    if (!s->vtt->has_map || s->vtt->mpegts || s->vtt->local)
        report_fail(p->report, CHECK_TEXT_CUES,
                    "%s: no X-TIMESTAMP-MAP that maps 0 to 0, where video begins", s->path);
    for (size_t i = 0; i < t->all->n && t->all->cues[i].start < (int64_t)to + SLACK_MS; i++) {
        const struct vtt_cue *c = &t->all->cues[i];
        int shown = shown_in(c, from, to);
        int has = shown && k < s->vtt->n && same_cue(c, &s->vtt->cues[k]);
        k += (size_t)has;
        if (shown == 1 && !has) {
            report_fail(p->report, CHECK_TEXT_CUES, "%s: it lacks the cue of %.3f s", s->path,
                        (double)c->start / 1000);
            return;
        }
    }
    if (k < s->vtt->n)
        report_fail(p->report, CHECK_TEXT_CUES, "%s: the cue of %.3f s isn't one of its time",
                    s->path, (double)s->vtt->cues[k].start / 1000);
}

static void check_cues(struct package *p, const struct text_track *t)
{
    double at = 0;
    if (!t->all)
        return;
    if (!t->all->n)
        report_fail(p->report, CHECK_TEXT_CUES, "%s: no cue", t->whole);
    for (size_t i = 0; i < t->n_segments; i++) {
        const struct text_segment *s = &t->segments[i];
        double lasts = 1000.0 * (double)s->extinf.num / (double)s->extinf.den;
        int last = i + 1 == t->n_segments;
        if (s->vtt)
            check_segment(p, t, s, at, last ? 1e15 : at + lasts);
        at += lasts;
    }
    report_pass(p->report, CHECK_TEXT_CUES, "%s: %zu cues in %zu segments", t->folder, t->all->n,
                t->n_segments);
}

/* ---- text.times ---- */

static const struct rendition *video_of(const struct package *p)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (p->renditions[i].kind == KIND_VIDEO && p->renditions[i].whole)
            return &p->renditions[i];
    return NULL;
}

/* Whether a segment begins there. */
static int begins_at(const struct text_track *t, double s)
{
    double at = 0;
    for (size_t i = 0; i < t->n_segments; i++) {
        if (at > s - 0.001 && at < s + 0.001)
            return 1;
        at += (double)t->segments[i].extinf.num / (double)t->segments[i].extinf.den;
    }
    return 0;
}

static void check_joints(struct package *p, const struct text_track *t, const struct rendition *v)
{
    for (size_t i = 1; v && i < v->n_segments; i++) {
        double s = seconds(v->segments[i].shown, v->init.timescale);
        if (!begins_at(t, s)) {
            report_fail(p->report, CHECK_TEXT_TIMES, "%s: nothing begins at %.6f s, as %s does",
                        t->playlist, s, v->segments[i].path);
            return;
        }
    }
}

static void check_times_of(struct package *p, const struct text_track *t)
{
    const struct m3u8 *m = t->media;
    double all = 0;
    if (!m->type || strcmp(m->type, "VOD") || !m->endlist || m->version < 1 || m->n_maps ||
        m->iframes_only || !m->n_segments)
        report_fail(p->report, CHECK_TEXT_TIMES,
                    "%s: not the VOD playlist of one text without init segment", t->playlist);
    for (size_t i = 0; i < t->n_segments; i++) {
        struct m3u8_decimal d = t->segments[i].extinf;
        all += (double)d.num / (double)d.den;
        if ((2 * d.num + d.den) / (2 * d.den) > m->target)
            report_fail(p->report, CHECK_TEXT_TIMES,
                        "%s:%u: EXTINF rounds to more than TARGETDURATION %lld", t->playlist,
                        t->segments[i].line, (long long)m->target);
    }
    if (p->mpd && p->mpd->duration_s > 0 &&
        (all > p->mpd->duration_s + 0.001 || all < p->mpd->duration_s - package_padding(p) - 0.001))
        report_fail(p->report, CHECK_TEXT_TIMES, "%s: %.6f s in all, the presentation has %.6f s",
                    t->playlist, all, p->mpd->duration_s);
    check_joints(p, t, video_of(p));
}

/* ---- text.named ---- */

static const char *attr_or(const struct m3u8_entry *e, const char *name, const char *otherwise)
{
    const char *v = m3u8_attr(e, name);
    return v ? v : otherwise;
}

static int is_text(const struct m3u8_entry *e)
{
    return e->what == M3U8_MEDIA && !strcmp(attr_or(e, "TYPE", ""), "SUBTITLES");
}

static const struct mpd_representation *in_mpd(const struct package *p, const struct text_track *t)
{
    for (size_t i = 0; p->mpd && i < p->mpd->n_reps; i++)
        if (p->mpd->reps[i].file && !strcmp(p->mpd->reps[i].file, t->whole))
            return &p->mpd->reps[i];
    return NULL;
}

static void check_names(struct package *p, const struct m3u8_entry *e)
{
    unsigned same = 0, defaults = 0;
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *o = &p->master->entries[i];
        if (!is_text(o) || strcmp(attr_or(o, "GROUP-ID", ""), attr_or(e, "GROUP-ID", "")))
            continue;
        same += !strcmp(attr_or(o, "NAME", ""), attr_or(e, "NAME", ""));
        defaults += !strcmp(attr_or(o, "DEFAULT", "NO"), "YES");
    }
    if (same > 1)
        report_fail(p->report, CHECK_TEXT_NAMED, "master.m3u8:%u: NAME \"%s\" is there %u times",
                    e->line, attr_or(e, "NAME", ""), same);
    if (defaults > 1)
        report_fail(p->report, CHECK_TEXT_NAMED, "master.m3u8:%u: %u of its group are DEFAULT",
                    e->line, defaults);
}

static void check_entry(struct package *p, const struct m3u8_entry *e)
{
    static const char *const needed[] = { "GROUP-ID", "NAME", "URI" };
    const struct mpd_representation *m = NULL;
    char path[PATH_LEN_MAX];
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!m3u8_attr(e, needed[i]))
            report_fail(p->report, CHECK_TEXT_NAMED, "master.m3u8:%u: subtitles without %s",
                        e->line, needed[i]);
    if (!strcmp(attr_or(e, "DEFAULT", "NO"), "YES") &&
        strcmp(attr_or(e, "AUTOSELECT", "YES"), "YES"))
        report_fail(p->report, CHECK_TEXT_NAMED, "master.m3u8:%u: DEFAULT, but not AUTOSELECT",
                    e->line);
    check_names(p, e);
    if (!e->uri || path_join("", e->uri, path) < 0 || !p->mpd)
        return;
    for (size_t i = 0; i < p->n_texts && !m; i++)
        if (!strcmp(p->texts[i].playlist, path))
            m = in_mpd(p, &p->texts[i]);
    if (!m || !m->mime || strcmp(m->mime, "text/vtt"))
        report_fail(p->report, CHECK_TEXT_NAMED, "manifest.mpd has no text/vtt of %s", path);
    else if (strcmp(m->lang ? m->lang : "", attr_or(e, "LANGUAGE", "")))
        report_fail(p->report, CHECK_TEXT_NAMED,
                    "%s: \"%s\" in manifest.mpd, LANGUAGE is \"%s\" in master.m3u8:%u", path,
                    m->lang ? m->lang : "", attr_or(e, "LANGUAGE", ""), e->line);
}

static void check_variant(struct package *p, const struct m3u8_entry *e)
{
    const char *group = m3u8_attr(e, "SUBTITLES");
    for (size_t i = 0; i < p->master->n_entries && group; i++) {
        const struct m3u8_entry *o = &p->master->entries[i];
        if (is_text(o) && !strcmp(attr_or(o, "GROUP-ID", ""), group))
            return;
    }
    report_fail(p->report, CHECK_TEXT_NAMED, "master.m3u8:%u: there is no SUBTITLES group \"%s\"",
                e->line, group ? group : "");
}

static void check_named(struct package *p)
{
    for (size_t i = 0; p->master && i < p->master->n_entries; i++) {
        const struct m3u8_entry *e = &p->master->entries[i];
        if (is_text(e))
            check_entry(p, e);
        else if (e->what == M3U8_VARIANT && (p->n_texts || m3u8_attr(e, "SUBTITLES")))
            check_variant(p, e);
    }
    report_pass(p->report, CHECK_TEXT_NAMED, "%zu tracks", p->n_texts);
}

void check_texts(struct package *p)
{
    int any = p->n_texts > 0 || (p->receipt && p->receipt->n_texts > 0);
    size_t in_mpd_n = 0;
    for (size_t i = 0; p->mpd && i < p->mpd->n_reps; i++)
        in_mpd_n += p->mpd->reps[i].mime && !strcmp(p->mpd->reps[i].mime, "text/vtt");
    if (!any && !in_mpd_n)
        return;
    check_named(p);
    if (p->mpd && in_mpd_n != p->n_texts)
        report_fail(p->report, CHECK_TEXT_NAMED, "manifest.mpd names %zu tracks, master.m3u8 %zu",
                    in_mpd_n, p->n_texts);
    if (p->receipt && p->receipt->n_texts != p->n_texts)
        report_fail(p->report, CHECK_TEXT_NAMED, "the receipt names %zu tracks, master.m3u8 %zu",
                    p->receipt->n_texts, p->n_texts);
    report_ran(p->report, CHECK_TEXT_CUES);
    report_ran(p->report, CHECK_TEXT_TIMES);
    for (size_t i = 0; i < p->n_texts; i++) {
        check_cues(p, &p->texts[i]);
        if (p->texts[i].media)
            check_times_of(p, &p->texts[i]);
    }
}
