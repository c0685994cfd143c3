/* m3u8.h - reading HLS playlists (RFC 8216bis): the tags that a package has,
 * as written, with the line that each stood on. Hostile input: sizes, counts
 * and URIs are limited.
 */
#ifndef GOPMILL_VERIFY_M3U8_H
#define GOPMILL_VERIFY_M3U8_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum { M3U8_ATTRS_MAX = 32 };

struct m3u8_attr {
    char *name, *value; /* value without its quotes */
    int quoted;
};

/* EXT-X-STREAM-INF, EXT-X-MEDIA, EXT-X-I-FRAME-STREAM-INF */
struct m3u8_entry {
    enum { M3U8_VARIANT, M3U8_MEDIA, M3U8_IFRAMES } what;
    struct m3u8_attr attrs[M3U8_ATTRS_MAX];
    size_t n_attrs;
    char *uri; /* of the line after, or the URI attribute; NULL: none */
    unsigned line;
};

struct m3u8_decimal { /* a decimal number as it was written */
    int64_t num;
    int64_t den; /* a power of ten; 0: not a number */
};

struct m3u8_segment {
    char *uri;
    struct m3u8_decimal extinf;
    int has_range, has_range_offset;
    uint64_t range_len, range_off;
    unsigned line;
};

struct m3u8 {
    int is_master, is_media;
    int64_t version, target, media_sequence; /* -1: no such tag */
    char *type;                              /* EXT-X-PLAYLIST-TYPE */
    int endlist, independent, iframes_only;
    unsigned discontinuities, gaps, unknown_tags;
    char *map_uri; /* of the first EXT-X-MAP */
    int map_has_range;
    unsigned n_maps;
    struct m3u8_entry *entries;
    size_t n_entries;
    struct m3u8_segment *segments;
    size_t n_segments;
};

/* -EINVAL with ERR_INPUT and the line; -ENOMEM. Free with m3u8_free(). */
int m3u8_parse(const char *text, size_t len, struct m3u8 **ret, struct err *err);
void m3u8_free(struct m3u8 *m);

/* The value, or NULL. */
const char *m3u8_attr(const struct m3u8_entry *e, const char *name);

/* "6.0060" -> 60060/10000. At most 9 digits on either side. */
struct m3u8_decimal m3u8_decimal_parse(const char *text, size_t len);

#endif
