/* Documents of TTML, read as a stream of nodes with a stack of what is open (W3C TTML 2, 12). */
#include <errno.h>
#include <libxml/xmlreader.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/xml_cleanup.h"
#include "said.h"

enum { DEPTH_MAX = 66, RUNS_MAX = 4096, HIDDEN_MAX = 64, TEXT_MAX = 1 << 16 };

struct level {
    double begin, end, next; /* next: where the next child of a sequence counts from */
    int in_sequence, skipped;
};

struct run {
    double begin, end;
    char *words;
};

struct document {
    xmlTextReader *x;
    struct level levels[DEPTH_MAX];
    int depth;     /* of levels */
    int paragraph; /* the level of the paragraph that is open; 0: none is */
    struct run *runs;
    size_t n_runs;
    xmlChar *hidden[HIDDEN_MAX]; /* styles that hide */
    size_t n_hidden;
    double rate, per_second, ticks; /* frames that a clock time's second has; a real one */
    int smpte, drops;
    int64_t zero, from, to;
    struct said *l;
};

static inline void reader_freep(xmlTextReader **x)
{
    if (*x)
        xmlFreeTextReader(*x);
}

/* Of whatever namespace; the caller's. */
static xmlChar *attribute(struct document *d, const char *name)
{
    xmlChar *v = NULL;
    while (!v && xmlTextReaderMoveToNextAttribute(d->x) == 1)
        if (!strcmp((const char *)xmlTextReaderConstLocalName(d->x), name))
            v = xmlTextReaderValue(d->x);
    (void)xmlTextReaderMoveToElement(d->x);
    return v;
}

/* 0: it isn't there. */
static double number(struct document *d, const char *name)
{
    _cleanup_(xml_freep) xmlChar *v = attribute(d, name);
    return v ? atof((const char *)v) : 0;
}

static int has(struct document *d, const char *name, const char *value)
{
    _cleanup_(xml_freep) xmlChar *v = attribute(d, name);
    return v && !strcmp((const char *)v, value);
}

static void read_rates(struct document *d)
{
    _cleanup_(xml_freep) xmlChar *multiplier = attribute(d, "frameRateMultiplier");
    double a = 1, b = 1, frames = number(d, "frameRate"), sub = number(d, "subFrameRate");
    d->rate = frames > 0 ? frames : 30;
    if (multiplier && sscanf((const char *)multiplier, "%lf%*[ :]%lf", &a, &b) < 2)
        a = b = 1;
    d->per_second = a > 0 && b > 0 ? d->rate * a / b : d->rate;
    d->ticks = number(d, "tickRate");
    if (d->ticks <= 0)
        d->ticks = frames > 0 ? d->per_second * (sub > 0 ? sub : 1) : 1;
    d->smpte = has(d, "timeBase", "smpte");
    d->drops = has(d, "dropMode", "dropNTSC") ? 2 : 0;
}

/* Seconds; negative: it can't be read. */
static double seconds_of(const struct document *d, const char *s)
{
    double h, m, sec, frames = 0, v;
    char unit[4] = "";
    int n = 0;
    if (sscanf(s, "%lf:%lf:%lf%n:%lf%n", &h, &m, &sec, &n, &frames, &n) >= 3) {
        if (s[n] && s[n] != '.')
            return -1;
        if (!d->smpte)
            return h * 3600 + m * 60 + sec + frames / d->per_second;
        double minutes = h * 60 + m;
        return ((minutes * 60 + sec) * d->rate + frames -
                d->drops * (minutes - floor(minutes / 10))) /
               d->per_second;
    }
    if (sscanf(s, "%lf%3[a-z]%n", &v, unit, &n) < 2 || s[n])
        return -1;
    return !strcmp(unit, "h")    ? v * 3600
           : !strcmp(unit, "m")  ? v * 60
           : !strcmp(unit, "s")  ? v
           : !strcmp(unit, "ms") ? v / 1000
           : !strcmp(unit, "f")  ? v / d->per_second
           : !strcmp(unit, "t")  ? v / d->ticks
                                 : -1;
}

static double time_attribute(struct document *d, const char *name, double otherwise)
{
    _cleanup_(xml_freep) xmlChar *v = attribute(d, name);
    return v ? seconds_of(d, (const char *)v) : otherwise;
}

static int hides(struct document *d)
{
    _cleanup_(xml_freep) xmlChar *style = attribute(d, "style");
    if (has(d, "display", "none") || has(d, "visibility", "hidden"))
        return 1;
    for (size_t i = 0; style && i < d->n_hidden; i++)
        if (!strcmp((const char *)style, (const char *)d->hidden[i]))
            return 1;
    return 0;
}

static void open_level(struct document *d)
{
    const struct level *up = &d->levels[d->depth];
    struct level *l = &d->levels[d->depth + 1];
    double begin = time_attribute(d, "begin", 0), end = time_attribute(d, "end", INFINITY),
           lasts = time_attribute(d, "dur", INFINITY);
    double zero = up->in_sequence ? up->next : up->begin;
    *l = (struct level){ .begin = zero + begin,
                         .in_sequence = has(d, "timeContainer", "seq"),
                         .skipped = up->skipped || begin < 0 || end < 0 || lasts < 0 || hides(d) };
    l->end = fmin(fmin(zero + end, l->begin + lasts), up->end);
    l->next = l->begin;
    d->depth++;
}

static int add_run(struct document *d, const char *words)
{
    const struct level *l = &d->levels[d->depth];
    if (l->skipped || l->end <= l->begin || d->n_runs == RUNS_MAX)
        return 0;
    struct run *r = &d->runs[d->n_runs];
    *r = (struct run){ l->begin, l->end, strdup(words) };
    d->n_runs += r->words != NULL;
    return r->words ? 0 : -ENOMEM;
}

/* The first time behind `at` at which a run begins or ends; INFINITY: there is none. */
static double change_after(const struct document *d, double at)
{
    double next = INFINITY;
    for (size_t i = 0; i < d->n_runs; i++) {
        if (d->runs[i].begin > at)
            next = fmin(next, d->runs[i].begin);
        if (d->runs[i].end > at)
            next = fmin(next, d->runs[i].end);
    }
    return next;
}

static int64_t to_ms(double s)
{
    return isinf(s) ? INT64_MAX : llround(s * 1000);
}

static int say(struct document *d, double at, double until)
{
    char *text = calloc(1, TEXT_MAX);
    size_t n = 0;
    if (!text)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_runs; i++)
        if (d->runs[i].begin <= at && at < d->runs[i].end) {
            size_t len = strlen(d->runs[i].words);
            len = len < TEXT_MAX - 1 - n ? len : TEXT_MAX - 1 - n;
            memcpy(text + n, d->runs[i].words, len);
            n += len;
        }
    int64_t start = to_ms(at) - d->zero, end = to_ms(until);
    end = end == INT64_MAX ? end : end - d->zero;
    start = start > d->from ? start : d->from;
    end = end < d->to ? end : d->to;
    int rc = start < end ? said_add(d->l, start, end, text, 1) : 0;
    free(text);
    return rc;
}

static int close_paragraph(struct document *d)
{
    int rc = 0;
    for (double at = change_after(d, -1), next; !rc && !isinf(at); at = next) {
        next = change_after(d, at);
        rc = say(d, at, next);
    }
    for (size_t i = 0; i < d->n_runs; i++)
        free(d->runs[i].words);
    d->n_runs = 0;
    d->paragraph = 0;
    return rc;
}

static int close_level(struct document *d)
{
    int rc = d->paragraph == d->depth ? close_paragraph(d) : 0;
    d->depth--;
    d->levels[d->depth].next = d->levels[d->depth + 1].end;
    return rc;
}

static int open_element(struct document *d)
{
    const char *name = (const char *)xmlTextReaderConstLocalName(d->x);
    int empty = xmlTextReaderIsEmptyElement(d->x) == 1;
    int p = !strcmp(name, "p");
    if (d->depth == 0 && strcmp(name, "tt"))
        return -EINVAL;
    if (!strcmp(name, "tt")) {
        read_rates(d);
        if (has(d, "timeBase", "clock"))
            return -EINVAL;
    }
    if (!strcmp(name, "style") && !d->paragraph && hides(d) && d->n_hidden < HIDDEN_MAX) {
        xmlChar *id = attribute(d, "id");
        d->hidden[d->n_hidden] = id;
        d->n_hidden += id != NULL;
    }
    if (d->depth + 2 > DEPTH_MAX)
        return -EINVAL;
    open_level(d);
    if (p && !d->paragraph)
        d->paragraph = d->depth;
    /* Of a paragraph's children only spans have text that is shown. */
    if (d->paragraph && !p && strcmp(name, "span"))
        d->levels[d->depth].skipped = 1;
    return empty ? close_level(d) : 0;
}

static int see_node(struct document *d)
{
    switch (xmlTextReaderNodeType(d->x)) {
    case XML_READER_TYPE_DOCUMENT_TYPE:
        return -EINVAL;
    case XML_READER_TYPE_ELEMENT:
        return open_element(d);
    case XML_READER_TYPE_END_ELEMENT:
        return close_level(d);
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
        return d->paragraph ? add_run(d, (const char *)xmlTextReaderConstValue(d->x)) : 0;
    default:
        return 0;
    }
}

int said_ttml(const void *data, size_t size, int64_t zero, int64_t from, int64_t to, struct said *l)
{
    _cleanup_(reader_freep) xmlTextReader *x = xmlReaderForMemory(
        data, (int)size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    struct document *d = calloc(1, sizeof(*d));
    _cleanup_free_ struct run *runs = calloc(RUNS_MAX, sizeof(*runs));
    int rc = x && d && runs ? 0 : -ENOMEM, more = 1;
    if (!rc) {
        *d =
            (struct document){ .x = x, .runs = runs, .zero = zero, .from = from, .to = to, .l = l };
        d->levels[0].end = INFINITY;
    }
    while (!rc && (more = xmlTextReaderRead(x)) == 1)
        rc = see_node(d);
    for (size_t i = 0; d && i < d->n_runs; i++)
        free(runs[i].words);
    for (size_t i = 0; d && i < d->n_hidden; i++)
        xmlFree(d->hidden[i]);
    free(d);
    return rc ? rc : more < 0 ? -EINVAL : 0;
}
