#include "mpd.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/xml_cleanup.h"

enum { REPS_MAX = 256, SEGMENTS_MAX = 1000000, PATH_BYTES_MAX = 1024 };

DEFINE_CLEANUP(struct mpd *, mpd_free);

void mpd_free(struct mpd *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_reps; i++) {
        struct mpd_representation *r = &m->reps[i];
        for (size_t k = 0; k < r->n_segments; k++)
            free(r->segments[k].path);
        free(r->segments);
        free(r->id);
        free(r->codecs);
        free(r->mime);
        free(r->content_type);
        free(r->sar);
        free(r->lang);
        free(r->role);
        free(r->label);
        free(r->init);
        free(r->file);
    }
    free(m->reps);
    free(m->type);
    free(m->profiles);
    free(m);
}

static int is(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && !strcmp((const char *)n->name, name);
}

static xmlNode *child(xmlNode *n, const char *name)
{
    for (xmlNode *c = n ? n->children : NULL; c; c = c->next)
        if (is(c, name))
            return c;
    return NULL;
}

/* A copy of the attribute, from the first of up to three nodes that has it. */
static char *attr(xmlNode *const nodes[3], const char *name)
{
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_(xml_freep) xmlChar *v = nodes[i] ? xmlGetProp(nodes[i], (const xmlChar *)name)
                                                   : NULL;
        if (v)
            return strdup((const char *)v);
    }
    return NULL;
}

static int64_t attr_int(xmlNode *const nodes[3], const char *name, int64_t otherwise)
{
    _cleanup_free_ char *v = attr(nodes, name);
    char *end;
    if (!v)
        return otherwise;
    errno = 0;
    long long n = strtoll(v, &end, 10);
    return errno || end == v || *end ? otherwise : n;
}

double mpd_duration(const char *s)
{
    double total = 0;
    int time = 0, any = 0;
    if (!s || *s++ != 'P')
        return -1;
    for (; *s; s++) {
        if (*s == 'T' && !time) {
            time = 1;
            continue;
        }
        char *end;
        if (!isdigit((unsigned char)*s))
            return -1;
        double v = strtod(s, &end);
        double unit = *end == 'D' && !time  ? 86400
                      : *end == 'H' && time ? 3600
                      : *end == 'M' && time ? 60
                      : *end == 'S' && time ? 1
                                            : -1;
        if (unit < 0)
            return -1;
        total += v * unit;
        any = 1;
        s = end;
    }
    return any ? total : -1;
}

/* $RepresentationID$, $Number%05d$, $Time$, $Bandwidth$, $$ (ISO/IEC 23009-1, 5.3.9.4.4). */
static char *fill_in(const char *tmpl, const struct mpd_representation *r, uint64_t number,
                     uint64_t time)
{
    char out[PATH_BYTES_MAX];
    size_t n = 0;
    while (*tmpl) {
        int k = 0;
        const char *end = *tmpl == '$' ? strchr(tmpl + 1, '$') : NULL;
        if (*tmpl != '$') {
            out[n] = *tmpl++;
            k = 1;
        } else if (!end) {
            return NULL;
        } else {
            size_t len = (size_t)(end - tmpl - 1), room = sizeof(out) - n;
            unsigned width = 1;
            const char *pct = memchr(tmpl + 1, '%', len);
            size_t name = pct ? (size_t)(pct - tmpl - 1) : len;
            if (pct && (sscanf(pct, "%%0%2ud$", &width) != 1 || width > 20))
                return NULL;
            if (!len)
                k = snprintf(out + n, room, "$");
            else if (name == 16 && !memcmp(tmpl + 1, "RepresentationID", 16))
                k = snprintf(out + n, room, "%s", r->id ? r->id : "");
            else if (name == 6 && !memcmp(tmpl + 1, "Number", 6))
                k = snprintf(out + n, room, "%0*llu", (int)width, (unsigned long long)number);
            else if (name == 4 && !memcmp(tmpl + 1, "Time", 4))
                k = snprintf(out + n, room, "%0*llu", (int)width, (unsigned long long)time);
            else if (name == 9 && !memcmp(tmpl + 1, "Bandwidth", 9))
                k = snprintf(out + n, room, "%0*lld", (int)width, (long long)r->bandwidth);
            else
                return NULL;
            tmpl = end + 1;
        }
        n += (size_t)k;
        if (n >= sizeof(out))
            return NULL;
    }
    out[n] = '\0';
    return strdup(out);
}

static char *with_base(xmlNode *rep, xmlNode *set, xmlNode *period, char *taken)
{
    xmlNode *levels[] = { rep, set, period, period->parent };
    _cleanup_free_ char *path = taken;
    for (unsigned i = 0; path && i < 4; i++) {
        xmlNode *base = child(levels[i], "BaseURL");
        _cleanup_(xml_freep) xmlChar *text = base ? xmlNodeGetContent(base) : NULL;
        char *joined = NULL;
        if (!text)
            continue;
        if (asprintf(&joined, "%s%s", (const char *)text, path) < 0)
            return NULL;
        free(path);
        path = joined;
    }
    return take_ptr(path);
}

struct expand {
    struct mpd_representation *r;
    xmlNode *rep, *set, *period;
    const char *media;
    uint64_t number;
    size_t room, *total; /* over all representations */
};

static int add_segment(struct expand *x, uint64_t t, uint64_t d, struct err *err)
{
    struct mpd_representation *r = x->r;
    if ((*x->total)++ == SEGMENTS_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "more than 1000000 segments in all");
    if (r->n_segments == x->room) {
        x->room = x->room ? x->room * 2 : 64;
        struct mpd_segment *grown = realloc(r->segments, x->room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        r->segments = grown;
    }
    char *path = with_base(x->rep, x->set, x->period, fill_in(x->media, r, x->number++, t));
    if (!path)
        return err_set(err, -EINVAL, ERR_INPUT, "representation %s: @media can't be filled in",
                       r->id);
    r->segments[r->n_segments++] = (struct mpd_segment){ .path = path, .t = t, .d = d };
    return 0;
}

static int expand_timeline(struct expand *x, xmlNode *timeline, struct err *err)
{
    uint64_t t = 0;
    for (xmlNode *s = timeline->children; s; s = s->next) {
        if (!is(s, "S"))
            continue;
        xmlNode *nodes[3] = { s };
        int64_t at = attr_int(nodes, "t", (int64_t)t), d = attr_int(nodes, "d", 0);
        int64_t repeat = attr_int(nodes, "r", 0);
        if (at < 0 || d <= 0 || at > INT64_MAX / 4 || d > UINT32_MAX || repeat < 0 ||
            repeat > SEGMENTS_MAX)
            return err_set(err, -EINVAL, ERR_INPUT,
                           "representation %s: line %ld: S t=%lld d=%lld r=%lld", x->r->id,
                           xmlGetLineNo(s), (long long)at, (long long)d, (long long)repeat);
        t = (uint64_t)at;
        for (int64_t i = 0; i <= repeat; i++, t += (uint64_t)d) {
            int r = add_segment(x, t, (uint64_t)d, err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int read_template(struct mpd_representation *r, xmlNode *rep, xmlNode *set, xmlNode *period,
                         size_t *total, struct err *err)
{
    xmlNode *const t[3] = { child(rep, "SegmentTemplate"), child(set, "SegmentTemplate"),
                            child(period, "SegmentTemplate") };
    _cleanup_free_ char *media = attr(t, "media");
    _cleanup_free_ char *init = attr(t, "initialization");
    r->timescale = (uint64_t)attr_int(t, "timescale", 1);
    r->pto = (uint64_t)attr_int(t, "presentationTimeOffset", 0);
    if (init)
        r->init = with_base(rep, set, period, fill_in(init, r, 0, 0));
    xmlNode *timeline = NULL;
    for (unsigned i = 0; i < 3 && !timeline; i++)
        timeline = child(t[i], "SegmentTimeline");
    if (!timeline || !media)
        return 0;
    r->has_timeline = 1;
    struct expand x = { .r = r,
                        .rep = rep,
                        .set = set,
                        .period = period,
                        .media = media,
                        .total = total,
                        .number = (uint64_t)attr_int(t, "startNumber", 1) };
    return expand_timeline(&x, timeline, err);
}

static void read_rate(struct mpd_representation *r, const char *text)
{
    long long num = 0, den = 1;
    if (text && sscanf(text, "%10lld/%10lld", &num, &den) >= 1 && num > 0 && den > 0) {
        r->frame_rate_num = num;
        r->frame_rate_den = den;
    }
}

#define ROLE_SCHEME    "urn:mpeg:dash:role:2011"
#define PURPOSE_SCHEME "urn:tva:metadata:cs:AudioPurposeCS:2007"

/* The value of the set's first descriptor of this name and scheme. */
static char *descriptor(xmlNode *set, const char *name, const char *scheme)
{
    for (xmlNode *c = set->children; c; c = c->next) {
        xmlNode *const n[3] = { c };
        _cleanup_free_ char *is_scheme = is(c, name) ? attr(n, "schemeIdUri") : NULL;
        if (is_scheme && !strcmp(is_scheme, scheme))
            return attr(n, "value");
    }
    return NULL;
}

static void read_purpose(struct mpd_representation *r, xmlNode *set)
{
    xmlNode *label = child(set, "Label");
    _cleanup_(xml_freep) xmlChar *text = label ? xmlNodeGetContent(label) : NULL;
    _cleanup_free_ char *purpose = descriptor(set, "Accessibility", PURPOSE_SCHEME);
    r->label = text ? strdup((const char *)text) : NULL;
    r->role = descriptor(set, "Role", ROLE_SCHEME);
    r->describes = purpose && !strcmp(purpose, "1");
}

static int read_representation(struct mpd *m, xmlNode *rep, xmlNode *set, xmlNode *period,
                               struct err *err)
{
    if (m->n_reps == REPS_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "more than 256 representations");
    struct mpd_representation *grown = realloc(m->reps, (m->n_reps + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    m->reps = grown;
    struct mpd_representation *r = &m->reps[m->n_reps++];
    xmlNode *const n[3] = { rep, set, NULL };
    _cleanup_free_ char *align = attr(n, "segmentAlignment");
    _cleanup_free_ char *rate = attr(n, "frameRate");
    *r = (struct mpd_representation){
        .id = attr((xmlNode *const[3]){ rep }, "id"),
        .codecs = attr(n, "codecs"),
        .mime = attr(n, "mimeType"),
        .content_type = attr(n, "contentType"),
        .sar = attr(n, "sar"),
        .lang = attr(n, "lang"),
        .bandwidth = attr_int(n, "bandwidth", -1),
        .width = attr_int(n, "width", -1),
        .height = attr_int(n, "height", -1),
        .start_with_sap = attr_int(n, "startWithSAP", -1),
        .audio_rate = attr_int(n, "audioSamplingRate", -1),
        .segment_alignment = align && (!strcmp(align, "true") || !strcmp(align, "1")),
        .frame_rate_den = 1,
        .set = m->n_sets - 1,
    };
    read_rate(r, rate);
    read_purpose(r, set);
    if (!r->id)
        return err_set(err, -EINVAL, ERR_INPUT, "line %ld: a Representation without @id",
                       xmlGetLineNo(rep));
    if (child(rep, "BaseURL") && !child(rep, "SegmentTemplate") && !child(set, "SegmentTemplate"))
        r->file = with_base(rep, set, period, strdup(""));
    return read_template(r, rep, set, period, &m->n_segments, err);
}

static int read_period(struct mpd *m, xmlNode *period, struct err *err)
{
    m->n_periods++;
    for (xmlNode *set = period->children; set; set = set->next) {
        if (!is(set, "AdaptationSet"))
            continue;
        m->n_sets++;
        for (xmlNode *rep = set->children; rep; rep = rep->next) {
            int r = is(rep, "Representation") ? read_representation(m, rep, set, period, err) : 0;
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static void quiet(void *ctx, const char *msg, ...)
{
    (void)ctx;
    (void)msg;
}

int mpd_parse(const char *text, size_t len, struct mpd **ret, struct err *err)
{
    if (len > INT_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "an MPD of %zu bytes", len);
    xmlSetGenericErrorFunc(NULL, quiet);
    _cleanup_(doc_freep) xmlDoc *doc = xmlReadMemory(
        text, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc) {
        const xmlError *e = xmlGetLastError();
        return err_set(err, -EINVAL, ERR_INPUT, "it is no XML: line %d", e ? e->line : 0);
    }
    xmlNode *root = xmlDocGetRootElement(doc);
    if (!root || !is(root, "MPD") || !root->ns ||
        strcmp((const char *)root->ns->href, "urn:mpeg:dash:schema:mpd:2011"))
        return err_set(err, -EINVAL, ERR_INPUT, "its root isn't an MPD of DASH's namespace");
    _cleanup_(mpd_freep) struct mpd *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    xmlNode *const n[3] = { root };
    _cleanup_free_ char *duration = attr(n, "mediaPresentationDuration");
    _cleanup_free_ char *buffer = attr(n, "minBufferTime");
    m->type = attr(n, "type");
    m->profiles = attr(n, "profiles");
    m->duration_s = mpd_duration(duration);
    m->min_buffer_s = mpd_duration(buffer);
    for (xmlNode *p = root->children; p; p = p->next) {
        int r = is(p, "Period") ? read_period(m, p, err) : 0;
        if (r < 0)
            return r;
    }
    *ret = take_ptr(m);
    return 0;
}
