#include "vtt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/utf8.h"

enum { CUES_MAX = 1000000, HOURS_MAX = 10000 };

DEFINE_CLEANUP(struct vtt *, vtt_free);

void vtt_free(struct vtt *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n; i++) {
        free(v->cues[i].settings);
        free(v->cues[i].text);
    }
    free(v->cues);
    free(v);
}

/* A line at a time. */
struct reader {
    const char *at, *end;
    const char *line; /* of `n` bytes */
    size_t n;
    unsigned number;
    struct err *err;
};

static int next_line(struct reader *r)
{
    if (r->at == r->end)
        return 0;
    const char *nl = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->line = r->at;
    r->n = (size_t)((nl ? nl : r->end) - r->at);
    r->at = nl ? nl + 1 : r->end;
    if (r->n && r->line[r->n - 1] == '\r')
        r->n--;
    r->number++;
    return 1;
}

static int bad(const struct reader *r, const char *what)
{
    return err_set(r->err, -EINVAL, ERR_INPUT, "line %u: %s", r->number, what);
}

/* Digits, exactly `n` of them (0: two or more). */
static int digits(const char **s, const char *end, unsigned n, int64_t *ret)
{
    unsigned got = 0;
    *ret = 0;
    while (*s < end && **s >= '0' && **s <= '9' && got < (n ? n : 6)) {
        *ret = *ret * 10 + (**s - '0');
        (*s)++;
        got++;
    }
    return (n ? got == n : got >= 2) ? 0 : -EINVAL;
}

/* "00:00:01.000" or "00:01.000". */
static int time_of(const char **s, const char *end, int64_t *ret)
{
    int64_t v[3], ms;
    unsigned n = 0;
    for (; n < 3; n++) {
        if (digits(s, end, n ? 2 : 0, &v[n]) < 0 || (n && v[n] > 59))
            return -EINVAL;
        if (*s == end || **s != ':')
            break;
        (*s)++;
    }
    if (n == 0 || n == 3 || *s == end || **s != '.')
        return -EINVAL;
    (*s)++;
    if (digits(s, end, 3, &ms) < 0)
        return -EINVAL;
    int64_t hours = n == 2 ? v[0] : 0, minutes = v[n - 1], secs = v[n];
    if (hours > HOURS_MAX || minutes > 59)
        return -EINVAL;
    *ret = ((hours * 60 + minutes) * 60 + secs) * 1000 + ms;
    return 0;
}

static int starts(const struct reader *r, const char *with)
{
    size_t n = strlen(with);
    return r->n >= n && !memcmp(r->line, with, n);
}

/* X-TIMESTAMP-MAP=MPEGTS:<n>,LOCAL:<time>, in either order. */
static int read_map(struct reader *r, struct vtt *v)
{
    static const char tag[] = "X-TIMESTAMP-MAP=", ts[] = "MPEGTS:", local[] = "LOCAL:";
    const char *s = r->line + sizeof(tag) - 1, *end = r->line + r->n;
    int has = 0;
    if (v->has_map)
        return bad(r, "a second X-TIMESTAMP-MAP");
    while (s < end) {
        size_t left = (size_t)(end - s);
        if (left > sizeof(ts) - 1 && !memcmp(s, ts, sizeof(ts) - 1)) {
            char *stop;
            errno = 0;
            v->mpegts = strtoll(s + sizeof(ts) - 1, &stop, 10);
            if (errno || stop > end || stop == s + sizeof(ts) - 1 || v->mpegts < 0)
                return bad(r, "MPEGTS isn't a number");
            s = stop;
            has |= 1;
        } else if (left > sizeof(local) - 1 && !memcmp(s, local, sizeof(local) - 1)) {
            s += sizeof(local) - 1;
            if (time_of(&s, end, &v->local) < 0)
                return bad(r, "LOCAL isn't a time");
            has |= 2;
        } else {
            return bad(r, "X-TIMESTAMP-MAP has something else than MPEGTS and LOCAL");
        }
        if (s < end && *s++ != ',')
            return bad(r, "X-TIMESTAMP-MAP isn't a list");
    }
    v->has_map = has == 3;
    return has == 3 ? 0 : bad(r, "X-TIMESTAMP-MAP without MPEGTS or LOCAL");
}

static int read_header(struct reader *r, struct vtt *v)
{
    if (!next_line(r) || !starts(r, "WEBVTT") ||
        (r->n > 6 && r->line[6] != ' ' && r->line[6] != '\t'))
        return bad(r, "a file starts with WEBVTT");
    while (next_line(r) && r->n) {
        int rc = starts(r, "X-TIMESTAMP-MAP=") ? read_map(r, v) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int has_arrow(const struct reader *r)
{
    return memmem(r->line, r->n, "-->", 3) != NULL;
}

static int read_times(struct reader *r, struct vtt_cue *c)
{
    const char *s = r->line, *end = r->line + r->n;
    if (time_of(&s, end, &c->start) < 0 || end - s < 5 || memcmp(s, " --> ", 5))
        return bad(r, "a cue without its times");
    s += 5;
    if (time_of(&s, end, &c->end) < 0 || (s < end && *s != ' '))
        return bad(r, "a cue without its end");
    if (c->end <= c->start)
        return bad(r, "a cue ends before it starts");
    while (s < end && *s == ' ')
        s++;
    c->settings = strndup(s, (size_t)(end - s));
    return c->settings ? 0 : -ENOMEM;
}

/* The lines until an empty one. */
static int read_payload(struct reader *r, struct vtt_cue *c)
{
    const char *from = r->at, *to = r->at;
    while (next_line(r) && r->n) {
        if (has_arrow(r))
            return bad(r, "an arrow inside a cue");
        to = r->line + r->n;
    }
    c->text = strndup(from, (size_t)(to - from));
    return c->text ? 0 : -ENOMEM;
}

static int read_cue(struct reader *r, struct vtt *v)
{
    if (v->n == CUES_MAX)
        return bad(r, "more than 1000000 cues");
    if (v->n == v->room) {
        v->room = v->room ? v->room * 2 : 64;
        struct vtt_cue *grown = realloc(v->cues, v->room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        v->cues = grown;
    }
    struct vtt_cue *c = &v->cues[v->n++];
    *c = (struct vtt_cue){ 0 };
    int rc = read_times(r, c);
    if (!rc)
        rc = read_payload(r, c);
    if (!rc && !*c->text)
        rc = bad(r, "a cue without text");
    if (!rc && v->n > 1 && c->start < c[-1].start)
        rc = bad(r, "a cue starts before the one before it");
    return rc;
}

int vtt_parse(const char *text, size_t len, struct vtt **ret, struct err *err)
{
    struct reader r = { .at = text, .end = text + len, .err = err };
    _cleanup_(vtt_freep) struct vtt *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    if (memchr(text, '\0', len) || !utf8_valid(text, len))
        return bad(&r, "it isn't UTF-8");
    int rc = read_header(&r, v);
    while (!rc && next_line(&r))
        if (r.n) /* identifiers, notes and styles aren't of ours */
            rc = has_arrow(&r) ? read_cue(&r, v) : bad(&r, "it is neither a cue nor empty");
    if (rc < 0)
        return rc;
    *ret = take_ptr(v);
    return 0;
}

/* The character that an entity stands for; 0: it is none. */
static char entity(const char *s, size_t *ret_len)
{
    static const struct {
        const char *name;
        char is;
    } known[] = {
        {"&amp;",   '&'},
        { "&lt;",   '<'},
        { "&gt;",   '>'},
        { "&nbsp;", ' '},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strncmp(s, known[i].name, strlen(known[i].name))) {
            *ret_len = strlen(known[i].name);
            return known[i].is;
        }
    return 0;
}

void vtt_words(char *text)
{
    char *to = text;
    for (const char *s = text; *s;) {
        size_t n = 1;
        const char *tag = *s == '<' ? strchr(s, '>') : NULL;
        char c = *s == '&' ? entity(s, &n) : *s;
        c = c ? c : *s;
        if (tag) {
            s = tag + 1;
            continue;
        }
        if (!strncmp(s, "\xc2\xa0", 2)) {
            s += 2;
            continue;
        }
        if ((unsigned char)c > ' ')
            *to++ = c;
        s += n;
    }
    *to = '\0';
}
