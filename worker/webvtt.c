#include "webvtt.h"

#include "../common/base/cleanup.h"
#include "../common/base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIALOGUE_COMMAS = 8,
    FLAGS_MAX = 3, /* bold, italic, underlined */
    /* What is kept free for the tags that end with the text. */
    TAIL_BYTES = 16,
};

/* ---- lists ---- */

void cues_release(struct cues *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].text);
    free(l->v);
    *l = (struct cues){ 0 };
}

int cues_add(struct cues *l, struct cue c)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct cue *v = reallocarray(l->v, room, sizeof(*v));
        if (!v)
            return -ENOMEM;
        l->v = v;
        l->room = room;
    }
    l->v[l->n++] = c;
    return 0;
}

/* Insertion: decoders give them nearly in order. Worst cases are for the
 * limits on how many there are. */
static void sort_slowly(struct cue *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct cue c = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1].start > c.start; k--)
            v[k] = v[k - 1];
        v[k] = c;
    }
}

/* Merges runs, so that equal starts keep their order. */
static void sort_run(struct cue *v, struct cue *spare, size_t n)
{
    size_t half = n / 2, a = 0, b = half, at = 0;

    if (n <= 16) {
        sort_slowly(v, n);
        return;
    }
    sort_run(v, spare, half);
    sort_run(v + half, spare, n - half);
    memcpy(spare, v, n * sizeof(*v));
    while (a < half || b < n)
        v[at++] = b >= n || (a < half && spare[a].start <= spare[b].start) ? spare[a++]
                                                                           : spare[b++];
}

void cues_sort(struct cues *l)
{
    struct cue *spare = l->n ? calloc(l->n, sizeof(*spare)) : NULL;

    if (spare)
        sort_run(l->v, spare, l->n);
    else
        sort_slowly(l->v, l->n);
    free(spare);
}

/* ---- text ---- */

/* A text that is being written. Breaks and blanks wait for what comes after
 * them, so that no line is empty and none begins or ends with a blank; tags
 * wait likewise. */
struct writer {
    char buf[CUE_TEXT_MAX + 1];
    size_t n;
    unsigned want, is; /* flags: wanted for what comes next, open */
    int breaks, blanks;
    int drawing; /* inside \p1: coordinates, no text */
    int top, cut;
    int seen; /* there is more than hard blanks */
};

static const char tag_of[FLAGS_MAX] = { 'b', 'i', 'u' };
static const char nbsp[] = "\xc2\xa0";

static int room_for(struct writer *w, size_t n)
{
    if (w->n + n + TAIL_BYTES > CUE_TEXT_MAX)
        w->cut = 1;
    return !w->cut;
}

static void put(struct writer *w, const char *s, size_t n)
{
    memcpy(w->buf + w->n, s, n);
    w->n += n;
}

static void close_tags(struct writer *w)
{
    char tag[8];

    for (int i = FLAGS_MAX; i-- > 0;)
        if (w->is & 1u << i)
            put(w, tag, (size_t)snprintf(tag, sizeof(tag), "</%c>", tag_of[i]));
    w->is = 0;
}

static void open_tags(struct writer *w)
{
    char tag[8];

    for (int i = 0; i < FLAGS_MAX; i++)
        if (w->want & 1u << i)
            put(w, tag, (size_t)snprintf(tag, sizeof(tag), "<%c>", tag_of[i]));
    w->is = w->want;
}

/* A character that is seen; `as` is how it is written. */
static void put_seen(struct writer *w, const char *as, size_t n)
{
    enum { TAGS_BYTES = 2 * FLAGS_MAX * 4 };

    if (w->drawing || !room_for(w, n + 2 + TAGS_BYTES))
        return;
    /* All that is open is closed where it isn't what is wanted, and opened
     * anew: so tags are nested whatever order they were switched in. */
    int other = w->is != w->want;
    if (other)
        close_tags(w);
    if (w->breaks && w->n)
        put(w, "\n", 1);
    else if (w->blanks && w->n)
        put(w, " ", 1);
    w->breaks = w->blanks = 0;
    if (other)
        open_tags(w);
    put(w, as, n);
    w->seen |= strncmp(as, nbsp, sizeof(nbsp) - 1) != 0;
}

static void put_char(struct writer *w, const char *s, size_t n)
{
    if (n == 1 && *s == '&')
        put_seen(w, "&amp;", 5);
    else if (n == 1 && *s == '<')
        put_seen(w, "&lt;", 4);
    else if (n == 1 && *s == '>')
        put_seen(w, "&gt;", 4);
    else if (n == 1 && (*s == '\n' || *s == '\r'))
        w->breaks = 1;
    else if (n == 1 && (*s == ' ' || *s == '\t'))
        w->blanks = 1;
    else if (n > 1 || ((unsigned char)*s > ' ' && *s != 0x7f))
        put_seen(w, s, n);
}

static void flag(struct writer *w, int i, int on)
{
    w->want = on ? w->want | 1u << i : w->want & ~(1u << i);
}

/* One override behind its backslash: "b1", "i0", "an8", "p1", "r", "c&H…". */
static void override(struct writer *w, const char *s, size_t n)
{
    char name = n ? s[0] : '\0', digit = n > 1 ? s[1] : '\0';
    int has_value = digit >= '0' && digit <= '9', on = has_value && digit != '0';

    if (n >= 3 && s[0] == 'a' && s[1] == 'n')
        w->top = s[2] >= '7' && s[2] <= '9';
    else if (name == 'r')
        w->want = 0;
    else if (name == 'p' && has_value)
        w->drawing = on;
    else if (name == 'b' && has_value) /* a weight: 400 is plain, 700 bold */
        flag(w, 0, n == 2 ? on : n == 4 && digit >= '6');
    else if ((name == 'i' || name == 'u') && has_value && n == 2)
        flag(w, name == 'i' ? 1 : 2, on);
}

/* "\i1\c&HFF&", between the braces. */
static void overrides(struct writer *w, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && s[end] != '\\')
            end++;
        if (s[i] == '\\')
            override(w, s + i + 1, end - i - 1);
        i = end;
    }
}

/* How many bytes of `s` (a backslash is first) are an escape; 0: none. What is
 * no ASS is made ASS by decoders that escape what ASS would take for markup. */
static size_t escape(struct writer *w, const char *s)
{
    switch (s[1]) {
    case 'N':
    case 'n':
        w->breaks = 1;
        return 2;
    case 'h':
        put_seen(w, nbsp, sizeof(nbsp) - 1);
        return 2;
    case '{':
    case '}':
    case '\\':
        put_seen(w, s + 1, 1);
        return 2;
    default:
        return 0;
    }
}

/* What ASS means by what begins at `s`; 0: it is a character like others. No
 * brace closes behind `last`: nobody looks for one that isn't there twice. */
static size_t markup(struct writer *w, const char *s, const char *last)
{
    const char *end = *s == '{' && s < last ? strchr(s, '}') : NULL;

    if (end) {
        overrides(w, s + 1, (size_t)(end - s - 1));
        return (size_t)(end - s) + 1;
    }
    return *s == '\\' ? escape(w, s) : 0;
}

static const char *behind_commas(const char *s)
{
    for (int i = 0; i < DIALOGUE_COMMAS; i++) {
        s = strchr(s, ',');
        if (!s)
            return "";
        s++;
    }
    return s;
}

int webvtt_text(const char *dialogue, int plain, char **ret, int *ret_top, int *ret_cut)
{
    _cleanup_free_ struct writer *w = calloc(1, sizeof(*w));
    _cleanup_free_ char *mended = strdup(plain ? dialogue : behind_commas(dialogue));

    if (!w || !mended)
        return -ENOMEM;
    utf8_mend(mended);
    const char *last = strrchr(mended, '}');
    last = last ? last : mended;
    for (const char *s = mended; *s && !w->cut;) {
        size_t n = plain ? 0 : markup(w, s, last);
        if (n == 0) {
            n = utf8_char(s, strnlen(s, 4));
            n = n ? n : 1;
            put_char(w, s, n);
        }
        s += n;
    }
    close_tags(w);
    w->buf[w->seen ? w->n : 0] = '\0';
    char *text = strdup(w->buf);
    if (!text)
        return -ENOMEM;
    *ret = text;
    *ret_top = w->top;
    *ret_cut = w->cut;
    return 0;
}

/* ---- files ---- */

static void put_time(FILE *f, int64_t ms)
{
    fprintf(f, "%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%03" PRId64, ms / 3600000,
            ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

static void put_cue(FILE *f, const struct cue *c)
{
    put_time(f, c->start);
    fputs(" --> ", f);
    put_time(f, c->end);
    if (c->settings[0])
        fprintf(f, " %s\n", c->settings);
    else
        fputs(c->top ? " line:0\n" : "\n", f);
    fprintf(f, "%s\n\n", c->text);
}

size_t webvtt_cue_bytes(const struct cue *c)
{
    return strlen(c->text) + strlen(c->settings) +
           48; /* two times, an arrow, a setting and line ends */
}

int webvtt_file(const struct cues *l, int64_t from, int64_t to, int map, char **ret,
                size_t *ret_len, size_t *ret_n)
{
    char *text = NULL;
    size_t len = 0, n = 0;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return -ENOMEM;
    fputs("WEBVTT\n", f);
    if (map)
        fputs("X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n", f);
    fputc('\n', f); /* and one behind each cue: some players join segments */
    for (size_t i = 0; i < l->n && l->v[i].start < to; i++)
        if (l->v[i].end > from) {
            put_cue(f, &l->v[i]);
            n++;
        }
    int failed = ferror(f);
    failed |= fclose(f) != 0;
    if (failed) {
        free(text);
        return -ENOMEM;
    }
    *ret = text;
    *ret_len = len;
    *ret_n = n;
    return 0;
}
