#include "boxes.h"

#include "../child/inside.h"

#include <libavutil/intreadwrite.h>
#include <string.h>

enum {
    BOXES_MAX = 1 << 16, /* that are looked at */
    DEPTH_MAX = 16,      /* of boxes in boxes */
};

static int window_has(const struct boxes_walk *w, uint64_t at, size_t n)
{
    return at >= w->window_at && at - w->window_at <= w->window_n &&
           n <= w->window_n - (size_t)(at - w->window_at);
}

int boxes_read(struct boxes_walk *w, uint64_t at, void *buf, size_t n, size_t *ret_got)
{
    memset(buf, 0, n);
    *ret_got = 0;
    if (n > sizeof(w->window))
        return inside_read(w->in, at, buf, n, ret_got, w->err);
    if (!window_has(w, at, n)) {
        w->window_at = at;
        w->window_n = 0;
        int r = inside_read(w->in, at, w->window, sizeof(w->window), &w->window_n, w->err);
        if (r < 0)
            return r;
    }
    size_t from = (size_t)(at - w->window_at), there = w->window_n - from;
    *ret_got = n < there ? n : there;
    memcpy(buf, w->window + from, *ret_got);
    return 0;
}

/* The box at `at` of what ends at `end`. 1; 0: there is none, or it can't be. */
static int box_at(struct boxes_walk *w, uint64_t at, uint64_t end, struct media_box *ret)
{
    uint8_t head[16];
    size_t n, length = 8;

    if (at >= end || end - at < 8 || ++w->looked > BOXES_MAX)
        return 0;
    int r = boxes_read(w, at, head, sizeof(head), &n);
    if (r < 0 || n < 8)
        return r < 0 ? r : 0;
    uint64_t size = AV_RB32(head);
    if (size == 1 && n == 16) {
        size = AV_RB64(head + 8);
        length = 16;
    } else if (size == 0) {
        size = end - at;
    }
    /* What is cut off goes to the end. */
    if (size > end - at)
        size = end - at;
    if (size < length)
        return 0;
    *ret = (struct media_box){ AV_RB32(head + 4), at + length, at + size };
    return 1;
}

int boxes_walk(struct boxes_walk *w, uint64_t at, uint64_t end,
               int (*f)(struct boxes_walk *w, const struct media_box *b))
{
    struct media_box b;
    int r = 0;

    if (w->depth == DEPTH_MAX)
        return 0;
    w->depth++;
    while ((r = box_at(w, at, end, &b)) > 0) {
        r = f(w, &b);
        if (r != 0)
            break;
        at = b.end;
    }
    w->depth--;
    return r;
}
