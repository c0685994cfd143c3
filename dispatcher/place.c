#include "place.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../common/base/cleanup.h"
#include "job.h"

static size_t bucket_of(const struct place *around, const char *part, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037) ^ (uintptr_t)around; /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)part[i]) * UINT64_C(1099511628211);
    return (size_t)((h ^ h >> 32) % PLACE_BUCKETS);
}

/* ---- URLs ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; what is no escape stays. */
static void unescape(char *s)
{
    char *out = s;

    for (; *s; s++, out++) {
        int h = *s == '%' ? hex(s[1]) : -1, l = h < 0 ? -1 : hex(s[2]);
        *out = l < 0 || h + l == 0 ? *s : (char)(h << 4 | l);
        s += l < 0 || h + l == 0 ? 0 : 2;
    }
    *out = '\0';
}

/* The URL as places have it: the scheme in small letters, and of a file its
 * path. NULL: out of memory. */
static char *plain(const char *url)
{
    char *s = strdup(url);

    if (!s)
        return NULL;
    for (char *p = s; *p && *p != ':'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    if (strncmp(s, "file://", 7) != 0)
        return s;
    if (strncasecmp(s + 7, "localhost/", 10) == 0)
        memmove(s + 7, s + 16, strlen(s + 16) + 1);
    unescape(s + 7);
    return s;
}

/* The next part of a URL, and how long it is; 0: there is none. Keys of S3 may
 * have empty parts; paths of files don't. */
static size_t next_part(const char **at, int is_file)
{
    while (is_file && **at == '/')
        ++*at;
    return strcspn(*at, "/");
}

/* ---- the tree ---- */

static struct place *find(struct places *all, struct place *around, const char *part, size_t n)
{
    struct place *p = all->buckets[bucket_of(around, part, n)];

    while (p && (p->around != around || p->len != n || memcmp(p->part, part, n) != 0))
        p = p->next;
    return p;
}

/* With a reference more; that of `around` is taken over, also on failure. */
static struct place *step_in(struct places *all, struct place *around, const char *part, size_t n)
{
    struct place *p = find(all, around, part, n);

    if (p) {
        p->refs++;
        place_put(all, around); /* the place has one */
        return p;
    }
    if (!(p = calloc(1, sizeof(*p) + n))) {
        place_put(all, around);
        return NULL;
    }
    struct place **bucket = &all->buckets[bucket_of(around, part, n)];
    memcpy(p->part, part, n);
    p->len = n;
    p->refs = 1;
    p->around = around;
    p->next = *bucket;
    *bucket = p;
    return p;
}

struct place *place_get(struct places *all, const char *url)
{
    _cleanup_free_ char *s = plain(url);

    if (!all->buckets && !(all->buckets = calloc(PLACE_BUCKETS, sizeof(struct place *))))
        return NULL;
    if (!s)
        return NULL;
    char *colon = strstr(s, "://");
    const char *at = colon ? colon + 3 : s;
    size_t end = strlen(s);
    int is_file = strncmp(s, "file:", 5) == 0;

    while (end > (size_t)(at - s) && s[end - 1] == '/')
        s[--end] = '\0';
    struct place *p = step_in(all, NULL, s, (size_t)(at - s));
    for (size_t n; p && *at; at += n + (at[n] == '/')) {
        n = next_part(&at, is_file);
        p = step_in(all, p, at, n);
    }
    return p;
}

void place_put(struct places *all, struct place *p)
{
    while (p && --p->refs == 0) {
        struct place **at = &all->buckets[bucket_of(p->around, p->part, p->len)];
        struct place *around = p->around;
        while (*at != p)
            at = &(*at)->next;
        *at = p->next;
        free(p);
        p = around;
    }
}

void place_add_job(struct place *p, struct live_job *j)
{
    p->refs++;
    j->neighbour = p->jobs;
    p->jobs = j;
    for (struct place *a = p->around; a; a = a->around)
        a->inside++;
}

void place_remove_job(struct place *p, struct live_job *j)
{
    struct live_job **at = &p->jobs;

    while (*at && *at != j)
        at = &(*at)->neighbour;
    if (!*at)
        return;
    *at = j->neighbour;
    j->neighbour = NULL;
    p->refs--; /* not the last: who calls holds one */
    for (struct place *a = p->around; a; a = a->around)
        a->inside--;
}

void places_release(struct places *all)
{
    free(all->buckets);
    all->buckets = NULL;
}
