#include "dash.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixfmt.h>
#include <libxml/xmlwriter.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "track.h"

DEFINE_CLEANUP(xmlTextWriterPtr, xmlFreeTextWriter);
DEFINE_CLEANUP(xmlBufferPtr, xmlBufferFree);

#define CICP "urn:mpeg:mpegB:cicp:"

/* A writer whose first failure sticks; the only one is a lack of memory. */
struct mpd {
    xmlTextWriterPtr w;
    int failed;
};

static void open_tag(struct mpd *m, const char *name)
{
    m->failed |= xmlTextWriterStartElement(m->w, BAD_CAST name) < 0;
}

static void close_tag(struct mpd *m)
{
    m->failed |= xmlTextWriterEndElement(m->w) < 0;
}

static void attr(struct mpd *m, const char *name, const char *value)
{
    m->failed |= xmlTextWriterWriteAttribute(m->w, BAD_CAST name, BAD_CAST value) < 0;
}

__attribute__((format(printf, 3, 4))) static void attrf(struct mpd *m, const char *name,
                                                        const char *fmt, ...)
{
    char value[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(value))
        m->failed = 1;
    else
        attr(m, name, value);
}

static void descriptor(struct mpd *m, const char *element, const char *scheme, const char *value)
{
    open_tag(m, element);
    attr(m, "schemeIdUri", scheme);
    attr(m, "value", value);
    close_tag(m);
}

/* Sets */

static int same_timeline(const struct package_rendition *a, const struct package_rendition *b)
{
    if (a->timescale != b->timescale || a->n_segments != b->n_segments)
        return 0;
    for (size_t i = 0; i < a->n_segments; i++)
        if (a->segments[i].start != b->segments[i].start ||
            a->segments[i].end != b->segments[i].end)
            return 0;
    return 1;
}

static int same_set(const struct package_rendition *a, const struct package_rendition *b)
{
    const struct rendition *x = a->rendition, *y = b->rendition;

    if (x->kind != y->kind || strcmp(x->codec, y->codec) != 0)
        return 0;
    if (x->kind == MEDIA_VIDEO &&
        (x->color.primaries != y->color.primaries || x->color.transfer != y->color.transfer ||
         x->color.matrix != y->color.matrix))
        return 0;
    if (x->kind == MEDIA_AUDIO &&
        (x->track != y->track || x->channels != y->channels || x->sample_rate != y->sample_rate ||
         strcmp(x->layout, y->layout) != 0))
        return 0;
    return same_timeline(a, b);
}

/* Whether rendition `i` is the first of its set. */
static int leads(const struct package *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_set(&p->renditions[k], &p->renditions[i]))
            return 0;
    return 1;
}

/* Video */

static void put_rate(struct mpd *m, const char *name, AVRational rate)
{
    if (rate.den == 1)
        attrf(m, name, "%d", rate.num);
    else
        attrf(m, name, "%d/%d", rate.num, rate.den);
}

/* ISO/IEC 23009-1, 5.3.7.2: the average where the rate varies. */
static AVRational frame_rate(const struct package *p, const struct package_rendition *r)
{
    AVRational rate = r->rendition->rate;
    return p->plan->info.video.vfr || rate.num <= 0 || rate.den <= 0 ? package_average_rate(r)
                                                                     : rate;
}

static AVRational sar_of(const struct rendition *r)
{
    return r->sar.num > 0 && r->sar.den > 0 ? r->sar : (AVRational){ 1, 1 };
}

static void video_set_attrs(struct mpd *m, const struct package *p,
                            const struct package_rendition *first)
{
    AVRational sar = sar_of(first->rendition), par, rate = { 0, 1 };
    int width = 0, height = 0;

    for (size_t i = 0; i < p->n_video; i++) {
        const struct rendition *r = p->renditions[i].rendition;
        if (!same_set(first, &p->renditions[i]))
            continue;
        width = r->width > width ? r->width : width;
        height = r->height > height ? r->height : height;
        AVRational own = frame_rate(p, &p->renditions[i]);
        if (av_cmp_q(own, rate) > 0)
            rate = own;
    }
    av_reduce(&par.num, &par.den, (int64_t)first->rendition->width * sar.num,
              (int64_t)first->rendition->height * sar.den, 65535);
    attrf(m, "par", "%d:%d", par.num, par.den);
    attrf(m, "maxWidth", "%d", width);
    attrf(m, "maxHeight", "%d", height);
    put_rate(m, "maxFrameRate", rate);
}

static void cicp(struct mpd *m, int essential, const char *scheme, int value)
{
    char text[16];

    if (value <= 0 || value == 2) /* reserved, unspecified */
        return;
    (void)snprintf(text, sizeof(text), "%d", value);
    descriptor(m, essential ? "EssentialProperty" : "SupplementalProperty", scheme, text);
}

static void color(struct mpd *m, const struct color_info *c)
{
    int hdr = color_is_hdr(c), pq = c->transfer == AVCOL_TRC_SMPTE2084;

    /* Essential ones come first: so wants the schema. */
    if (pq)
        cicp(m, 1, CICP "TransferCharacteristics", c->transfer);
    cicp(m, hdr, CICP "ColourPrimaries", c->primaries);
    cicp(m, hdr, CICP "MatrixCoefficients", c->matrix);
    if (!pq)
        cicp(m, 0, CICP "TransferCharacteristics", c->transfer);
}

/* Audio */

/* ChannelConfiguration of ISO/IEC 23091-3 for a layout of libavutil's. */
static const char *channel_configuration(const struct rendition *r)
{
    static const struct {
        const char *layout, *value;
    } known[] = {
        {"mono",        "1" },
        { "stereo",     "2" },
        { "3.0",        "3" },
        { "4.0",        "4" },
        { "5.0",        "5" },
        { "5.0(side)",  "5" },
        { "5.1",        "6" },
        { "5.1(side)",  "6" },
        { "7.1(wide)",  "7" },
        { "3.0(back)",  "9" },
        { "quad",       "10"},
        { "quad(side)", "10"},
        { "6.1(back)",  "11"},
        { "6.1",        "11"},
        { "7.1",        "12"},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].layout, r->layout) == 0)
            return known[i].value;
    return r->channels == 1 ? "1" : r->channels == 2 ? "2" : NULL;
}

/* Segments */

static void timeline(struct mpd *m, const struct package_rendition *r)
{
    open_tag(m, "SegmentTimeline");
    for (size_t i = 0; i < r->n_segments;) {
        int64_t duration = r->segments[i].end - r->segments[i].start;
        size_t same = i + 1;
        while (same < r->n_segments && r->segments[same].end - r->segments[same].start == duration)
            same++;

        open_tag(m, "S");
        if (i == 0)
            attrf(m, "t", "%" PRId64, r->segments[0].start);
        attrf(m, "d", "%" PRId64, duration);
        if (same - i > 1)
            attrf(m, "r", "%zu", same - i - 1);
        close_tag(m);
        i = same;
    }
    close_tag(m);
}

static void segment_template(struct mpd *m, const struct package *p,
                             const struct package_rendition *r)
{
    open_tag(m, "SegmentTemplate");
    attrf(m, "timescale", "%" PRIu32, r->timescale);
    attr(m, "startNumber", "1");
    attrf(m, "initialization", "%s%s/$RepresentationID$/init.mp4", p->folder, package_folder(r));
    attrf(m, "media", "%s%s/$RepresentationID$/seg-$Number%%05d$.m4s", p->folder,
          package_folder(r));
    timeline(m, r);
    close_tag(m);
}

static void representation(struct mpd *m, const struct package *p,
                           const struct package_rendition *pr)
{
    const struct rendition *r = pr->rendition;

    open_tag(m, "Representation");
    attr(m, "id", r->name);
    attr(m, "codecs", pr->head->codecs);
    attrf(m, "bandwidth", "%" PRId64, pr->bandwidth);
    if (r->kind == MEDIA_VIDEO) {
        AVRational sar = sar_of(r);
        attrf(m, "width", "%d", r->width);
        attrf(m, "height", "%d", r->height);
        attrf(m, "sar", "%d:%d", sar.num, sar.den);
        put_rate(m, "frameRate", frame_rate(p, pr));
    } else {
        attrf(m, "audioSamplingRate", "%d", r->sample_rate);
    }
    close_tag(m);
}

/* What it is called and for. In the order of the schema. */
static void purpose(struct mpd *m, const struct package *p, const struct package_rendition *first)
{
    struct track_label t = { .role = "main" };

    if (first->rendition->kind == MEDIA_AUDIO)
        track_label(p->plan, first->rendition->track, &t);
    if (t.title[0])
        m->failed |= xmlTextWriterWriteElement(m->w, BAD_CAST "Label", BAD_CAST t.title) < 0;
    if (t.describes) /* 1: for the visually impaired */
        descriptor(m, "Accessibility", "urn:tva:metadata:cs:AudioPurposeCS:2007", "1");
    descriptor(m, "Role", "urn:mpeg:dash:role:2011", t.role);
}

static void language(struct mpd *m, const struct package *p, const struct package_rendition *first)
{
    struct track_label t;

    track_label(p->plan, first->rendition->track, &t);
    if (t.language[0])
        attr(m, "lang", t.language);
}

static void adaptation_set(struct mpd *m, const struct package *p,
                           const struct package_rendition *first, unsigned id)
{
    int is_video = first->rendition->kind == MEDIA_VIDEO;

    open_tag(m, "AdaptationSet");
    attrf(m, "id", "%u", id);
    attr(m, "contentType", package_folder(first));
    attrf(m, "mimeType", "%s/mp4", package_folder(first));
    attr(m, "segmentAlignment", "true");
    attr(m, "startWithSAP", "1");
    if (is_video)
        video_set_attrs(m, p, first);
    else
        language(m, p, first);

    const char *channels = is_video ? NULL : channel_configuration(first->rendition);
    if (channels)
        descriptor(m, "AudioChannelConfiguration", CICP "ChannelConfiguration", channels);
    if (is_video)
        color(m, &first->rendition->color);
    purpose(m, p, first);
    segment_template(m, p, first);
    for (size_t i = 0; i < p->n_renditions; i++)
        if (same_set(first, &p->renditions[i]))
            representation(m, p, &p->renditions[i]);
    close_tag(m);
}

/* Text: one file, for that is what players read best; no segment template.
 * Nothing switches between two, so that each is a set of its own (DASH-IF IOP,
 * 3.9). */
static void text_set(struct mpd *m, const struct package *p, const struct package_rendition *pr,
                     int is_main, unsigned id)
{
    const struct text_info *t = &pr->rendition->text;
    char lang[LANGUAGE_TAG_MAX];

    open_tag(m, "AdaptationSet");
    attrf(m, "id", "%u", id);
    attr(m, "contentType", "text");
    attr(m, "mimeType", "text/vtt");
    if (language_tag(t->language, lang))
        attr(m, "lang", lang);
    if (t->title[0]) { /* where the schema wants it */
        open_tag(m, "Label");
        m->failed |= xmlTextWriterWriteString(m->w, BAD_CAST t->title) < 0;
        close_tag(m);
    }
    if (t->hearing_impaired) /* ETSI TS 103 285, table 4 */
        descriptor(m, "Accessibility", "urn:tva:metadata:cs:AudioPurposeCS:2007", "2");
    descriptor(m, "Role", "urn:mpeg:dash:role:2011",
               t->forced             ? "forced-subtitle"
               : t->hearing_impaired ? "caption"
                                     : "subtitle");
    if (is_main)
        descriptor(m, "Role", "urn:mpeg:dash:role:2011", "main");
    open_tag(m, "Representation");
    attr(m, "id", pr->rendition->name);
    attrf(m, "bandwidth", "%" PRId64, pr->bandwidth);
    open_tag(m, "BaseURL");
    m->failed |= xmlTextWriterWriteFormatString(m->w, "%s%s", p->folder, pr->head->init.key) < 0;
    close_tag(m);
    close_tag(m);
    close_tag(m);
}

static void image_set(struct mpd *m, const struct package *p, const struct package_rendition *pr,
                      unsigned id)
{
    const struct rendition *r = pr->rendition;

    open_tag(m, "AdaptationSet");
    attrf(m, "id", "%u", id);
    attr(m, "contentType", "image");
    attr(m, "mimeType", "image/jpeg");
    open_tag(m, "SegmentTemplate");
    attr(m, "timescale", "1000");
    attr(m, "startNumber", "1");
    attrf(m, "duration", "%" PRId64, (int64_t)r->columns * r->rows * r->every_ms);
    attrf(m, "media", "%sstoryboard/sheet-$Number%%05d$.jpg", p->folder);
    close_tag(m);
    open_tag(m, "Representation");
    attr(m, "id", r->name);
    attrf(m, "bandwidth", "%" PRId64, pr->bandwidth);
    attrf(m, "width", "%d", r->width * r->columns);
    attrf(m, "height", "%d", r->height * r->rows);
    char tiles[16];
    (void)snprintf(tiles, sizeof(tiles), "%dx%d", r->columns, r->rows);
    descriptor(m, "EssentialProperty", "http://dashif.org/guidelines/thumbnail_tile", tiles);
    close_tag(m);
    close_tag(m);
}

static void text_sets(struct mpd *m, const struct package *p, unsigned *id)
{
    int has_main = 0;

    for (size_t i = 0; i < p->n_extras; i++) {
        const struct rendition *r = p->extras[i].rendition;
        if (r->kind != MEDIA_TEXT)
            continue;
        text_set(m, p, &p->extras[i], r->text.is_default && !has_main, ++*id);
        has_main |= r->text.is_default;
    }
}

/* Where the last of all segments ends, µs. A codec's last packet may reach beyond the
 * sound. */
static int64_t longest_us(const struct package *p)
{
    int64_t us = ticks_to_us(p->plan->duration, p->plan->timescale);

    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct package_rendition *r = &p->renditions[i];
        if (r->n_segments > 0)
            us = FFMAX(us, ticks_to_us(r->segments[r->n_segments - 1].end, r->timescale));
    }
    return us;
}

/* dash.js rounds to this, and takes an element that is less than half of it before the end of
 * the period for ended: it pauses the element, or seeks it to where nothing is, and 'ended' never
 * comes. (StreamController, _startPlaybackEndedTimerInterval, in 5.2.) */
enum { END_STEP_US = 10 };

/* The presentation's end lies at least one step behind what can be buffered, so that elements
 * always end by themselves. Were it before that, they would be stopped there. */
static int64_t presentation_us(const struct package *p)
{
    return (longest_us(p) + 2 * END_STEP_US - 1) / END_STEP_US * END_STEP_US;
}

static void manifest(struct mpd *m, const struct package *p)
{
    int64_t us = presentation_us(p);
    unsigned id = 0;

    m->failed |= xmlTextWriterStartDocument(m->w, NULL, "UTF-8", NULL) < 0;
    open_tag(m, "MPD");
    attr(m, "xmlns", "urn:mpeg:dash:schema:mpd:2011");
    attr(m, "profiles", "urn:mpeg:dash:profile:isoff-live:2011");
    attr(m, "type", "static");
    attrf(m, "mediaPresentationDuration", "PT%" PRId64 ".%06" PRId64 "S", us / 1000000,
          us % 1000000);
    attrf(m, "minBufferTime", "PT%" PRId64 ".%03" PRId64 "S", p->min_buffer_ms / 1000,
          p->min_buffer_ms % 1000);
    open_tag(m, "Period");
    attr(m, "id", "0");
    attr(m, "start", "PT0S");
    for (size_t i = 0; i < p->n_renditions; i++)
        if (leads(p, i))
            adaptation_set(m, p, &p->renditions[i], ++id);
    text_sets(m, p, &id);
    for (size_t i = 0; i < p->n_extras; i++)
        if (p->extras[i].rendition->kind == MEDIA_STORYBOARD)
            image_set(m, p, &p->extras[i], ++id);
    m->failed |= xmlTextWriterEndDocument(m->w) < 0; /* closes what is open */
    m->failed |= xmlTextWriterFlush(m->w) < 0;
}

int dash_manifest(const struct package *p, char **ret, size_t *ret_len, struct err *err)
{
    _cleanup_(xmlBufferFreep) xmlBufferPtr buf = xmlBufferCreate();
    _cleanup_(xmlFreeTextWriterp) xmlTextWriterPtr w = buf ? xmlNewTextWriterMemory(buf, 0) : NULL;
    struct mpd m = { .w = w, .failed = !w };

    if (w) {
        m.failed |= xmlTextWriterSetIndent(w, 1) < 0;
        m.failed |= xmlTextWriterSetIndentString(w, BAD_CAST "  ") < 0;
        manifest(&m, p);
    }
    char *text = m.failed ? NULL : strdup((const char *)xmlBufferContent(buf));
    if (!text)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while writing the manifest");
    *ret = text;
    *ret_len = strlen(text);
    return 0;
}
