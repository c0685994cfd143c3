#include "ttml.h"

#include "../common/base/cleanup.h"
#include "../common/base/xml_cleanup.h"
#include "ttml_style.h"
#include "ttml_time.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECES_MAX = 4096, /* of a paragraph */
    BOUNDS_MAX = 128,  /* times at which a paragraph changes */
    LINE_BYTES_MAX = 4 * CUE_TEXT_MAX,
};

/* What holds inside of an element; times in seconds. */
struct scope {
    double begin, end;
    unsigned flags; /* of TTML_BOLD … */
    int preserve;   /* xml:space */
    int top;
    unsigned depth;
};

/* A run of text of a paragraph, or a line break (`text` NULL). */
struct piece {
    double begin, end;
    unsigned flags;
    int preserve;
    const char *text; /* the document's */
};

struct ttml {
    struct cues *out;
    struct ttml_rates rates;
    struct ttml_styles styles;
    struct piece *pieces;
    size_t n_pieces, n_nodes;
    uint64_t bad, cut;
};

static int is(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

static char *attr(xmlNode *n, const char *name)
{
    return (char *)xmlGetProp(n, (const xmlChar *)name);
}

/* ---- times ---- */

/* 1; 0: there is no such attribute. */
static int time_attr(const struct ttml *t, xmlNode *n, const char *name, double *ret)
{
    _cleanup_(xml_freep) xmlChar *v = xmlGetProp(n, (const xmlChar *)name);

    if (!v)
        return 0;
    return ttml_time((const char *)v, &t->rates, ret) < 0 ? -EINVAL : 1;
}

/* Times of an element count from the begin of what it is in, or where that is a sequence from
 * `after`, the end of the one before (TTML 2, 12.2.4 and SMIL's timeContainer). */
static int scope_times(const struct ttml *t, xmlNode *n, double after, struct scope *s)
{
    double begin = 0, end = INFINITY, lasts = INFINITY, limit = s->end;

    if (time_attr(t, n, "begin", &begin) < 0 || time_attr(t, n, "end", &end) < 0 ||
        time_attr(t, n, "dur", &lasts) < 0)
        return -EINVAL;
    s->begin = after + begin;
    s->end = fmin(fmin(after + end, s->begin + lasts), limit);
    return 0;
}

/* 1; 0: nothing of it is ever shown. */
static int scope_enter(struct ttml *t, xmlNode *n, const struct scope *in, double after,
                       struct scope *ret)
{
    struct scope s = *in;

    if (++t->n_nodes > TTML_NODES_MAX || ++s.depth > TTML_DEPTH_MAX ||
        scope_times(t, n, after, &s) < 0) {
        t->bad++;
        return 0;
    }
    _cleanup_(xml_freep) xmlChar *space = xmlGetProp(n, (const xmlChar *)"space");
    if (space)
        s.preserve = strcmp((const char *)space, "preserve") == 0;
    if (!ttml_style_of(&t->styles, n, &s.flags, &s.top))
        return 0;
    *ret = s;
    return s.end > s.begin;
}

static int is_sequence(xmlNode *n)
{
    _cleanup_(xml_freep) xmlChar *v = xmlGetProp(n, (const xmlChar *)"timeContainer");

    return v && strcmp((const char *)v, "seq") == 0;
}

/* ---- a paragraph ---- */

static void piece_add(struct ttml *t, const struct scope *s, const char *text)
{
    if (t->n_pieces == PIECES_MAX) {
        t->bad++;
        return;
    }
    t->pieces[t->n_pieces++] = (struct piece){ s->begin, s->end, s->flags, s->preserve, text };
}

static void pieces_collect(struct ttml *t, xmlNode *of, const struct scope *in)
{
    double after = in->begin;
    int sequence = is_sequence(of);
    struct scope s;

    for (xmlNode *n = of->children; n; n = n->next) {
        if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) {
            piece_add(t, in, (const char *)n->content);
        } else if (is(n, "br")) {
            piece_add(t, in, NULL);
        } else if (is(n, "span") && scope_enter(t, n, in, after, &s)) {
            pieces_collect(t, n, &s);
            after = sequence ? s.end : after;
        }
    }
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The times at which what is shown changes, ascending. */
static size_t bounds_of(struct ttml *t, double bounds[static BOUNDS_MAX])
{
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < t->n_pieces; i++) {
        const struct piece *p = &t->pieces[i];
        if (i > 0 && p->begin == p[-1].begin && p->end == p[-1].end)
            continue;
        if (n + 2 > BOUNDS_MAX) {
            t->bad++;
            break;
        }
        bounds[n++] = p->begin;
        bounds[n++] = p->end;
    }
    qsort(bounds, n, sizeof(*bounds), compare_times);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || bounds[i] > bounds[kept - 1])
            bounds[kept++] = bounds[i];
    return kept;
}

/* As ASS would say it: that is what webvtt_text() reads. */
static void piece_put(FILE *f, const struct piece *p)
{
    fprintf(f, "{\\b%d\\i%d\\u%d}", (p->flags & TTML_BOLD) != 0, (p->flags & TTML_ITALIC) != 0,
            (p->flags & TTML_UNDERLINE) != 0);
    if (!p->text)
        fputs("\\N", f);
    for (const char *s = p->text; s && *s && ftell(f) < LINE_BYTES_MAX; s++) {
        if (*s == '\n' || *s == '\r')
            fputs(p->preserve && *s == '\n' ? "\\N" : " ", f);
        else if (strchr("{}\\", *s))
            fprintf(f, "\\%c", *s);
        else
            fputc(*s, f);
    }
}

/* What the paragraph says at that time; the caller's, NULL where memory ran out. */
static char *line_of(struct ttml *t, double at)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return NULL;
    fputs("0,0,,,0,0,0,,", f);
    for (size_t i = 0; i < t->n_pieces; i++)
        if (t->pieces[i].begin <= at && at < t->pieces[i].end && ftell(f) < LINE_BYTES_MAX)
            piece_put(f, &t->pieces[i]);
    int failed = ferror(f);
    failed |= fclose(f) != 0;
    if (failed) {
        free(text);
        return NULL;
    }
    return text;
}

static int64_t milliseconds(double s)
{
    return isinf(s) ? INT64_MAX : llround(s * 1000);
}

/* A span that comes or goes without a word of it (blanks) splits nothing. */
static int joins_last(struct cues *l, const struct cue *c)
{
    struct cue *last = l->n > 0 ? &l->v[l->n - 1] : NULL;

    if (!last || last->end != c->start || last->top != c->top || strcmp(last->text, c->text) != 0)
        return 0;
    last->end = c->end;
    return 1;
}

static int line_add(struct ttml *t, const struct scope *s, double from, double to, size_t first)
{
    _cleanup_free_ char *line = line_of(t, from);
    struct cue c = { .start = milliseconds(from), .end = milliseconds(to) };
    int cut = 0, top = 0;

    if (!line || webvtt_text(line, 0, &c.text, &top, &cut) < 0)
        return -ENOMEM;
    c.top = s->top;
    t->cut += cut != 0;
    if (!*c.text || c.end <= c.start || (t->out->n > first && joins_last(t->out, &c))) {
        free(c.text);
        return 0;
    }
    int r = cues_add(t->out, c);
    if (r < 0)
        free(c.text);
    return r;
}

static int paragraph_read(struct ttml *t, xmlNode *p, const struct scope *s)
{
    double bounds[BOUNDS_MAX];
    size_t first = t->out->n;
    int r = 0;

    t->n_pieces = 0;
    pieces_collect(t, p, s);
    size_t n = bounds_of(t, bounds);
    for (size_t i = 0; i + 1 < n && r == 0; i++)
        r = line_add(t, s, bounds[i], bounds[i + 1], first);
    return r;
}

/* ---- the document ---- */

/* Of `body` and of each `div` in it. */
static int block_read(struct ttml *t, xmlNode *block, const struct scope *in)
{
    double after = in->begin;
    int sequence = is_sequence(block), r = 0;
    struct scope s;

    for (xmlNode *n = block->children; n && r == 0; n = n->next) {
        int paragraph = is(n, "p");
        if ((!paragraph && !is(n, "div")) || !scope_enter(t, n, in, after, &s))
            continue;
        r = paragraph ? paragraph_read(t, n, &s) : block_read(t, n, &s);
        after = sequence ? s.end : after;
    }
    return r;
}

static int rates_read(xmlNode *root, struct ttml_rates *ret)
{
    static const char *const names[] = { "timeBase",     "frameRate", "frameRateMultiplier",
                                         "subFrameRate", "tickRate",  "dropMode" };
    char *v[6];

    for (size_t i = 0; i < 6; i++)
        v[i] = attr(root, names[i]);
    int r = ttml_rates_of(v[0], v[1], v[2], v[3], v[4], v[5], ret);
    for (size_t i = 0; i < 6; i++)
        if (v[i])
            xmlFree(v[i]);
    return r;
}

static int root_read(struct ttml *t, xmlNode *root)
{
    struct scope all = { .end = INFINITY }, s;
    int r = 0;

    if (!root || !is(root, "tt") || rates_read(root, &t->rates) < 0)
        return -EINVAL;
    _cleanup_(xml_freep) xmlChar *space = xmlGetProp(root, (const xmlChar *)"space");
    all.preserve = space && strcmp((const char *)space, "preserve") == 0;
    t->pieces = calloc(PIECES_MAX, sizeof(*t->pieces));
    if (!t->pieces || ttml_styles_read(root, &t->styles) < 0)
        return -ENOMEM;
    for (xmlNode *n = root->children; n && r == 0; n = n->next)
        if (is(n, "body") && scope_enter(t, n, &all, 0, &s))
            r = block_read(t, n, &s);
    return r;
}

/* Documents of subtitles have no DTD; entities of one may grow without end. */
static void refuse_dtd(void *ctxt, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
    (void)name, (void)id, (void)system;
    xmlStopParser(ctxt);
}

static xmlDoc *document_parse(const void *data, size_t size)
{
    xmlParserCtxt *c = xmlNewParserCtxt();
    xmlDoc *doc = NULL;

    if (!c)
        return NULL;
    c->sax->internalSubset = refuse_dtd;
    c->sax->externalSubset = refuse_dtd;
    doc = xmlCtxtReadMemory(c, data, (int)size, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                XML_PARSE_NOCDATA);
    xmlFreeParserCtxt(c);
    return doc;
}

int ttml_read(const void *data, size_t size, struct cues *ret, uint64_t *ret_bad, uint64_t *ret_cut)
{
    if (size > TTML_BYTES_MAX)
        return -EINVAL;
    _cleanup_(doc_freep) xmlDoc *doc = document_parse(data, size);
    struct ttml t = { .out = ret };
    int r = doc ? root_read(&t, xmlDocGetRootElement(doc)) : -EINVAL;

    free(t.pieces);
    ttml_styles_release(&t.styles);
    *ret_bad = t.bad;
    *ret_cut = t.cut;
    return r;
}
