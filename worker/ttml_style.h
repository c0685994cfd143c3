/* ttml_style.h - what of TTML's styles and regions is kept: bold, italic, underlined, at the top,
 * and not shown at all. Internal to ttml.c: nodes are those of a document that it holds.
 */
#ifndef GOPMILL_WORKER_TTML_STYLE_H
#define GOPMILL_WORKER_TTML_STYLE_H

#include <libxml/tree.h>
#include <stddef.h>

enum { TTML_BOLD = 1, TTML_ITALIC = 2, TTML_UNDERLINE = 4, TTML_HIDDEN = 8 };

/* What a style says: of the flags in `knows` those in `is` are on. */
struct ttml_style {
    xmlChar *id; /* owned */
    unsigned knows, is;
};

struct ttml_region {
    xmlChar *id; /* owned */
    int top;
};

enum { TTML_STYLES_MAX = 256, TTML_REGIONS_MAX = 256 };

struct ttml_styles {
    struct ttml_style *style;
    struct ttml_region *region;
    size_t n_styles, n_regions;
};

/* Of the document's head; those beyond a limit aren't known. 0 or -ENOMEM; release it in any
 * case. */
int ttml_styles_read(xmlNode *root, struct ttml_styles *ret);
void ttml_styles_release(struct ttml_styles *s);

/* What an element says of itself, over what it inherits. 0: it isn't displayed. */
int ttml_style_of(const struct ttml_styles *s, xmlNode *n, unsigned *flags, int *top);

#endif
