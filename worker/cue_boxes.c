#include "cue_boxes.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/macros.h>

struct box {
    uint32_t type;
    const uint8_t *body;
    size_t size;
};

static int box_next(const uint8_t **at, const uint8_t *end, struct box *ret)
{
    size_t left = (size_t)(end - *at);

    if (left == 0)
        return 0;
    uint32_t size = left >= 8 ? AV_RB32(*at) : 0;
    if (size < 8 || size > left)
        return -EINVAL;
    *ret = (struct box){ AV_RB32(*at + 4), *at + 8, size - 8 };
    *at += size;
    return 1;
}

/* What is in a cue: its payload, and settings before or behind it. */
static int cue_open(const struct box *cue, struct cue_box *ret)
{
    const uint8_t *at = cue->body, *end = at + cue->size;
    struct box b;
    int r;

    *ret = (struct cue_box){ 0 };
    while ((r = box_next(&at, end, &b)) > 0) {
        if (b.type == MKBETAG('p', 'a', 'y', 'l')) {
            ret->payload = b.body;
            ret->size = b.size;
        } else if (b.type == MKBETAG('s', 't', 't', 'g')) {
            webvtt_settings((const char *)b.body, b.size, ret->settings);
        }
    }
    return r;
}

int cue_box_next(const uint8_t **at, const uint8_t *end, struct cue_box *ret)
{
    struct box b;
    int r;

    while ((r = box_next(at, end, &b)) > 0) {
        if (b.type != MKBETAG('v', 't', 't', 'c'))
            continue;
        r = cue_open(&b, ret);
        if (r < 0 || ret->size > 0)
            return r < 0 ? r : 1;
    }
    return r;
}
