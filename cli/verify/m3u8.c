#include "m3u8.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

enum { ENTRIES_MAX = 1024, SEGMENTS_MAX = 1000000, LINE_MAX_BYTES = 8192 };

DEFINE_CLEANUP(struct m3u8 *, m3u8_free);

struct parser {
    struct m3u8 *m;
    struct m3u8_entry *variant; /* waits for its URI */
    struct m3u8_segment next;   /* waits for its URI */
    int has_extinf;
    unsigned line;
    size_t entries_room, segments_room;
};

static void entry_release(struct m3u8_entry *e)
{
    for (size_t i = 0; i < e->n_attrs; i++) {
        free(e->attrs[i].name);
        free(e->attrs[i].value);
    }
    free(e->uri);
}

void m3u8_free(struct m3u8 *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_entries; i++)
        entry_release(&m->entries[i]);
    for (size_t i = 0; i < m->n_segments; i++)
        free(m->segments[i].uri);
    free(m->entries);
    free(m->segments);
    free(m->type);
    free(m->map_uri);
    free(m);
}

const char *m3u8_attr(const struct m3u8_entry *e, const char *name)
{
    for (size_t i = 0; i < e->n_attrs; i++)
        if (!strcmp(e->attrs[i].name, name))
            return e->attrs[i].value;
    return NULL;
}

struct m3u8_decimal m3u8_decimal_parse(const char *text, size_t len)
{
    struct m3u8_decimal d = { .den = 1 }, none = { 0 };
    size_t whole = 0, part = 0;
    int point = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' && !point) {
            point = 1;
            continue;
        }
        if (!isdigit((unsigned char)text[i]) || (point ? ++part : ++whole) > 9)
            return none;
        d.num = d.num * 10 + (text[i] - '0');
        d.den *= point ? 10 : 1;
    }
    return whole ? d : none;
}

static int bad(const struct parser *p, struct err *err, const char *what)
{
    return err_set(err, -EINVAL, ERR_INPUT, "line %u: %s", p->line, what);
}

static int number(const struct parser *p, const char *s, int64_t *ret, struct err *err)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end || v < 0)
        return bad(p, err, "not a whole number");
    *ret = v;
    return 0;
}

/* One NAME=VALUE at *s; *s moves behind it and its comma. */
static int parse_attr(const struct parser *p, const char **s, struct m3u8_attr *ret,
                      struct err *err)
{
    const char *name = *s;
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    if (!n || name[n] != '=')
        return bad(p, err, "an attribute list that isn't NAME=VALUE,…");
    const char *v = name + n + 1, *end;
    struct m3u8_attr a = { .quoted = *v == '"' };
    if (a.quoted) {
        end = strchr(++v, '"');
        if (!end)
            return bad(p, err, "a quote without an end");
        *s = end + 1;
    } else {
        end = v + strcspn(v, ",");
        *s = end;
    }
    if (**s == ',')
        (*s)++;
    else if (**s)
        return bad(p, err, "text behind a quoted value");
    a.name = strndup(name, n);
    a.value = strndup(v, (size_t)(end - v));
    if (!a.name || !a.value) {
        free(a.name);
        free(a.value);
        return -ENOMEM;
    }
    *ret = a;
    return 0;
}

static int parse_attrs(const struct parser *p, const char *s, struct m3u8_entry *e, struct err *err)
{
    while (*s) {
        struct m3u8_attr a;
        int r = parse_attr(p, &s, &a, err);
        if (r < 0)
            return r;
        int twice = m3u8_attr(e, a.name) != NULL;
        if (twice || e->n_attrs == M3U8_ATTRS_MAX) {
            free(a.name);
            free(a.value);
            return bad(p, err, twice ? "an attribute stands twice" : "too many attributes");
        }
        e->attrs[e->n_attrs++] = a;
    }
    return 0;
}

static void *grow(void *list, size_t n, size_t *room, size_t item)
{
    if (n < *room)
        return list;
    size_t more = *room ? *room * 2 : 16;
    void *grown = realloc(list, more * item);
    if (grown)
        *room = more;
    return grown;
}

static int on_entry(struct parser *p, int what, const char *attrs, struct err *err)
{
    struct m3u8 *m = p->m;
    if (m->n_entries == ENTRIES_MAX)
        return bad(p, err, "more than 1024 variants and renditions");
    struct m3u8_entry *grown = grow(m->entries, m->n_entries, &p->entries_room,
                                    sizeof(*m->entries));
    if (!grown)
        return -ENOMEM;
    m->entries = grown;
    struct m3u8_entry *e = &m->entries[m->n_entries++];
    *e = (struct m3u8_entry){ .what = what, .line = p->line };
    int r = parse_attrs(p, attrs, e, err);
    if (r < 0)
        return r;
    /* A variant's stands on the line after, whatever else its attributes say. */
    const char *uri = what == M3U8_VARIANT ? NULL : m3u8_attr(e, "URI");
    if (uri && !(e->uri = strdup(uri)))
        return -ENOMEM;
    m->is_master = 1;
    p->variant = what == M3U8_VARIANT ? e : NULL;
    return 0;
}

static int on_map(struct parser *p, const char *attrs, struct err *err)
{
    struct m3u8_entry e = { 0 };
    int r = parse_attrs(p, attrs, &e, err);
    const char *uri = m3u8_attr(&e, "URI");
    if (!r && !uri)
        r = bad(p, err, "EXT-X-MAP without URI");
    if (!r && !p->m->n_maps++) {
        p->m->map_uri = strdup(uri);
        p->m->map_has_range = m3u8_attr(&e, "BYTERANGE") != NULL;
        r = p->m->map_uri ? 0 : -ENOMEM;
    }
    entry_release(&e);
    return r;
}

static int on_range(struct parser *p, const char *s, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10), off = 0;
    if (errno || !isdigit((unsigned char)*s))
        return bad(p, err, "EXT-X-BYTERANGE isn't LENGTH[@OFFSET]");
    p->next.has_range_offset = *end == '@';
    if (*end == '@') {
        s = end + 1;
        off = strtoull(s, &end, 10);
        if (errno || !isdigit((unsigned char)*s))
            return bad(p, err, "EXT-X-BYTERANGE isn't LENGTH[@OFFSET]");
    }
    if (*end)
        return bad(p, err, "EXT-X-BYTERANGE isn't LENGTH[@OFFSET]");
    p->next.has_range = 1;
    p->next.range_len = n;
    p->next.range_off = off;
    return 0;
}

static int on_extinf(struct parser *p, const char *s, struct err *err)
{
    if (p->has_extinf)
        return bad(p, err, "two EXTINF for one segment");
    p->next.extinf = m3u8_decimal_parse(s, strcspn(s, ","));
    if (!p->next.extinf.den)
        return bad(p, err, "EXTINF isn't a decimal number");
    p->has_extinf = 1;
    p->m->is_media = 1;
    return 0;
}

static int on_type(struct parser *p, const char *s)
{
    free(p->m->type);
    p->m->type = strdup(s);
    return p->m->type ? 0 : -ENOMEM;
}

/* The rest of `line` behind `tag`, or NULL. */
static const char *after(const char *line, const char *tag)
{
    size_t n = strlen(tag);
    return strncmp(line, tag, n) ? NULL : line + n;
}

static int on_flag(struct parser *p, const char *line)
{
    struct m3u8 *m = p->m;
    if (!strcmp(line, "#EXT-X-ENDLIST"))
        m->endlist = m->is_media = 1;
    else if (!strcmp(line, "#EXT-X-INDEPENDENT-SEGMENTS"))
        m->independent = 1;
    else if (!strcmp(line, "#EXT-X-I-FRAMES-ONLY"))
        m->iframes_only = 1;
    else if (!strcmp(line, "#EXT-X-DISCONTINUITY"))
        m->discontinuities++;
    else if (!strcmp(line, "#EXT-X-GAP"))
        m->gaps++;
    else if (strcmp(line, "#EXTM3U"))
        m->unknown_tags++;
    return 0;
}

static int on_tag(struct parser *p, const char *line, struct err *err)
{
    const char *s;
    if ((s = after(line, "#EXTINF:")))
        return on_extinf(p, s, err);
    if ((s = after(line, "#EXT-X-BYTERANGE:")))
        return on_range(p, s, err);
    if ((s = after(line, "#EXT-X-STREAM-INF:")))
        return on_entry(p, M3U8_VARIANT, s, err);
    if ((s = after(line, "#EXT-X-MEDIA:")))
        return on_entry(p, M3U8_MEDIA, s, err);
    if ((s = after(line, "#EXT-X-I-FRAME-STREAM-INF:")))
        return on_entry(p, M3U8_IFRAMES, s, err);
    if ((s = after(line, "#EXT-X-MAP:")))
        return on_map(p, s, err);
    if ((s = after(line, "#EXT-X-VERSION:")))
        return number(p, s, &p->m->version, err);
    if ((s = after(line, "#EXT-X-TARGETDURATION:")))
        return number(p, s, &p->m->target, err);
    if ((s = after(line, "#EXT-X-MEDIA-SEQUENCE:")))
        return number(p, s, &p->m->media_sequence, err);
    if ((s = after(line, "#EXT-X-PLAYLIST-TYPE:")))
        return on_type(p, s);
    return on_flag(p, line);
}

static int on_uri(struct parser *p, const char *uri, struct err *err)
{
    struct m3u8 *m = p->m;
    if (p->variant) {
        p->variant->uri = strdup(uri);
        if (!p->variant->uri)
            return -ENOMEM;
        p->variant = NULL;
        return 0;
    }
    if (!p->has_extinf)
        return bad(p, err, "a URI without EXTINF or EXT-X-STREAM-INF");
    if (m->n_segments == SEGMENTS_MAX)
        return bad(p, err, "more than 1000000 segments");
    struct m3u8_segment *grown = grow(m->segments, m->n_segments, &p->segments_room,
                                      sizeof(*m->segments));
    if (!grown)
        return -ENOMEM;
    m->segments = grown;
    p->next.uri = strdup(uri);
    p->next.line = p->line;
    if (!p->next.uri)
        return -ENOMEM;
    m->segments[m->n_segments++] = p->next;
    p->next = (struct m3u8_segment){ 0 };
    p->has_extinf = 0;
    return 0;
}

static int on_line(struct parser *p, const char *line, struct err *err)
{
    p->line++;
    if (p->line == 1)
        return strcmp(line, "#EXTM3U") ? bad(p, err, "a playlist starts with #EXTM3U") : 0;
    if (!*line)
        return 0;
    /* An empty URI attribute must not let a variant take the next one's. */
    if (*line == '#')
        return strncmp(line, "#EXT", 4) ? 0 : on_tag(p, line, err);
    return on_uri(p, line, err);
}

int m3u8_parse(const char *text, size_t len, struct m3u8 **ret, struct err *err)
{
    _cleanup_(m3u8_freep) struct m3u8 *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->version = m->target = m->media_sequence = -1;
    struct parser p = { .m = m };
    char line[LINE_MAX_BYTES];
    while (len) {
        const char *nl = memchr(text, '\n', len);
        size_t n = nl ? (size_t)(nl - text) : len;
        if (n >= sizeof(line) || memchr(text, '\0', n))
            return err_set(err, -EINVAL, ERR_INPUT, "line %u: too long, or not text", p.line + 1);
        memcpy(line, text, n);
        line[n && line[n - 1] == '\r' ? n - 1 : n] = '\0';
        int r = on_line(&p, line, err);
        if (r < 0)
            return r;
        text += nl ? n + 1 : n;
        len -= nl ? n + 1 : n;
    }
    if (!p.line || p.variant || p.has_extinf)
        return bad(&p, err, p.line ? "it ends where a URI is due" : "it is empty");
    *ret = take_ptr(m);
    return 0;
}
