/* dash.*: the MPD, and that it says what the playlists say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "codec.h"

/* dash.js rounds the end of a period to 10 µs, and where the element comes that near to it before
 * it has ended, it never does. */
#define ENDS_BEHIND_S 0.00001

static double longest_end(const struct package *p)
{
    double end = 0;
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        if (r->whole)
            end = fmax(end, seconds(r->segments[r->n_segments - 1].until, r->init.timescale));
    }
    return end;
}

static void check_mpd(struct package *p)
{
    const struct mpd *m = p->mpd;
    double end = longest_end(p);
    report_pass(p->report, CHECK_DASH_MPD, "%u adaptation sets, %zu representations, %.6f s",
                m->n_sets, m->n_reps, m->duration_s);
    if (!m->type || strcmp(m->type, "static"))
        report_fail(p->report, CHECK_DASH_MPD, "manifest.mpd: @type is %s, expected static",
                    m->type ? m->type : "missing");
    if (!m->profiles || !strstr(m->profiles, "urn:mpeg:dash:profile:"))
        report_fail(p->report, CHECK_DASH_MPD, "manifest.mpd: @profiles names no DASH profile");
    if (m->n_periods != 1)
        report_fail(p->report, CHECK_DASH_MPD, "manifest.mpd: %u periods, expected one",
                    m->n_periods);
    if (m->min_buffer_s <= 0)
        report_fail(p->report, CHECK_DASH_MPD, "manifest.mpd: no @minBufferTime");
    if (end > 0 && (m->duration_s < end + ENDS_BEHIND_S - 1e-6 || m->duration_s > end + 0.001))
        report_fail(
            p->report, CHECK_DASH_MPD,
            "manifest.mpd: @mediaPresentationDuration is %.6f s, the segments end at %.6f s; "
            "it has to be from %.6f to 0.001 s more",
            m->duration_s, end, ENDS_BEHIND_S);
}

/* ISO/IEC 23009-1, 5.3.5.2: a channel of @bandwidth never lets a client wait
 * that has buffered @minBufferTime, wherever it starts. */
static int suffices(const struct rendition *r, double bandwidth, double buffer_s)
{
    double sum = 0, least = 0, zero = seconds(r->segments[0].shown, r->init.timescale);
    for (size_t i = 0; i < r->n_segments; i++) {
        double t = seconds(r->segments[i].shown, r->init.timescale) - zero;
        double lead = sum - bandwidth * t;
        least = !i || lead < least ? lead : least;
        sum += 8.0 * (double)r->segments[i].size_bytes;
        if (sum - bandwidth * (t + buffer_s) > least + 64)
            return 0;
    }
    return 1;
}

static void check_bandwidth_of(struct package *p, const struct mpd_representation *m,
                               const struct rendition *r)
{
    struct rates rates;
    if (!r->whole || rendition_rates(r, &rates) < 0)
        return;
    double bandwidth = (double)m->bandwidth;
    if (!suffices(r, bandwidth + 1, p->mpd->min_buffer_s))
        report_fail(p->report, CHECK_DASH_REPRESENTATION,
                    "%s: @bandwidth %.0f starves a client that buffered %.3f s", m->id, bandwidth,
                    p->mpd->min_buffer_s);
    else if (bandwidth > 1.1 * fmax(rates.largest, rates.peak))
        report_fail(p->report, CHECK_DASH_REPRESENTATION,
                    "%s: @bandwidth %.0f, though no segment needs more than %.0f", m->id, bandwidth,
                    rates.largest);
}

static void check_video_of(struct package *p, const struct mpd_representation *m,
                           const struct rendition *r)
{
    double common, average;
    int even;
    if (m->width != r->init.width || m->height != r->init.height)
        report_fail(p->report, CHECK_DASH_REPRESENTATION, "%s: %lldx%lld, but the init says %ux%u",
                    m->id, (long long)m->width, (long long)m->height, r->init.width,
                    r->init.height);
    double rate = (double)m->frame_rate_num / (double)m->frame_rate_den;
    frame_rates(r, &common, &average, &even);
    /* To the end of the last picture, which may be held for long. */
    if (r->whole && r->n_segments > 0) {
        int64_t ticks = r->segments[r->n_segments - 1].end - r->segments[0].start;
        double whole = ticks > 0 ? (double)r->n_frames * r->init.timescale / (double)ticks : 0;
        if (fabs(rate - whole) < fabs(rate - average))
            average = whole;
    }
    if (r->whole && r->n_frames > 2 && rate > 0 && even && fabs(rate - common) > common * 0.005 &&
        fabs(rate - average) > average * (0.005 + 1.0 / (double)r->n_frames))
        report_fail(p->report, CHECK_DASH_REPRESENTATION,
                    "%s: @frameRate %lld/%lld, but it has %.3f frames/s", m->id,
                    (long long)m->frame_rate_num, (long long)m->frame_rate_den, common);
}

static void check_representation(struct package *p, const struct mpd_representation *m,
                                 const struct rendition *r)
{
    char text[CODEC_STRING_MAX] = "?";
    if (m->start_with_sap != 1 || !m->segment_alignment)
        report_fail(p->report, CHECK_DASH_REPRESENTATION,
                    "%s: startWithSAP=%lld segmentAlignment=%s, expected 1 and true", m->id,
                    (long long)m->start_with_sap, m->segment_alignment ? "true" : "not true");
    if (!r->has_init)
        return;
    (void)codec_string(&r->init, text, NULL);
    if (!m->codecs || !codec_string_matches(&r->init, m->codecs))
        report_fail(p->report, CHECK_DASH_REPRESENTATION, "%s: @codecs is %s, the init says %s",
                    m->id, m->codecs ? m->codecs : "(missing)", text);
    const char *mime = r->kind == KIND_VIDEO ? "video/mp4" : "audio/mp4";
    if (!m->mime || strcmp(m->mime, mime))
        report_fail(p->report, CHECK_DASH_REPRESENTATION, "%s: @mimeType is %s, expected %s", m->id,
                    m->mime ? m->mime : "(missing)", mime);
    check_bandwidth_of(p, m, r);
    if (r->kind == KIND_VIDEO)
        check_video_of(p, m, r);
}

static int same_ticks(uint64_t a, uint64_t ta, int64_t b, uint32_t tb)
{
    return (unsigned __int128)a * tb == (unsigned __int128)(uint64_t)b * ta;
}

static void check_timeline(struct package *p, const struct mpd_representation *m,
                           const struct rendition *r)
{
    if (!m->has_timeline || !m->timescale) {
        report_fail(p->report, CHECK_DASH_TIMELINE, "%s: no SegmentTemplate with SegmentTimeline",
                    m->id);
        return;
    }
    if (m->n_segments != r->n_segments)
        report_fail(p->report, CHECK_DASH_TIMELINE, "%s: %zu segments, %s has %zu", m->id,
                    m->n_segments, r->playlist, r->n_segments);
    for (size_t i = 0; i < m->n_segments && i < r->n_segments; i++) {
        const struct mpd_segment *x = &m->segments[i];
        const struct segment *s = &r->segments[i];
        if (strcmp(x->path, s->path))
            report_fail(p->report, CHECK_DASH_TIMELINE, "%s: segment %zu is %s, in HLS it is %s",
                        m->id, i + 1, x->path, s->path);
        if (s->readable &&
            (!same_ticks(x->t - m->pto, m->timescale, s->shown, r->init.timescale) ||
             !same_ticks(x->d, m->timescale, s->until - s->shown, r->init.timescale)))
            report_fail(p->report, CHECK_DASH_TIMELINE,
                        "%s: segment %zu: t=%llu d=%llu of 1/%llu s, but %s has t=%lld d=%lld of "
                        "1/%u s",
                        m->id, i + 1, (unsigned long long)x->t, (unsigned long long)x->d,
                        (unsigned long long)m->timescale, s->path, (long long)s->shown,
                        (long long)(s->until - s->shown), r->init.timescale);
    }
}

static const struct mpd_representation *of_rendition(struct package *p, const struct rendition *r)
{
    const struct mpd_representation *found = NULL;
    for (size_t i = 0; i < p->mpd->n_reps; i++) {
        const struct mpd_representation *m = &p->mpd->reps[i];
        if (!m->init || strcmp(m->init, r->init_path))
            continue;
        if (found)
            report_fail(p->report, CHECK_DASH_REPRESENTATION, "%s and %s are both %s", found->id,
                        m->id, r->init_path);
        found = m;
    }
    return found;
}

/* Text is a file, pictures are no renditions: check_texts(), check_pictures(). */
static int is_extra(const struct mpd_representation *m)
{
    return m->file || (m->mime && !strcmp(m->mime, "image/jpeg"));
}

void check_dash(struct package *p)
{
    if (!p->mpd)
        return;
    check_mpd(p);
    report_ran(p->report, CHECK_DASH_REPRESENTATION);
    report_ran(p->report, CHECK_DASH_TIMELINE);
    size_t n = 0;
    for (size_t i = 0; i < p->mpd->n_reps; i++)
        n += !is_extra(&p->mpd->reps[i]);
    if (n != p->n_renditions)
        report_fail(p->report, CHECK_DASH_REPRESENTATION,
                    "manifest.mpd has %zu representations, master.m3u8 names %zu renditions", n,
                    p->n_renditions);
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        const struct mpd_representation *m = r->media ? of_rendition(p, r) : NULL;
        if (!m && r->media)
            report_fail(p->report, CHECK_DASH_REPRESENTATION,
                        "manifest.mpd has no representation of %s", r->folder);
        if (!m)
            continue;
        check_representation(p, m, r);
        check_timeline(p, m, r);
    }
}
