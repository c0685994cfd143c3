#include "obu.h"

#include "../base/err.h"
#include "bits.h"
#include "bitstream.h"
#include "cc_data.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <limits.h>
#include <string.h>

/* AV1, 5.3 to 5.9 and 6.2.2. */
enum {
    OBU_SEQUENCE = 1,
    OBU_DELIMITER = 2,
    OBU_FRAME_HEADER = 3,
    OBU_TILE_GROUP = 4,
    OBU_METADATA = 5,
    OBU_FRAME = 6,
    OBU_HEADER_AGAIN = 7,
    OBU_PADDING = 15,
    METADATA_T35 = 4,
    KEY_FRAME = 0,
    SIZE_MAX_BYTES = 8, /* of a leb128 */
    AV1C_HEAD = 4,
    LEVEL_MAX_PARAMETERS = 31,
    ONE_LAYER = 0x101, /* operating_point_idc: of space and of time */
};

struct obu {
    unsigned type;
    int layer;        /* it says of which layer it is, and that isn't the first */
    const uint8_t *p; /* the payload */
    size_t n;
};

/* ---- units ---- */

static int read_size(const uint8_t **at, const uint8_t *end, size_t *ret)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < SIZE_MAX_BYTES && *at < end; i++) {
        uint8_t byte = *(*at)++;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        if (v > (uint64_t)(end - *at))
            return -EINVAL;
        *ret = (size_t)v;
        return 0;
    }
    return -EINVAL;
}

/* The next unit: 1, or 0 at the end, or -EINVAL for what is none. The last one
 * of a packet may go without its size. */
static int next_obu(const uint8_t **at, const uint8_t *end, struct obu *ret)
{
    if (*at == end)
        return 0;
    uint8_t head = *(*at)++;
    *ret = (struct obu){ .type = head >> 3 & 15u };
    if (head & 0x80 || (head & 4 && *at == end)) /* obu_forbidden_bit */
        return -EINVAL;
    if (head & 4)
        ret->layer = *(*at)++ >> 3 != 0;
    ret->n = (size_t)(end - *at);
    if (head & 2 && read_size(at, end, &ret->n) < 0)
        return -EINVAL;
    ret->p = *at;
    *at += ret->n;
    return 1;
}

static int same(const struct obu *a, const struct obu *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static size_t size_bytes(size_t n)
{
    size_t bytes = 1;

    while (n >>= 7)
        bytes++;
    return bytes;
}

/* With its size and nothing of layers. */
static size_t length(const struct obu *u)
{
    return 1 + size_bytes(u->n) + u->n;
}

static size_t put(uint8_t *to, const struct obu *u)
{
    uint8_t *at = to;
    size_t n = u->n;

    *at++ = (uint8_t)(u->type << 3 | 2);
    for (; n > 0x7f; n >>= 7)
        *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)n;
    memcpy(at, u->p, u->n);
    return length(u);
}

/* ---- the sequence header ---- */

static void skip_timing(struct bits *b)
{
    (void)bits_get(b, 32);
    (void)bits_get(b, 32);
    if (bits_get(b, 1))
        (void)bits_golomb(b);
    if (!bits_get(b, 1))
        return;
    (void)bits_get(b, 5); /* the decoder model */
    (void)bits_get(b, 32);
    (void)bits_get(b, 10);
}

/* 5.5.1, up to the first operating point. Why it isn't passed on, or NULL. */
static const char *read_sequence(const struct obu *u, struct bitstream_facts *ret)
{
    struct bits b;

    bits_plain(u->p, u->n, &b);
    *ret = (struct bitstream_facts){ .profile = (int)bits_get(&b, 3) };
    if (bits_get(&b, 2)) /* still_picture, reduced_still_picture_header */
        return "the source is a still picture";
    if (bits_get(&b, 1))
        skip_timing(&b);
    (void)bits_get(&b, 1);
    unsigned more = bits_get(&b, 5), layers = bits_get(&b, 12);
    if (more > 0 || (layers != 0 && layers != ONE_LAYER))
        return "the source has layers";
    ret->level = (int)bits_get(&b, 5);
    ret->high_tier = ret->level > 7 && bits_get(&b, 1);
    if (ret->level == LEVEL_MAX_PARAMETERS)
        return "the source's level has no limits";
    return b.at > 8 * b.n ? "the source's header is cut off" : NULL;
}

/* The one sequence header among units: 1, or 0: there is none. */
static int find_sequence(const uint8_t *p, const uint8_t *end, struct obu *ret)
{
    struct obu u;
    int r, found = 0;

    while ((r = next_obu(&p, end, &u)) > 0) {
        if (u.type != OBU_SEQUENCE)
            continue;
        if (u.layer || (found && !same(&u, ret)))
            return -EINVAL;
        found = 1;
        *ret = u;
    }
    return r < 0 ? r : found;
}

int obu_header_read(const uint8_t *p, size_t n, struct obu_header *ret, struct err *err)
{
    size_t head = n > 0 && p[0] == 0x81 ? AV1C_HEAD : 0; /* marker and version */
    struct obu u;
    int r = find_sequence(p + (head < n ? head : n), p + n, &u);

    if (r <= 0)
        return err_set(err, -EINVAL, ERR_INPUT,
                       r < 0 ? "the source's header can't be read"
                             : "the source's header lacks a sequence header");
    ret->p = calloc(1, length(&u) + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!ret->p)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a bitstream");
    ret->n = put(ret->p, &u);
    return 0;
}

/* `h` is what obu_header_read() made. */
static struct obu sequence_of(const struct obu_header *h)
{
    const uint8_t *at = h->p;
    struct obu u;

    (void)next_obu(&at, h->p + h->n, &u);
    return u;
}

const char *obu_obstacle(const struct obu_header *h)
{
    struct bitstream_facts facts;
    struct obu u = sequence_of(h);

    return read_sequence(&u, &facts);
}

void obu_facts(const struct obu_header *h, struct bitstream_facts *ret)
{
    struct obu u = sequence_of(h);

    (void)read_sequence(&u, ret);
}

/* ---- packets ---- */

/* Behind the leb128 of a metadata unit's type where that is T.35 (5.8.1, 6.7.1); else 0. */
static size_t obu_t35_head(const struct obu *u)
{
    const uint8_t *at = u->p;
    size_t type;

    if (u->type != OBU_METADATA || read_size(&at, u->p + u->n, &type) < 0 || type != METADATA_T35)
        return 0;
    return (size_t)(at - u->p);
}

int obu_next_t35(const uint8_t **at, const uint8_t *end, const uint8_t **ret, size_t *ret_n)
{
    struct obu u;

    while (next_obu(at, end, &u) > 0) {
        size_t head = obu_t35_head(&u);
        if (head == 0)
            continue;
        *ret = u.p + head;
        *ret_n = u.n - head;
        return 1;
    }
    return 0;
}

struct tally {
    unsigned frames, shown;
    int key;      /* the first frame is a key frame, and shown */
    size_t bytes; /* of what is kept */
};

/* 5.9.2: the first bits of a frame's header. */
static void count_frame(const struct obu *u, struct tally *t)
{
    struct bits b;

    bits_plain(u->p, u->n < 1 ? u->n : 1, &b);
    int again = (int)bits_get(&b, 1);
    unsigned type = bits_get(&b, 2);
    int shown = again || bits_get(&b, 1);
    if (t->frames++ == 0)
        t->key = !again && type == KEY_FRAME && shown;
    t->shown += (unsigned)shown;
}

/* Playlists say that there are no captions in the pictures. */
static int obu_is_captions(const struct obu *u)
{
    size_t head = obu_t35_head(u);

    return head > 0 && cc_is_t35(u->p + head, u->n - head);
}

static int is_kept(const struct obu *u)
{
    return u->type != OBU_SEQUENCE && u->type != OBU_DELIMITER && u->type != OBU_PADDING &&
           !obu_is_captions(u);
}

static int count_obu(const struct obu_header *known, const struct obu *u, struct tally *t,
                     struct err *err)
{
    struct obu k;

    switch (u->type) {
    case OBU_SEQUENCE:
        k = sequence_of(known);
        if (!same(u, &k))
            return err_set(err, -EINVAL, ERR_INPUT,
                           "the source's sequence header isn't that of its container, or changes");
        break;
    case OBU_FRAME_HEADER:
    case OBU_FRAME:
        count_frame(u, t);
        break;
    case OBU_DELIMITER:
    case OBU_TILE_GROUP:
    case OBU_METADATA:
    case OBU_HEADER_AGAIN:
    case OBU_PADDING:
        break;
    default:
        return err_set(err, -EINVAL, ERR_INPUT, "the source has OBUs of type %u", u->type);
    }
    if (u->layer)
        return err_set(err, -EINVAL, ERR_INPUT, "the source has layers");
    if (is_kept(u))
        t->bytes += length(u);
    return 0;
}

static int count_all(const struct obu_header *known, const AVPacket *from, struct tally *t,
                     struct err *err)
{
    const uint8_t *at = from->data, *end = at + from->size;
    struct obu u;
    int r;

    while ((r = next_obu(&at, end, &u)) > 0)
        if ((r = count_obu(known, &u, t, err)) < 0)
            return r;
    if (r < 0)
        return err_set(err, r, ERR_INPUT, "the source is damaged");
    if (t->shown != 1)
        return err_set(err, -EINVAL, ERR_INPUT, "a packet of the source isn't one whole picture");
    return 0;
}

int obu_packet(const struct obu_header *known, const struct obu_header *told, const AVPacket *from,
               AVPacket *to, int *ret_idr, struct err *err)
{
    const uint8_t *at = from->data, *end = at + from->size;
    struct tally t = { 0 };
    struct obu u;
    size_t n = 0;
    int r = count_all(known, from, &t, err);

    if (r < 0)
        return r;
    *ret_idr = t.key && t.frames == 1;
    if (!to)
        return 0;
    if (*ret_idr)
        t.bytes += told->n;
    if (t.bytes > INT_MAX || av_new_packet(to, (int)t.bytes) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a bitstream");
    if (*ret_idr) {
        memcpy(to->data, told->p, told->n);
        n = told->n;
    }
    while (next_obu(&at, end, &u) > 0)
        if (is_kept(&u))
            n += put(to->data + n, &u);
    return 0;
}
