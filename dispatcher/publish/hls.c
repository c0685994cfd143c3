#include "hls.h"

#include <inttypes.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixfmt.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "hls_text.h"
#include "text.h"
#include "track.h"

enum {
    HLS_VERSION = 7,
    FIRST_SEQUENCE = 1,
    DEFAULT_VARIANT_BPS = 2000000,
};

static void put_header(FILE *f)
{
    fprintf(f, "#EXTM3U\n#EXT-X-VERSION:%d\n", HLS_VERSION);
}

static void put_resolution(FILE *f, const struct rendition *r)
{
    AVRational sar = r->sar;
    int64_t width = sar.num > 0 && sar.den > 0 ? av_rescale(r->width, sar.num, sar.den) : r->width;
    fprintf(f, ",RESOLUTION=%" PRId64 "x%d", width, r->height);
}

/* Three decimals, to the nearest. */
static void put_frame_rate(FILE *f, const struct package *p, const struct package_rendition *v)
{
    const struct video_info *source = &p->plan->info.video;
    AVRational rate = v->rendition->rate, average = package_average_rate(v);

    /* One picture has no rate; how often it is repeated has. */
    if (rate.num <= 0 || rate.den <= 0 ||
        (source->vfr && (source->frames == 1 || av_cmp_q(average, rate) > 0)))
        rate = average;
    int64_t milli = ((int64_t)rate.num * 2000 + rate.den) / ((int64_t)rate.den * 2);
    fprintf(f, ",FRAME-RATE=%" PRId64 ".%03" PRId64, milli / 1000, milli % 1000);
}

static const char *video_range(const struct rendition *r)
{
    switch (r->color.transfer) {
    case AVCOL_TRC_SMPTE2084:
        return "PQ";
    case AVCOL_TRC_ARIB_STD_B67:
        return "HLG";
    default:
        return "SDR";
    }
}

/* One track of a group. */
static void put_track(FILE *f, const struct package *p, const struct package_rendition *a)
{
    const struct rendition *r = a->rendition;
    struct track_label t;

    track_label(p->plan, r->track, &t);
    fprintf(f, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"%s\",NAME=\"%s\"", rendition_rung(r), t.name);
    if (t.language[0])
        fprintf(f, ",LANGUAGE=\"%s\"", t.language);
    fprintf(f, ",DEFAULT=%s,AUTOSELECT=%s", t.is_default ? "YES" : "NO",
            t.autoselect ? "YES" : "NO");
    if (t.describes)
        fputs(",CHARACTERISTICS=\"public.accessibility.describes-video\"", f);
    fprintf(f, ",CHANNELS=\"%d\",URI=\"%saudio/%s/index.m3u8\"\n", r->channels, p->folder, r->name);
}

static void put_group(FILE *f, const struct package *p, const struct package_rendition *first)
{
    for (size_t i = p->n_video; i < p->n_renditions; i++)
        if (track_same_group(first, &p->renditions[i]))
            put_track(f, p, &p->renditions[i]);
}

/* A player may choose any track of the group: the largest rates count. */
static struct package_rate group_rate(const struct package *p,
                                      const struct package_rendition *first)
{
    struct package_rate most = { 0 };

    for (size_t i = p->n_video; first && i < p->n_renditions; i++) {
        const struct package_rate *is = &p->renditions[i].rate;
        if (!track_same_group(first, &p->renditions[i]))
            continue;
        most.peak = is->peak > most.peak ? is->peak : most.peak;
        most.average = is->average > most.average ? is->average : most.average;
    }
    return most;
}

static void put_rates(FILE *f, int64_t peak, int64_t average)
{
    fprintf(f, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64, peak, average);
}

/* With the group that `a` is the first of. All of a group have one codec. */
static void put_variant(FILE *f, const struct package *p, const struct package_rendition *v,
                        const struct package_rendition *a)
{
    struct package_rate sound = group_rate(p, a), text = hls_text_rate(p);

    put_rates(f, v->rate.peak + sound.peak + text.peak,
              v->rate.average + sound.average + text.average);
    fprintf(f, ",CODECS=\"%s%s%s\"", v->head->codecs, a ? "," : "", a ? a->head->codecs : "");
    put_resolution(f, v->rendition);
    put_frame_rate(f, p, v);
    fprintf(f, ",VIDEO-RANGE=%s", video_range(v->rendition));
    if (a)
        fprintf(f, ",AUDIO=\"%s\"", rendition_rung(a->rendition));
    if (hls_has_text(p))
        fputs(",SUBTITLES=\"" HLS_TEXT_GROUP "\"", f);
    fprintf(f, ",CLOSED-CAPTIONS=NONE\n%svideo/%s/index.m3u8\n", p->folder, v->rendition->name);
}

static void put_iframe_variant(FILE *f, const struct package *p, const struct package_rendition *v)
{
    fprintf(f,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%" PRId64 ",AVERAGE-BANDWIDTH=%" PRId64
            ",CODECS=\"%s\"",
            v->iframes.peak, v->iframes.average, v->head->codecs);
    put_resolution(f, v->rendition);
    fprintf(f, ",VIDEO-RANGE=%s,URI=\"%svideo/%s/iframe.m3u8\"\n", video_range(v->rendition),
            p->folder, v->rendition->name);
}

static void put_images(FILE *f, const struct package *p, const struct package_rendition *s)
{
    fprintf(f,
            "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=%" PRId64
            ",RESOLUTION=%dx%d,CODECS=\"jpeg\",URI=\"%sstoryboard/index.m3u8\"\n",
            s->rate.peak, s->rendition->width, s->rendition->height, p->folder);
}

/* A group of sound alone. One of several tracks names all of them; its own
 * playlist is the default one's, as players expect it. */
static void put_audio_variant(FILE *f, const struct package *p, const struct package_rendition *a)
{
    struct package_rate rate = group_rate(p, a);
    int several = plan_tracks(p->plan) > 1;

    if (several)
        put_group(f, p, a);
    put_rates(f, rate.peak, rate.average);
    fprintf(f, ",CODECS=\"%s\"", a->head->codecs);
    if (several)
        fprintf(f, ",AUDIO=\"%s\"", rendition_rung(a->rendition));
    fprintf(f, "\n%saudio/%s/index.m3u8\n", p->folder, a->rendition->name);
}

/* Lower is played by more. */
static int codec_rank(const struct package_rendition *v)
{
    static const char *const known[] = { "h264", "hevc", "av1" };
    int n = sizeof(known) / sizeof(known[0]);

    for (int i = 0; i < n; i++)
        if (strcmp(v->rendition->codec, known[i]) == 0)
            return strcmp(video_range(v->rendition), "SDR") == 0 ? i : i + n;
    return 2 * n;
}

static int64_t off_default(const struct package_rendition *v)
{
    int64_t d = v->rate.average - DEFAULT_VARIANT_BPS;
    return d < 0 ? -d : d;
}

static size_t default_variant(const struct package *p)
{
    size_t best = 0;
    for (size_t i = 1; i < p->n_video; i++) {
        const struct package_rendition *b = &p->renditions[best], *v = &p->renditions[i];
        int rank = codec_rank(v) - codec_rank(b);
        if (rank < 0 || (rank == 0 && off_default(v) < off_default(b)))
            best = i;
    }
    return best;
}

static const struct package_rendition *next_group(const struct package *p, size_t *at)
{
    while (*at < p->n_renditions && !track_leads(p, *at))
        ++*at;
    return *at < p->n_renditions ? &p->renditions[(*at)++] : NULL;
}

static void put_variants(FILE *f, const struct package *p)
{
    size_t first = default_variant(p), at = p->n_video;
    const struct package_rendition *group = next_group(p, &at);
    int is_first = 1;

    put_variant(f, p, &p->renditions[first], group);
    for (; group || is_first; group = next_group(p, &at), is_first = 0)
        for (size_t v = 0; v < p->n_video; v++)
            if (!is_first || v != first)
                put_variant(f, p, &p->renditions[v], group);
}

static void put_sound(FILE *f, const struct package *p)
{
    for (size_t i = p->n_video; i < p->n_renditions; i++) {
        if (!track_leads(p, i))
            continue;
        if (p->n_video)
            put_group(f, p, &p->renditions[i]);
        else
            put_audio_variant(f, p, &p->renditions[i]);
    }
}

int hls_master(const struct package *p, char **ret, size_t *ret_len, struct err *err)
{
    _cleanup_(text_releasep) struct text t = { 0 };
    int r = text_open(&t, err);
    if (r < 0)
        return r;

    put_header(t.f);
    fputs("#EXT-X-INDEPENDENT-SEGMENTS\n", t.f);
    if (p->growing) /* else players start at what was encoded last */
        fputs(HLS_START_LINE, t.f);
    put_sound(t.f, p);
    if (p->n_video) {
        hls_put_text_group(t.f, p);
        put_variants(t.f, p);
    }
    for (size_t i = 0; i < p->n_video; i++)
        put_iframe_variant(t.f, p, &p->renditions[i]);
    for (size_t i = 0; i < p->n_extras; i++)
        if (p->extras[i].rendition->kind == MEDIA_STORYBOARD)
            put_images(t.f, p, &p->extras[i]);
    return text_close(&t, ret, ret_len, err);
}

/* Text stands alone: it has no init segment. */
static void put_media_header(FILE *f, const struct package *p, unsigned target_s, int iframes,
                             int text)
{
    put_header(f);
    fprintf(f, "#EXT-X-TARGETDURATION:%u\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-PLAYLIST-TYPE:%s\n",
            target_s, FIRST_SEQUENCE, p->growing ? "EVENT" : "VOD");
    fputs("#EXT-X-INDEPENDENT-SEGMENTS\n", f);
    if (iframes)
        fputs("#EXT-X-I-FRAMES-ONLY\n", f);
    if (!text)
        fputs("#EXT-X-MAP:URI=\"init.mp4\"\n", f);
}

static void put_extinf(FILE *f, int64_t start, int64_t end, uint32_t timescale)
{
    fputs("#EXTINF:", f);
    put_seconds(f, ticks_to_us(end, timescale) - ticks_to_us(start, timescale));
    fputs(",\n", f);
}

static void put_end(FILE *f, const struct package *p)
{
    if (!p->growing)
        fputs("#EXT-X-ENDLIST\n", f);
}

/* Playlists lie beside their segments. */
static const char *file_of(const struct segment *s)
{
    const char *slash = strrchr(s->key, '/');
    return slash ? slash + 1 : s->key;
}

int hls_media(const struct package *p, const struct package_rendition *r, char **ret,
              size_t *ret_len, struct err *err)
{
    _cleanup_(text_releasep) struct text t = { 0 };
    int res = text_open(&t, err);
    if (res < 0)
        return res;

    put_media_header(t.f, p, p->target_s, 0, r->rendition->kind == MEDIA_TEXT);
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct span s = package_samples(r, i);
        put_extinf(t.f, s.start, s.end, r->timescale);
        fprintf(t.f, "%s\n", file_of(r->segments[i].seg));
    }
    put_end(t.f, p);
    return text_close(&t, ret, ret_len, err);
}

int hls_images(const struct package *p, const struct package_rendition *r, char **ret,
               size_t *ret_len, struct err *err)
{
    _cleanup_(text_releasep) struct text t = { 0 };
    const struct rendition *q = r->rendition;
    const struct package_segment *first = &r->segments[0];
    const struct span s = { first->start, first->end, 0 };
    int res = text_open(&t, err);
    if (res < 0)
        return res;

    put_header(t.f);
    fprintf(t.f,
            "#EXT-X-TARGETDURATION:%u\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n"
            "#EXT-X-IMAGES-ONLY\n",
            span_target_s(&s, 1, r->timescale), FIRST_SEQUENCE);
    for (size_t i = 0; i < r->n_segments; i++) {
        put_extinf(t.f, r->segments[i].start, r->segments[i].end, r->timescale);
        fprintf(t.f, "#EXT-X-TILES:RESOLUTION=%dx%d,LAYOUT=%dx%d,DURATION=", q->width, q->height,
                q->columns, q->rows);
        put_seconds(t.f, q->every_ms * 1000);
        fprintf(t.f, "\n%s\n", file_of(r->segments[i].seg));
    }
    put_end(t.f, p);
    return text_close(&t, ret, ret_len, err);
}

int hls_iframes(const struct package *p, const struct package_rendition *r, char **ret,
                size_t *ret_len, struct err *err)
{
    _cleanup_(text_releasep) struct text t = { 0 };
    int res = text_open(&t, err);
    if (res < 0)
        return res;

    put_media_header(t.f, p, r->iframes.target_s, 1, 0);
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct segment *s = r->segments[i].seg;
        for (size_t k = 0; k < s->n_gops; k++) {
            const struct gop_range *g = &s->gops[k];
            put_extinf(t.f, g->start, g->start + g->duration, r->timescale);
            fprintf(t.f, "#EXT-X-BYTERANGE:%" PRIu64 "@%" PRIu64 "\n%s\n", g->size_bytes, g->offset,
                    file_of(s));
        }
    }
    put_end(t.f, p);
    return text_close(&t, ret, ret_len, err);
}
