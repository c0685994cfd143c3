#include "ttml_style.h"

#include "../common/base/cleanup.h"
#include "../common/base/xml_cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REFERENCES_MAX = 4 }; /* of an element */

static int is(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* Attributes of an element itself, over what `of` knows already. */
static void attributes_read(xmlNode *n, struct ttml_style *of)
{
    static const struct {
        const char *name, *value;
        unsigned flag;
        int on;
    } rows[] = {
        {"fontWeight",      "bold",        TTML_BOLD,      1},
        { "fontWeight",     "normal",      TTML_BOLD,      0},
        { "fontStyle",      "italic",      TTML_ITALIC,    1},
        { "fontStyle",      "oblique",     TTML_ITALIC,    1},
        { "fontStyle",      "normal",      TTML_ITALIC,    0},
        { "textDecoration", "underline",   TTML_UNDERLINE, 1},
        { "textDecoration", "noUnderline", TTML_UNDERLINE, 0},
        { "textDecoration", "none",        TTML_UNDERLINE, 0},
        { "display",        "none",        TTML_HIDDEN,    1},
        { "display",        "auto",        TTML_HIDDEN,    0},
        { "visibility",     "hidden",      TTML_HIDDEN,    1},
        { "visibility",     "visible",     TTML_HIDDEN,    0},
    };

    for (const xmlAttr *a = n->properties; a; a = a->next) {
        const char *v = a->children && a->children->content ? (const char *)a->children->content
                                                            : "";
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            if (strcmp((const char *)a->name, rows[i].name) != 0 || strcmp(v, rows[i].value) != 0)
                continue;
            of->knows |= rows[i].flag;
            of->is = rows[i].on ? of->is | rows[i].flag : of->is & ~rows[i].flag;
        }
    }
}

static const struct ttml_style *style_find(const struct ttml_styles *s, const char *id, size_t n)
{
    for (size_t i = 0; i < s->n_styles; i++)
        if (strncmp((const char *)s->style[i].id, id, n) == 0 && !s->style[i].id[n])
            return &s->style[i];
    return NULL;
}

/* What the styles that an element refers to say, a later one over an earlier one. */
static void references_read(const struct ttml_styles *s, xmlNode *n, struct ttml_style *of)
{
    _cleanup_(xml_freep) xmlChar *ids = xmlGetProp(n, (const xmlChar *)"style");
    const char *at = ids ? (const char *)ids : "";

    for (int i = 0; i < REFERENCES_MAX && *at; i++) {
        at += strspn(at, " \t\r\n");
        size_t len = strcspn(at, " \t\r\n");
        const struct ttml_style *known = len ? style_find(s, at, len) : NULL;
        if (known) {
            of->is = (of->is & ~known->knows) | known->is;
            of->knows |= known->knows;
        }
        at += len;
    }
}

/* The second of two percentages ("10% 80%"); -1: it isn't that. */
static double percent_down(const xmlChar *v)
{
    char *end;

    if (!v)
        return -1;
    double x = strtod((const char *)v, &end);
    if (*end != '%' || !(x >= -1000 && x <= 1000))
        return -1;
    const char *second = end + 1;
    double y = strtod(second, &end);
    return end > second && *end == '%' && y >= 0 && y <= 100 ? y : -1;
}

/* Whether its text stands in the upper half: above the region's place, or at its foot. */
static int is_at_top(xmlNode *region, xmlNode *styled)
{
    _cleanup_(xml_freep) xmlChar *origin = xmlGetProp(styled, (const xmlChar *)"origin");
    _cleanup_(xml_freep) xmlChar *extent = xmlGetProp(styled, (const xmlChar *)"extent");
    _cleanup_(xml_freep) xmlChar *align = xmlGetProp(styled, (const xmlChar *)"displayAlign");
    _cleanup_(xml_freep) xmlChar *outer = xmlGetProp(region, (const xmlChar *)"displayAlign");
    const char *where = align ? (const char *)align : outer ? (const char *)outer : "before";
    double y = percent_down(origin), height = percent_down(extent);

    if (y < 0 || height < 0)
        return 0;
    if (strcmp(where, "before") == 0)
        return y < 50;
    return y + (strcmp(where, "center") == 0 ? height / 2 : height) < 50;
}

static void region_read(xmlNode *n, struct ttml_styles *s)
{
    xmlChar *id = xmlGetProp(n, (const xmlChar *)"id");

    if (!id || s->n_regions == TTML_REGIONS_MAX) {
        xml_freep(&id);
        return;
    }
    int top = is_at_top(n, n);
    for (xmlNode *c = n->children; c && !top; c = c->next)
        top = is(c, "style") && is_at_top(n, c);
    s->region[s->n_regions++] = (struct ttml_region){ id, top };
}

static void style_read(xmlNode *n, struct ttml_styles *s)
{
    struct ttml_style style = { .id = xmlGetProp(n, (const xmlChar *)"id") };

    if (!style.id || s->n_styles == TTML_STYLES_MAX) {
        xml_freep(&style.id);
        return;
    }
    references_read(s, n, &style); /* to those before it: a chain of them is resolved so */
    attributes_read(n, &style);
    s->style[s->n_styles++] = style;
}

int ttml_styles_read(xmlNode *root, struct ttml_styles *ret)
{
    ret->style = calloc(TTML_STYLES_MAX, sizeof(*ret->style));
    ret->region = calloc(TTML_REGIONS_MAX, sizeof(*ret->region));
    if (!ret->style || !ret->region)
        return -ENOMEM;
    for (xmlNode *head = root->children; head; head = head->next)
        for (xmlNode *part = is(head, "head") ? head->children : NULL; part; part = part->next)
            for (xmlNode *n = part->children; n; n = n->next) {
                if (is(part, "styling") && is(n, "style"))
                    style_read(n, ret);
                else if (is(part, "layout") && is(n, "region"))
                    region_read(n, ret);
            }
    return 0;
}

void ttml_styles_release(struct ttml_styles *s)
{
    for (size_t i = 0; i < s->n_styles; i++)
        xml_freep(&s->style[i].id);
    for (size_t i = 0; i < s->n_regions; i++)
        xml_freep(&s->region[i].id);
    free(s->style);
    free(s->region);
}

int ttml_style_of(const struct ttml_styles *s, xmlNode *n, unsigned *flags, int *top)
{
    struct ttml_style said = { 0 };
    _cleanup_(xml_freep) xmlChar *region = xmlGetProp(n, (const xmlChar *)"region");

    references_read(s, n, &said);
    attributes_read(n, &said);
    *flags = (*flags & ~said.knows) | said.is;
    for (size_t i = 0; region && i < s->n_regions; i++)
        if (strcmp((const char *)s->region[i].id, (const char *)region) == 0)
            *top = s->region[i].top;
    return !(*flags & TTML_HIDDEN);
}
