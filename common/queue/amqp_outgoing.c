/* amqp_outgoing.c - messages on their way to the broker, and who waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "amqp_parts.h"

struct outgoing *outgoing_new(const char *key, const void *body, size_t len)
{
    struct outgoing *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->key = strdup(key);
    m->body = malloc(len + 1);
    if (!m->key || !m->body) {
        outgoing_free(m);
        return NULL;
    }
    if (len > 0)
        memcpy(m->body, body, len);
    m->len = len;
    return m;
}

void outgoing_free(struct outgoing *m)
{
    if (!m)
        return;
    free(m->key);
    free(m->from);
    free(m->reason);
    free(m->body);
    free(m);
}

void outgoing_init(struct outgoing_list *l)
{
    *l = (struct outgoing_list){ .tail = &l->head };
}

void outgoing_push(struct outgoing_list *l, struct outgoing *m)
{
    m->next = NULL;
    *l->tail = m;
    l->tail = &m->next;
    l->n++;
}

void outgoing_push_head(struct outgoing_list *l, struct outgoing *m)
{
    m->next = l->head;
    l->head = m;
    if (!m->next)
        l->tail = &m->next;
    l->n++;
}

/* Take the message that `at`, a link of the list, points to off it. */
void outgoing_remove(struct outgoing_list *l, struct outgoing **at)
{
    struct outgoing *m = *at;

    *at = m->next;
    if (!m->next)
        l->tail = at;
    l->n--;
}

struct outgoing *outgoing_pop(struct outgoing_list *l)
{
    struct outgoing *m = l->head;

    if (m)
        outgoing_remove(l, &l->head);
    return m;
}

void outgoing_clear(struct outgoing_list *l)
{
    struct outgoing *m;

    while ((m = outgoing_pop(l)))
        outgoing_done(m, -ESHUTDOWN, NULL);
}

struct batch *batch_new(pthread_cond_t *done)
{
    struct batch *b = calloc(1, sizeof(*b));

    if (b)
        b->err = calloc(1, sizeof(*b->err));
    if (!b || !b->err) {
        free(b);
        return NULL;
    }
    b->refs = 1;
    b->done = done;
    return b;
}

void batch_unref(struct batch *b)
{
    if (!b || --b->refs > 0)
        return;
    free(b->err);
    free(b);
}

void outgoing_done(struct outgoing *m, int r, const struct err *err)
{
    struct batch *b = m->batch;

    if (b) {
        b->left--;
        if (r < 0 && b->r == 0) {
            b->r = r;
            if (err)
                *b->err = *err;
        }
        if (b->left == 0 || b->r < 0)
            (void)pthread_cond_broadcast(b->done);
        batch_unref(b);
    }
    outgoing_free(m);
}
