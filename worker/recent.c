#include "recent.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

struct name {
    struct name *chain;         /* in its bucket */
    struct name *older, *newer; /* by time put */
    int64_t put_ns;
    char text[];
};

struct recent {
    size_t max, n;
    int64_t ttl_ns;
    struct name *oldest, *newest;
    struct name *buckets[BUCKETS];
};

struct recent *recent_new(size_t max, int64_t ttl_ns)
{
    struct recent *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->max = max;
    r->ttl_ns = ttl_ns;
    return r;
}

static struct name **bucket(struct recent *r, const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (const char *p = text; *p; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    return &r->buckets[(h ^ h >> 32) % BUCKETS];
}

static struct name *find(struct recent *r, const char *text)
{
    struct name *n = *bucket(r, text);

    while (n && strcmp(n->text, text) != 0)
        n = n->chain;
    return n;
}

static void unlink_age(struct recent *r, struct name *n)
{
    *(n->older ? &n->older->newer : &r->oldest) = n->newer;
    *(n->newer ? &n->newer->older : &r->newest) = n->older;
}

static void push_newest(struct recent *r, struct name *n)
{
    n->older = r->newest;
    n->newer = NULL;
    *(r->newest ? &r->newest->newer : &r->oldest) = n;
    r->newest = n;
}

static void forget(struct recent *r, struct name *n)
{
    struct name **p = bucket(r, n->text);

    while (*p != n)
        p = &(*p)->chain;
    *p = n->chain;
    unlink_age(r, n);
    r->n--;
    free(n);
}

void recent_free(struct recent *r)
{
    if (!r)
        return;
    while (r->oldest)
        forget(r, r->oldest);
    free(r);
}

static struct name *add(struct recent *r, const char *text)
{
    size_t size = strlen(text) + 1;
    struct name *n = calloc(1, sizeof(*n) + size);

    if (!n)
        return NULL;
    memcpy(n->text, text, size);
    struct name **head = bucket(r, text);
    n->chain = *head;
    *head = n;
    push_newest(r, n);
    r->n++;
    return n;
}

void recent_put(struct recent *r, const char *name, int64_t now_ns)
{
    struct name *n = find(r, name);

    if (n) {
        unlink_age(r, n);
        push_newest(r, n);
    } else {
        n = add(r, name);
    }
    if (n)
        n->put_ns = now_ns;
    while (r->oldest && r->oldest != n && (r->n > r->max || now_ns - r->oldest->put_ns > r->ttl_ns))
        forget(r, r->oldest);
}

void recent_drop(struct recent *r, const char *name)
{
    struct name *n = find(r, name);

    if (n)
        forget(r, n);
}

void recent_drop_all(struct recent *r, const char *prefix)
{
    size_t len = strlen(prefix);

    for (struct name *n = r->oldest, *newer; n; n = newer) {
        newer = n->newer;
        if (strncmp(n->text, prefix, len) == 0)
            forget(r, n);
    }
}

int recent_has(struct recent *r, const char *name, int64_t now_ns)
{
    const struct name *n = find(r, name);

    return n && now_ns - n->put_ns <= r->ttl_ns;
}
