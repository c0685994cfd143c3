/* hls.groups, dash.tracks, source.tracks: several tracks of sound. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "codec.h"
#include "match.h"

#define DESCRIBES "public.accessibility.describes-video"

static const char *value(const struct m3u8_entry *e, const char *name)
{
    const char *v = m3u8_attr(e, name);
    return v ? v : "";
}

static int says_yes(const struct m3u8_entry *e, const char *name)
{
    return !strcmp(value(e, name), "YES");
}

static int is_sound(const struct m3u8_entry *e)
{
    return e->what == M3U8_MEDIA && !strcmp(value(e, "TYPE"), "AUDIO");
}

static int same_group(const struct m3u8_entry *a, const struct m3u8_entry *b)
{
    return is_sound(b) && !strcmp(value(a, "GROUP-ID"), value(b, "GROUP-ID"));
}

static const struct rendition *played_by(struct package *p, const struct m3u8_entry *e)
{
    char path[PATH_LEN_MAX];
    return e->uri && !path_join("", e->uri, path) ? package_by_playlist(p, path) : NULL;
}

/* RFC 5646, as far as playlists need it: subtags of 1 to 8 letters and
 * digits, the first of 2 or 3 letters. */
static int is_language(const char *s)
{
    size_t n = 0, first = 0;
    for (;; s++) {
        if (*s && *s != '-') {
            if (!isalnum((unsigned char)*s) || (!first && !isalpha((unsigned char)*s)) || ++n > 8)
                return 0;
            continue;
        }
        if (!n)
            return 0;
        first = first ? first : n;
        n = 0;
        if (!*s)
            return first == 2 || first == 3;
    }
}

/* ---- hls.groups ---- */

static void check_pair(struct package *p, const struct m3u8_entry *a, const struct m3u8_entry *b)
{
    const struct rendition *x = played_by(p, a), *y = played_by(p, b);
    if (!strcmp(value(a, "NAME"), value(b, "NAME")))
        report_fail(p->report, CHECK_HLS_GROUPS, "master.m3u8:%u: NAME=\"%s\" is that of line %u",
                    b->line, value(b, "NAME"), a->line);
    if (says_yes(a, "AUTOSELECT") && says_yes(b, "AUTOSELECT") &&
        !strcmp(value(a, "LANGUAGE"), value(b, "LANGUAGE")) &&
        !strcmp(value(a, "CHARACTERISTICS"), value(b, "CHARACTERISTICS")))
        report_fail(p->report, CHECK_HLS_GROUPS,
                    "master.m3u8:%u: AUTOSELECT=YES with the language and characteristics of "
                    "line %u",
                    b->line, a->line);
    if (x && y && x->has_init && y->has_init && codec_of(&x->init) != codec_of(&y->init))
        report_fail(p->report, CHECK_HLS_GROUPS,
                    "master.m3u8:%u: group \"%s\" has %s and %s of other codecs", b->line,
                    value(b, "GROUP-ID"), x->folder, y->folder);
}

static void check_track(struct package *p, const struct m3u8_entry *e)
{
    const char *lang = m3u8_attr(e, "LANGUAGE");
    if (says_yes(e, "DEFAULT") && !says_yes(e, "AUTOSELECT"))
        report_fail(p->report, CHECK_HLS_GROUPS, "master.m3u8:%u: DEFAULT=YES needs AUTOSELECT=YES",
                    e->line);
    if (lang && !is_language(lang))
        report_fail(p->report, CHECK_HLS_GROUPS, "master.m3u8:%u: LANGUAGE=\"%s\" is no language",
                    e->line, lang);
}

/* Whether the group of `other` has this track, by all that a viewer sees. */
static int has_track(const struct package *p, const struct m3u8_entry *other,
                     const struct m3u8_entry *e)
{
    static const char *const same[] = { "NAME", "LANGUAGE", "DEFAULT", "AUTOSELECT",
                                        "CHARACTERISTICS" };
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *x = &p->master->entries[i];
        size_t k = 0, n = sizeof(same) / sizeof(same[0]);
        while (same_group(other, x) && k < n && !strcmp(value(x, same[k]), value(e, same[k])))
            k++;
        if (k == n)
            return 1;
    }
    return 0;
}

/* All that concerns the group whose first entry is number `first`. */
static void check_group(struct package *p, size_t first)
{
    const struct m3u8_entry *all = p->master->entries, *lead = &all[first];
    size_t tracks = 0, defaults = 0;
    for (size_t i = first; i < p->master->n_entries; i++) {
        if (!same_group(lead, &all[i]))
            continue;
        tracks++;
        defaults += says_yes(&all[i], "DEFAULT");
        check_track(p, &all[i]);
        for (size_t k = first; k < i; k++)
            if (same_group(lead, &all[k]))
                check_pair(p, &all[k], &all[i]);
    }
    if (defaults != 1)
        report_fail(p->report, CHECK_HLS_GROUPS,
                    "master.m3u8: group \"%s\" has %zu defaults of %zu", value(lead, "GROUP-ID"),
                    defaults, tracks);
    report_pass(p->report, CHECK_HLS_GROUPS, "%s: %zu tracks", value(lead, "GROUP-ID"), tracks);
}

static int is_first(const struct package *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_group(&p->master->entries[i], &p->master->entries[k]))
            return 0;
    return 1;
}

static void check_hls(struct package *p)
{
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *e = &p->master->entries[i];
        if (!is_sound(e))
            continue;
        if (is_first(p, i))
            check_group(p, i);
        for (size_t k = 0; k < p->master->n_entries; k++)
            if (is_sound(&p->master->entries[k]) && is_first(p, k) &&
                !has_track(p, &p->master->entries[k], e))
                report_fail(p->report, CHECK_HLS_GROUPS,
                            "master.m3u8:%u: group \"%s\" has no such track", e->line,
                            value(&p->master->entries[k], "GROUP-ID"));
    }
}

/* ---- dash.tracks ---- */

static const struct mpd_representation *in_manifest(const struct package *p,
                                                    const struct rendition *r)
{
    for (size_t i = 0; i < p->mpd->n_reps; i++)
        if (p->mpd->reps[i].init && !strcmp(p->mpd->reps[i].init, r->init_path))
            return &p->mpd->reps[i];
    return NULL;
}

static void compare_track(struct package *p, const struct m3u8_entry *e,
                          const struct mpd_representation *m)
{
    const char *role = m->role ? m->role : "", *lang = m->lang ? m->lang : "";
    int describes = strstr(value(e, "CHARACTERISTICS"), DESCRIBES) != NULL;
    if (strcmp(lang, value(e, "LANGUAGE")))
        report_fail(p->report, CHECK_DASH_TRACKS, "%s: lang is \"%s\", in HLS it is \"%s\"", m->id,
                    lang, value(e, "LANGUAGE"));
    if ((strcmp(role, "main") == 0) != says_yes(e, "DEFAULT"))
        report_fail(p->report, CHECK_DASH_TRACKS, "%s: role \"%s\", but DEFAULT=%s in HLS", m->id,
                    role, value(e, "DEFAULT"));
    if (m->describes != describes)
        report_fail(p->report, CHECK_DASH_TRACKS, "%s: it %s the picture, in HLS it %s", m->id,
                    m->describes ? "describes" : "doesn't describe",
                    describes ? "does" : "doesn't");
    if (m->label && strcmp(m->label, value(e, "NAME")))
        report_fail(p->report, CHECK_DASH_TRACKS, "%s: Label \"%s\", in HLS it is \"%s\"", m->id,
                    m->label, value(e, "NAME"));
}

static const struct m3u8_entry *entry_of(struct package *p, const struct rendition *r)
{
    for (size_t i = 0; i < p->master->n_entries; i++)
        if (is_sound(&p->master->entries[i]) && played_by(p, &p->master->entries[i]) == r)
            return &p->master->entries[i];
    return NULL;
}

/* Two tracks in one adaptation set would be switched between like bit rates. */
static void check_sets(struct package *p)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        const struct mpd_representation *m = r->kind == KIND_AUDIO ? in_manifest(p, r) : NULL;
        const struct m3u8_entry *e = m ? entry_of(p, r) : NULL;
        if (!e)
            continue;
        report_ran(p->report, CHECK_DASH_TRACKS);
        compare_track(p, e, m);
        for (size_t k = 0; k < i; k++) {
            const struct rendition *o = &p->renditions[k];
            const struct mpd_representation *n = o->kind == KIND_AUDIO ? in_manifest(p, o) : NULL;
            const struct m3u8_entry *f = n ? entry_of(p, o) : NULL;
            if (f && n->set == m->set && strcmp(value(e, "NAME"), value(f, "NAME")))
                report_fail(p->report, CHECK_DASH_TRACKS,
                            "%s and %s are in one set, but \"%s\" and "
                            "\"%s\" in HLS",
                            n->id, m->id, value(f, "NAME"), value(e, "NAME"));
        }
    }
}

void check_groups(struct package *p)
{
    if (!p->master)
        return;
    check_hls(p);
    if (p->mpd)
        check_sets(p);
}

/* ---- source.tracks ---- */

static const struct receipt_rendition *claim_of(const struct package *p, const struct rendition *r)
{
    for (size_t i = 0; p->receipt && i < p->receipt->n_renditions; i++)
        if (!strcmp(p->receipt->renditions[i].folder, r->folder))
            return &p->receipt->renditions[i];
    return NULL;
}

const struct source_sound *sound_of(const struct package *p, const struct source *s,
                                    const struct rendition *r)
{
    const struct receipt_rendition *claim = claim_of(p, r);
    if (r->kind != KIND_AUDIO)
        return NULL;
    if (!claim || claim->stream < 0)
        return s->sound;
    for (size_t i = 0; i < s->n_sounds; i++)
        if (s->sounds[i].stream == claim->stream)
            return &s->sounds[i];
    return NULL;
}

/* "deu" and "ger" are "de": without the whole of ISO 639, the same language
 * begins with the same letter, or is one of those that were renamed. */
static int may_be(const char *tag, const char *code)
{
    static const char *const renamed[] = { "alb:sq", "arm:hy", "baq:eu", "bur:my", "chi:zh",
                                           "cor:kw", "dut:nl", "geo:ka", "ger:de", "gre:el",
                                           "kin:rw", "per:fa", "spa:es", "tib:bo", "wel:cy" };
    size_t n = strcspn(tag, "-");
    for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++)
        if (!strncmp(code, renamed[i], 3))
            return n == 2 && !strncmp(tag, renamed[i] + 4, 2);
    return tolower((unsigned char)*tag) == tolower((unsigned char)*code);
}

static void check_language(struct package *p, const struct rendition *r,
                           const struct source_sound *x)
{
    const struct m3u8_entry *e = entry_of(p, r);
    const char *tag = e ? value(e, "LANGUAGE") : "";
    if (*tag && !*x->language)
        report_fail(p->report, CHECK_SOURCE_TRACKS,
                    "%s is in \"%s\", stream %d of the source in no known language", r->folder, tag,
                    x->stream);
    else if (*tag && !may_be(tag, x->language))
        report_fail(p->report, CHECK_SOURCE_TRACKS,
                    "%s is in \"%s\", stream %d of the source in %s", r->folder, tag, x->stream,
                    x->language);
    else if (e && !*tag && strlen(x->language) == 3 && strcmp(x->language, "und") != 0 &&
             strcmp(x->language, "mis") != 0)
        report_fail(p->report, CHECK_SOURCE_TRACKS,
                    "%s has no language, stream %d of the source is in %s", r->folder, x->stream,
                    x->language);
}

/* The one that players begin with is one that the source marks, if it marks any. */
static void check_default(struct package *p, const struct source *s, const struct rendition *r,
                          const struct source_sound *x)
{
    const struct m3u8_entry *e = entry_of(p, r);
    size_t marked = 0;
    for (size_t i = 0; i < s->n_sounds; i++)
        marked += s->sounds[i].is_default && s->sounds[i].heard;
    if (e && says_yes(e, "DEFAULT") && marked && !x->is_default)
        report_fail(p->report, CHECK_SOURCE_TRACKS,
                    "%s is the default, but the source's is not stream %d", r->folder, x->stream);
}

static size_t heard(const struct source *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_sounds; i++)
        n += s->sounds[i].heard != 0;
    return n;
}

void check_source_tracks(struct package *p, const struct source *s)
{
    int used[SOURCE_SOUNDS_MAX] = { 0 };
    size_t n = 0;
    for (size_t i = 0; p->master && i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        const struct source_sound *x = sound_of(p, s, r);
        if (r->kind != KIND_AUDIO)
            continue;
        report_ran(p->report, CHECK_SOURCE_TRACKS);
        if (!x) {
            report_fail(p->report, CHECK_SOURCE_TRACKS,
                        "%s: the source has no sound in the stream that the receipt names",
                        r->folder);
            continue;
        }
        n += !used[x - s->sounds];
        used[x - s->sounds] = 1;
        check_language(p, r, x);
        check_default(p, s, r, x);
    }
    if (n > 1 && n < heard(s) && p->receipt && !p->receipt->n_warnings)
        report_fail(p->report, CHECK_SOURCE_TRACKS,
                    "%zu tracks of the source's %zu, and no word "
                    "why",
                    n, heard(s));
    if (n)
        report_pass(p->report, CHECK_SOURCE_TRACKS, "%zu of %zu tracks", n, heard(s));
}
