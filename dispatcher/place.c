#include "place.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What of the URL counts. */
static size_t length(const char *url)
{
    size_t n = strlen(url);

    while (n > 0 && url[n - 1] == '/')
        n--;
    return n;
}

static size_t bucket_of(const char *url, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)url[i]) * UINT64_C(1099511628211);
    return (size_t)(h % PLACE_BUCKETS);
}

struct place *place_get(struct places *all, const char *url)
{
    size_t n = length(url), b = bucket_of(url, n);

    if (!all->buckets && !(all->buckets = calloc(PLACE_BUCKETS, sizeof(struct place *))))
        return NULL;
    struct place *p = all->buckets[b];
    while (p && (strncmp(p->text, url, n) != 0 || p->text[n]))
        p = p->next;
    if (!p && (p = calloc(1, sizeof(*p) + n + 1))) {
        memcpy(p->text, url, n);
        p->next = all->buckets[b];
        all->buckets[b] = p;
    }
    if (p)
        p->refs++;
    return p;
}

void place_put(struct places *all, struct place *p)
{
    if (!p || --p->refs > 0)
        return;
    struct place **at = &all->buckets[bucket_of(p->text, strlen(p->text))];
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free(p);
}

void places_release(struct places *all)
{
    free(all->buckets);
    all->buckets = NULL;
}
