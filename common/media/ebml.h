/* ebml.h - the elements of a Matroska or WebM file up to its pictures: what libavformat doesn't
 * tell of its tracks. Internal to common/media.
 *
 * Hostile bytes: at most EBML_ELEMENTS_MAX elements are looked at, EBML_DEPTH_MAX deep, and what
 * isn't one ends its parent. Sizes and ids are those of RFC 8794, 4 and 5.
 */
#ifndef GOPMILL_MEDIA_EBML_H
#define GOPMILL_MEDIA_EBML_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct inside;

enum { EBML_ELEMENTS_MAX = 4096, EBML_DEPTH_MAX = 8 };

/* Element IDs of Matroska (RFC 9559, 5.1). */
enum {
    EBML_SEGMENT = 0x18538067,
    EBML_CLUSTER = 0x1f43b675,
    EBML_TRACKS = 0x1654ae6b,
    EBML_TRACK = 0xae,
};

struct ebml_element {
    uint32_t id;
    uint64_t body, end; /* byte offsets */
};

/* Whoever looks at elements: each comes before those inside of it. */
struct ebml_visitor {
    struct inside *in; /* borrowed, as is `err` */
    struct err *err;
    void *arg;
    /* 1: those inside of it are seen, too; 0: they aren't; negative: the walk fails. */
    int (*see)(const struct ebml_visitor *v, const struct ebml_element *e);
};

/* All of the source until the first cluster. Segment, Tracks and each TrackEntry are always
 * entered. 0 or negative. */
int ebml_walk(const struct ebml_visitor *v);

/* An unsigned integer; one that is too long is 0. 0 or negative. */
int ebml_unsigned(const struct ebml_visitor *v, const struct ebml_element *e, uint64_t *ret);
/* A string, as much of it as fits and is printable ASCII. 0 or negative. */
int ebml_string(const struct ebml_visitor *v, const struct ebml_element *e, char *ret, size_t size);

#endif
