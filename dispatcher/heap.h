/* heap.h - a binary heap whose elements know their place in it, so that any
 * of them may move or leave in O(log n). Pure; private to dispatcher/.
 */
#ifndef GOPMILL_DISPATCHER_HEAP_H
#define GOPMILL_DISPATCHER_HEAP_H

#include <stddef.h>

#define HEAP_NOWHERE ((size_t)-1)

struct heap {
    void **v; /* borrowed elements; the least at 0 */
    size_t n, cap;
    int (*less)(const void *a, const void *b);
    size_t *(*at)(void *e); /* where an element keeps its place; HEAP_NOWHERE: in no heap */
};

void heap_release(struct heap *h);
int heap_reserve(struct heap *h, size_t n); /* room for n in all: 0 or -ENOMEM */
void heap_push(struct heap *h, void *e);    /* there must be room */
void heap_remove(struct heap *h, void *e);  /* a no-op where it is nowhere */
void heap_fix(struct heap *h, void *e);     /* its order has changed */

#endif
