/* hls.media, hls.extinf, hls.iframe: the media playlists. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { VERSION_LEAST = 6 }; /* EXT-X-MAP outside of I-frame playlists */

static void check_tags(struct package *p, const struct m3u8 *m, const char *where, enum check c)
{
    report_ran(p->report, c);
    if (m->version < VERSION_LEAST)
        report_fail(p->report, c, "%s: EXT-X-VERSION is %lld, needed is %d", where,
                    (long long)m->version, VERSION_LEAST);
    if (m->target < 1)
        report_fail(p->report, c, "%s: no EXT-X-TARGETDURATION", where);
    if (!m->type || strcmp(m->type, "VOD"))
        report_fail(p->report, c, "%s: EXT-X-PLAYLIST-TYPE is %s, expected VOD", where,
                    m->type ? m->type : "missing");
    if (!m->endlist)
        report_fail(p->report, c, "%s: no EXT-X-ENDLIST", where);
    if (!m->independent && !(p->master && p->master->independent))
        report_fail(p->report, c, "%s: EXT-X-INDEPENDENT-SEGMENTS neither here nor in the master",
                    where);
    if (m->n_maps != 1 || m->map_has_range)
        report_fail(p->report, c, "%s: %u EXT-X-MAP, expected one, of a whole file", where,
                    m->n_maps);
    if (m->discontinuities || m->gaps)
        report_fail(p->report, c, "%s: %u discontinuities, %u gaps", where, m->discontinuities,
                    m->gaps);
    if (!m->n_segments)
        report_fail(p->report, c, "%s: no segment", where);
    if (m->media_sequence > 1)
        report_fail(p->report, c, "%s: EXT-X-MEDIA-SEQUENCE is %lld: segments were left out", where,
                    (long long)m->media_sequence);
}

/* The number in "seg-00012.m4s"; -1: none. */
static long number_of(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    name += strcspn(name, "0123456789");
    return isdigit((unsigned char)*name) ? strtol(name, NULL, 10) : -1;
}

static void check_names(struct package *p, const struct rendition *r)
{
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct segment *s = &r->segments[i];
        if (!*s->path || number_of(s->path) == (long)i + 1)
            continue;
        report_fail(p->report, CHECK_HLS_MEDIA, "%s:%u: %s stands where number %zu is due",
                    r->playlist, s->line, s->path, i + 1);
        return; /* all after it are off, too */
    }
}

/* Whether `d` says `ticks`: to one unit of its last digit (makers may round
 * times instead of durations, so that they add up), and never off by more
 * than 1 ms. */
static int says(struct m3u8_decimal d, int64_t ticks, uint32_t timescale)
{
    __int128 off = (__int128)d.num * timescale - (__int128)ticks * d.den;
    __int128 abs_off = off < 0 ? -off : off, second = (__int128)d.den * timescale;
    return abs_off * 1000 <= second && (d.den < 1000 || abs_off <= timescale);
}

static double decimal(struct m3u8_decimal d)
{
    return (double)d.num / (double)d.den;
}

static void check_target(struct package *p, const struct m3u8 *m, const char *where, enum check c)
{
    for (size_t i = 0; i < m->n_segments; i++) {
        const struct m3u8_segment *s = &m->segments[i];
        int64_t rounded = (2 * s->extinf.num + s->extinf.den) / (2 * s->extinf.den);
        if (rounded > m->target && m->target > 0)
            report_fail(p->report, c, "%s:%u: EXTINF %.6f rounds to more than TARGETDURATION %lld",
                        where, s->line, decimal(s->extinf), (long long)m->target);
    }
}

static void check_extinf(struct package *p, const struct rendition *r)
{
    double drift = 0;
    report_ran(p->report, CHECK_HLS_EXTINF);
    check_target(p, r->media, r->playlist, CHECK_HLS_EXTINF);
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct segment *s = &r->segments[i];
        if (!s->readable)
            continue;
        int64_t ticks = s->end - s->start; /* with the priming, so that they add up to tfdt */
        double exact = seconds(ticks, r->init.timescale);
        if (!says(s->extinf, ticks, r->init.timescale))
            report_fail(p->report, CHECK_HLS_EXTINF,
                        "%s:%u: EXTINF %.6f, but %s lasts %.6f s (%lld/%u)", r->playlist, s->line,
                        decimal(s->extinf), s->path, exact, (long long)ticks, r->init.timescale);
        drift += decimal(s->extinf) - exact;
    }
    if (drift > 0.001 || drift < -0.001)
        report_fail(p->report, CHECK_HLS_EXTINF,
                    "%s: all EXTINF together are off the exact duration by %+.6f s", r->playlist,
                    drift);
}

static void check_iframe_entry(struct package *p, const struct rendition *r, size_t i)
{
    const struct m3u8_segment *e = &r->iframes->segments[i];
    const struct fragment *f = &r->fragments[i];
    const struct segment *s = &r->segments[f->segment];
    char path[PATH_LEN_MAX];
    if (path_join(r->iframe_path, e->uri, path) < 0 || strcmp(path, s->path)) {
        report_fail(p->report, CHECK_HLS_IFRAME, "%s:%u: %s, but GOP %zu lies in %s",
                    r->iframe_path, e->line, e->uri, i, s->path);
        return;
    }
    if (!e->has_range || !e->has_range_offset)
        report_fail(p->report, CHECK_HLS_IFRAME, "%s:%u: no byte range with an offset",
                    r->iframe_path, e->line);
    else if (e->range_off != f->off || e->range_len != f->first_sample_end - f->off)
        report_fail(p->report, CHECK_HLS_IFRAME,
                    "%s:%u: bytes %llu@%llu, but moof and key picture of GOP %zu are %llu@%llu",
                    r->iframe_path, e->line, (unsigned long long)e->range_len,
                    (unsigned long long)e->range_off, i,
                    (unsigned long long)(f->first_sample_end - f->off), (unsigned long long)f->off);
    if (!says(e->extinf, f->stop - f->tfdt, r->init.timescale))
        report_fail(p->report, CHECK_HLS_IFRAME, "%s:%u: EXTINF %.6f, but GOP %zu lasts %.6f s",
                    r->iframe_path, e->line, decimal(e->extinf), i,
                    seconds(f->stop - f->tfdt, r->init.timescale));
}

static void check_iframes(struct package *p, const struct rendition *r)
{
    char map[PATH_LEN_MAX];
    if (!r->iframes) {
        if (!*r->iframe_path)
            report_fail(p->report, CHECK_HLS_IFRAME, "%s: the master names no I-frame playlist",
                        r->folder);
        return;
    }
    check_tags(p, r->iframes, r->iframe_path, CHECK_HLS_IFRAME);
    check_target(p, r->iframes, r->iframe_path, CHECK_HLS_IFRAME);
    if (!r->iframes->iframes_only)
        report_fail(p->report, CHECK_HLS_IFRAME, "%s: no EXT-X-I-FRAMES-ONLY", r->iframe_path);
    if (!r->iframes->map_uri || path_join(r->iframe_path, r->iframes->map_uri, map) < 0 ||
        strcmp(map, r->init_path))
        report_fail(p->report, CHECK_HLS_IFRAME, "%s: EXT-X-MAP isn't %s", r->iframe_path,
                    r->init_path);
    if (!r->whole)
        return;
    if (r->iframes->n_segments != r->n_fragments)
        report_fail(p->report, CHECK_HLS_IFRAME, "%s: %zu entries, but the segments hold %zu GOPs",
                    r->iframe_path, r->iframes->n_segments, r->n_fragments);
    for (size_t i = 0; i < r->iframes->n_segments && i < r->n_fragments; i++)
        check_iframe_entry(p, r, i);
}

void check_media(struct package *p)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (!r->media)
            continue;
        check_tags(p, r->media, r->playlist, CHECK_HLS_MEDIA);
        if (r->media->iframes_only)
            report_fail(p->report, CHECK_HLS_MEDIA, "%s: EXT-X-I-FRAMES-ONLY in a media playlist",
                        r->playlist);
        check_names(p, r);
        check_extinf(p, r);
        if (r->kind == KIND_VIDEO)
            check_iframes(p, r);
    }
}
