/* hls.bandwidth: rates as RFC 8216bis, 4.1, defines them, measured again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "texts.h"

struct rates rates_of(const struct rate_span *s, size_t n, double target_s)
{
    struct rates r = { 0 };
    double all_bits = 0, all_s = 0, eps = 1e-9;
    for (size_t i = 0; i < n; i++) {
        double bits = 0, sec = 0;
        all_bits += 8.0 * (double)s[i].size_bytes;
        all_s += s[i].seconds;
        for (size_t k = i; k < n; k++) {
            bits += 8.0 * (double)s[k].size_bytes;
            sec += s[k].seconds;
            if (sec <= 0 || sec > 1.5 * target_s + eps)
                break;
            if (sec >= 0.5 * target_s - eps && bits / sec > r.peak)
                r.peak = bits / sec;
        }
        if (s[i].seconds > 0 && 8.0 * (double)s[i].size_bytes / s[i].seconds > r.largest)
            r.largest = 8.0 * (double)s[i].size_bytes / s[i].seconds;
    }
    r.average = all_s > 0 ? all_bits / all_s : 0;
    r.peak = r.peak > 0 ? r.peak : r.largest; /* all too short: RFC 8216bis has no word for it */
    return r;
}

int rendition_rates(const struct rendition *r, struct rates *ret)
{
    struct rate_span *s = calloc(r->n_segments + 1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_segments; i++)
        s[i] = (struct rate_span){
            .seconds = seconds(r->segments[i].until - r->segments[i].shown, r->init.timescale),
            .size_bytes = r->segments[i].size_bytes,
        };
    *ret = rates_of(s, r->n_segments, (double)r->media->target);
    free(s);
    return 0;
}

static int iframe_rates(const struct rendition *r, struct rates *ret)
{
    struct rate_span *s = calloc(r->n_fragments + 1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_fragments; i++) {
        const struct fragment *f = &r->fragments[i];
        s[i] = (struct rate_span){ .seconds = seconds(f->stop - f->tfdt, r->init.timescale),
                                   .size_bytes = f->first_sample_end - f->off };
    }
    *ret = rates_of(s, r->n_fragments, r->iframes ? (double)r->iframes->target : 1);
    free(s);
    return 0;
}

static void compare(struct package *p, const struct m3u8_entry *e, const char *what,
                    const struct rates *want)
{
    const char *peak_text = m3u8_attr(e, "BANDWIDTH");
    const char *average_text = m3u8_attr(e, "AVERAGE-BANDWIDTH");
    double peak = peak_text ? strtod(peak_text, NULL) : 0;
    double average = average_text ? strtod(average_text, NULL) : 0;
    report_ran(p->report, CHECK_HLS_BANDWIDTH);
    if (peak_text && (peak + 2 < want->peak || peak > want->peak * 1.1 + 2))
        report_fail(p->report, CHECK_HLS_BANDWIDTH,
                    "master.m3u8:%u: %s: BANDWIDTH=%.0f, measured peak is %.0f (%+.1f %%)", e->line,
                    what, peak, want->peak, 100 * (peak / want->peak - 1));
    if (average_text && (average < want->average * 0.9 || average > want->average * 1.1))
        report_fail(p->report, CHECK_HLS_BANDWIDTH,
                    "master.m3u8:%u: %s: AVERAGE-BANDWIDTH=%.0f, measured is %.0f (%+.1f %%)",
                    e->line, what, average, want->average, 100 * (average / want->average - 1));
}

/* The audio group's largest rates are added to the video's. */
static int add_group(struct package *p, const char *group, struct rates *sum)
{
    struct rates most = { 0 };
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *e = &p->master->entries[i];
        const char *id = m3u8_attr(e, "GROUP-ID");
        char path[PATH_LEN_MAX];
        struct rates r;
        if (e->what != M3U8_MEDIA || !id || strcmp(id, group) || !e->uri ||
            path_join("", e->uri, path) < 0)
            continue;
        const struct rendition *a = package_by_playlist(p, path);
        if (!a || !a->whole)
            return 0;
        if (rendition_rates(a, &r) < 0)
            return 0;
        most.peak = r.peak > most.peak ? r.peak : most.peak;
        most.average = r.average > most.average ? r.average : most.average;
    }
    sum->peak += most.peak;
    sum->average += most.average;
    return 1;
}

/* So are those of the largest subtitles. */
static int add_texts(struct package *p, struct rates *sum)
{
    struct rates most = { 0 };
    for (size_t i = 0; i < p->n_texts; i++) {
        struct rates r;
        if (text_rates(&p->texts[i], &r) < 0)
            return 0;
        most.peak = r.peak > most.peak ? r.peak : most.peak;
        most.average = r.average > most.average ? r.average : most.average;
    }
    sum->peak += most.peak;
    sum->average += most.average;
    return 1;
}

static void check_entry(struct package *p, const struct m3u8_entry *e)
{
    char path[PATH_LEN_MAX];
    struct rates r;
    if (e->what == M3U8_MEDIA || !e->uri || path_join("", e->uri, path) < 0)
        return;
    const struct rendition *v = package_by_playlist(p, path);
    const char *group = m3u8_attr(e, "AUDIO");
    if (!v || !v->whole)
        return;
    if ((e->what == M3U8_IFRAMES ? iframe_rates(v, &r) : rendition_rates(v, &r)) < 0)
        return;
    if (v->kind == KIND_AUDIO && group) /* it is one of them */
        r = (struct rates){ 0 };
    if (e->what == M3U8_VARIANT && group && !add_group(p, group, &r))
        return;
    if (e->what == M3U8_VARIANT && m3u8_attr(e, "SUBTITLES") && !add_texts(p, &r))
        return;
    compare(p, e, path, &r);
}

void check_bandwidth(struct package *p)
{
    for (size_t i = 0; p->master && i < p->master->n_entries; i++)
        check_entry(p, &p->master->entries[i]);
}
