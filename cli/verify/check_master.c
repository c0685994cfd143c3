/* hls.master, init.codec, init.picture: the master playlist against what the
 * init segments say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "codec.h"
#include "common/base/err.h"

static const char *attr_or(const struct m3u8_entry *e, const char *name, const char *otherwise)
{
    const char *v = m3u8_attr(e, name);
    return v ? v : otherwise;
}

/* Whether `list` ("a,b") names this track; *list_n is how many it names. */
static int codecs_name(const char *list, const struct rendition *r, size_t *list_n)
{
    int found = 0;
    *list_n = 0;
    while (*list) {
        char one[CODEC_STRING_MAX];
        size_t n = strcspn(list, ",");
        if (n < sizeof(one)) {
            memcpy(one, list, n);
            one[n] = '\0';
            found |= codec_string_matches(&r->init, one);
        }
        (*list_n)++;
        list += n + (list[n] == ',');
    }
    return found;
}

static void check_codecs(struct package *p, const struct m3u8_entry *e, const struct rendition *v,
                         const struct rendition *a)
{
    const char *list = m3u8_attr(e, "CODECS");
    const struct rendition *both[] = { v, a };
    size_t n = 0, want = 0;
    report_ran(p->report, CHECK_INIT_CODEC);
    for (size_t i = 0; i < 2; i++) {
        char text[CODEC_STRING_MAX] = "?";
        if (!both[i] || !both[i]->has_init)
            continue;
        want++;
        (void)codec_string(&both[i]->init, text, NULL);
        if (!list || !codecs_name(list, both[i], &n))
            report_fail(p->report, CHECK_INIT_CODEC,
                        "master.m3u8:%u: CODECS is \"%s\", but %s is %s", e->line,
                        list ? list : "(missing)", both[i]->folder, text);
    }
    if (list && want && n != want)
        report_fail(p->report, CHECK_INIT_CODEC, "master.m3u8:%u: CODECS \"%s\" names %zu, not %zu",
                    e->line, list, n, want);
}

static double display_width(const struct bmff_init *i)
{
    return i->pasp_h && i->pasp_v ? (double)i->width * i->pasp_h / i->pasp_v : i->width;
}

static void check_resolution(struct package *p, const struct m3u8_entry *e,
                             const struct rendition *r)
{
    unsigned w = 0, h = 0;
    int used = 0;
    const char *text = attr_or(e, "RESOLUTION", "");
    if (sscanf(text, "%6ux%6u%n", &w, &h, &used) != 2 || text[used] || h != r->init.height ||
        (w != r->init.width && fabs(w - display_width(&r->init)) > 1))
        report_fail(p->report, CHECK_INIT_PICTURE,
                    "master.m3u8:%u: RESOLUTION=%s, but %s is %ux%u, shown %.0f wide", e->line,
                    text, r->folder, r->init.width, r->init.height, display_width(&r->init));
}

static const char *range_name(const struct bmff_init *i)
{
    if (!i->has_colr)
        return "SDR";
    return i->transfer == 16 ? "PQ" : i->transfer == 18 ? "HLG" : "SDR";
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void frame_rates(const struct rendition *r, double *ret_common, double *ret_average, int *ret_even)
{
    size_t n = r->n_frames > 1 ? r->n_frames - 1 : 0, even = 0;
    int64_t *d = calloc(n + 1, sizeof(*d));
    *ret_common = *ret_average = 0;
    *ret_even = 0;
    if (!n || !d) {
        free(d);
        return;
    }
    for (size_t i = 0; i < n; i++)
        d[i] = r->shown[i + 1] - r->shown[i];
    qsort(d, n, sizeof(*d), by_value);
    int64_t median = d[n / 2] > 0 ? d[n / 2] : 1, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (llabs(d[i] - median) <= 1) {
            even++;
            sum += d[i]; /* 29.97 in ms is 33 33 34: the mean of those is the rate */
        }
    *ret_common = (double)even * r->init.timescale / (double)sum;
    *ret_average = (double)n * r->init.timescale / (double)(r->shown[n] - r->shown[0]);
    *ret_even = even * 100 >= n * 98;
    free(d);
}

static void check_rate(struct package *p, const struct m3u8_entry *e, const struct rendition *r)
{
    const char *text = m3u8_attr(e, "FRAME-RATE");
    struct m3u8_decimal d = text ? m3u8_decimal_parse(text, strlen(text))
                                 : (struct m3u8_decimal){ 0 };
    double common, average;
    int even;
    frame_rates(r, &common, &average, &even);
    if (!r->whole || r->n_frames < 3)
        return;
    double rate = d.den ? (double)d.num / (double)d.den : 0;
    if (even ? fabs(rate - common) > common * 0.005 && fabs(rate - average) > average * 0.005
             : rate < average * 0.9)
        report_fail(p->report, CHECK_HLS_MASTER,
                    "master.m3u8:%u: FRAME-RATE=%s, but %s has %.3f frames/s (%.3f on average)",
                    e->line, text ? text : "(missing)", r->folder, common, average);
}

static void check_range(struct package *p, const struct m3u8_entry *e, const struct rendition *r)
{
    const char *range = attr_or(e, "VIDEO-RANGE", "SDR");
    if (r->has_init && strcmp(range, range_name(&r->init)))
        report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8:%u: VIDEO-RANGE=%s, but %s is %s",
                    e->line, range, r->folder, range_name(&r->init));
}

static struct rendition *rendition_of(struct package *p, const struct m3u8_entry *e)
{
    char path[PATH_LEN_MAX];
    if (!e->uri || path_join("", e->uri, path) < 0)
        return NULL;
    return package_by_playlist(p, path);
}

/* The first rendition of an audio group, or NULL. */
static struct rendition *group_of(struct package *p, const char *group)
{
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *e = &p->master->entries[i];
        if (e->what == M3U8_MEDIA && !strcmp(attr_or(e, "TYPE", ""), "AUDIO") &&
            !strcmp(attr_or(e, "GROUP-ID", ""), group))
            return rendition_of(p, e);
    }
    return NULL;
}

static int has_audio(const struct package *p)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (p->renditions[i].kind == KIND_AUDIO)
            return 1;
    return 0;
}

static void check_variant(struct package *p, const struct m3u8_entry *e)
{
    struct rendition *r = rendition_of(p, e), *a = NULL;
    const char *group = m3u8_attr(e, "AUDIO");
    if (!m3u8_attr(e, "BANDWIDTH") || !m3u8_attr(e, "AVERAGE-BANDWIDTH"))
        report_fail(p->report, CHECK_HLS_BANDWIDTH,
                    "master.m3u8:%u: no BANDWIDTH or no AVERAGE-BANDWIDTH", e->line);
    if (group && !(a = group_of(p, group)))
        report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8:%u: there is no audio group \"%s\"",
                    e->line, group);
    if (!r || !r->has_init)
        return;
    /* A variant of sound alone is one of its own group. */
    check_codecs(p, e, r, r->kind == KIND_AUDIO ? NULL : a);
    if (r->kind == KIND_AUDIO)
        return;
    if (!group && e->what == M3U8_VARIANT && has_audio(p))
        report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8:%u: %s has no AUDIO group", e->line,
                    r->folder);
    check_resolution(p, e, r);
    check_range(p, e, r);
    if (e->what == M3U8_VARIANT)
        check_rate(p, e, r);
}

static void check_media_entry(struct package *p, const struct m3u8_entry *e)
{
    static const char *const needed[] = { "TYPE", "GROUP-ID", "NAME", "URI" };
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!m3u8_attr(e, needed[i]))
            report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8:%u: EXT-X-MEDIA without %s",
                        e->line, needed[i]);
    const struct rendition *r = rendition_of(p, e);
    const char *channels = m3u8_attr(e, "CHANNELS");
    if (r && r->has_init && r->kind != KIND_AUDIO)
        report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8:%u: %s is no audio", e->line,
                    r->folder);
    if (r && r->has_init && channels && codec_channels(&r->init) &&
        strtoul(channels, NULL, 10) != codec_channels(&r->init))
        report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8:%u: CHANNELS=\"%s\", but %s has %u",
                    e->line, channels, r->folder, codec_channels(&r->init));
}

static unsigned bit_depth(const struct bmff_init *i)
{
    switch (codec_of(i)) {
    case CODEC_HEVC:
        return i->config_len > 17 ? (i->config[17] & 7u) + 8 : 0;
    case CODEC_AV1:
        return i->config_len > 2 ? (i->config[2] & 0x40 ? 10 : 8) : 0;
    case CODEC_H264:
        return i->config_len > 1 && i->config[1] == 110 ? 10 : 8;
    default:
        return 0;
    }
}

static void check_color(struct package *p, const struct rendition *r)
{
    const struct bmff_init *i = &r->init;
    int hdr = i->transfer == 16 || i->transfer == 18;
    if (!i->has_colr)
        return;
    if (!i->primaries || i->primaries == 3 || i->primaries > 22 || !i->transfer ||
        i->transfer == 3 || i->transfer > 18 || !i->matrix || i->matrix == 3 || i->matrix > 14)
        report_fail(p->report, CHECK_INIT_PICTURE,
                    "%s: colr %d/%d/%d isn't a triple of YUV code points", r->init_path,
                    i->primaries, i->transfer, i->matrix);
    if (hdr && bit_depth(i) < 10)
        report_fail(p->report, CHECK_INIT_PICTURE, "%s: tagged %s with %u bits a sample",
                    r->init_path, range_name(i), bit_depth(i));
    /* BT.2100 has one set of primaries; sources that say otherwise are passed on as they are. */
    if (hdr && i->primaries != 9)
        report_warn(p->report, CHECK_INIT_PICTURE,
                    "%s: tagged %s with primaries %d, where BT.2100 has 9", r->init_path,
                    range_name(i), i->primaries);
}

static void check_picture(struct package *p, const struct rendition *r)
{
    const struct bmff_init *i = &r->init;
    double aspect = i->pasp_v ? (double)i->pasp_h / i->pasp_v : 1;
    report_ran(p->report, CHECK_INIT_PICTURE);
    if (!i->width || !i->height || i->width % 2 || i->height % 2)
        report_fail(p->report, CHECK_INIT_PICTURE, "%s: %ux%u isn't even", r->init_path, i->width,
                    i->height);
    if (!i->pasp_h != !i->pasp_v || aspect < 0.1 || aspect > 10)
        report_fail(p->report, CHECK_INIT_PICTURE, "%s: pixel aspect %u:%u", r->init_path,
                    i->pasp_h, i->pasp_v);
    if (fabs(i->tkhd_width / 65536.0 - display_width(i)) > 1.5 && i->tkhd_width >> 16 != i->width)
        report_fail(p->report, CHECK_INIT_PICTURE, "%s: tkhd is %.2f wide, the picture %.2f",
                    r->init_path, i->tkhd_width / 65536.0, display_width(i));
    check_color(p, r);
}

static void check_tracks(struct package *p)
{
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        char text[CODEC_STRING_MAX];
        struct err err = { 0 };
        if (!r->has_init)
            continue;
        if (codec_string(&r->init, text, &err) < 0)
            report_fail(p->report, CHECK_INIT_CODEC, "%s: %s", r->init_path, err.text);
        else
            report_pass(p->report, CHECK_INIT_CODEC, "%s %s", r->folder, text);
        if (r->init.entry == FOURCC('h', 'e', 'v', '1') ||
            r->init.entry == FOURCC('a', 'v', 'c', '3'))
            report_fail(p->report, CHECK_INIT_CODEC, "%s: sample entry %s: parameter sets in band",
                        r->init_path, fourcc_text(r->init.entry, text));
        if (r->kind == KIND_VIDEO)
            check_picture(p, r);
    }
}

void check_master(struct package *p)
{
    check_tracks(p);
    if (!p->master)
        return;
    size_t variants = 0;
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *e = &p->master->entries[i];
        variants += e->what == M3U8_VARIANT;
        if (e->what == M3U8_MEDIA && !strcmp(attr_or(e, "TYPE", ""), "SUBTITLES"))
            continue; /* check_texts() */
        if (e->what == M3U8_MEDIA)
            check_media_entry(p, e);
        else
            check_variant(p, e);
    }
    if (!variants)
        report_fail(p->report, CHECK_HLS_MASTER, "master.m3u8: no EXT-X-STREAM-INF");
    report_pass(p->report, CHECK_HLS_MASTER, "%zu variants of %zu renditions", variants,
                p->n_renditions);
}
