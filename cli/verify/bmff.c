#include "bmff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "cursor.h"

const char *fourcc_text(uint32_t type, char buf[5])
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned char ch = (unsigned char)(type >> (24 - 8 * i));
        buf[i] = ch > 0x20 && ch < 0x7f ? (char)ch : '?';
    }
    buf[4] = '\0';
    return buf;
}

int box_next(struct box_iter *it, struct box *ret, struct err *err)
{
    char name[5];
    size_t left = it->end - it->pos;
    if (!left)
        return 0;
    struct cursor c = cursor_of(it->base + it->pos, left);
    uint64_t size = cursor_u32(&c);
    uint32_t type = cursor_u32(&c);
    size_t head = 8;
    if (c.bad)
        return err_set(err, -EINVAL, ERR_INPUT, "at byte %zu: %zu bytes are no box", it->pos, left);
    if (size == 1) {
        size = cursor_u64(&c);
        head = 16;
    }
    if (c.bad || size < head || size > left)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "at byte %zu: box %s claims %llu bytes where %zu are left", it->pos,
                       fourcc_text(type, name), (unsigned long long)size, left);
    *ret = (struct box){ .type = type,
                         .off = it->pos,
                         .size = (size_t)size,
                         .body = it->base + it->pos + head,
                         .len = (size_t)size - head };
    it->pos += (size_t)size;
    return 1;
}

struct box_iter box_children(const uint8_t *base, const struct box *b, size_t skip)
{
    size_t start = (size_t)(b->body - base);
    if (skip > b->len)
        skip = b->len;
    return (struct box_iter){ .base = base, .pos = start + skip, .end = start + b->len };
}

static int short_box(const struct box *b, struct err *err)
{
    char name[5];
    return err_set(err, -EINVAL, ERR_INPUT, "at byte %zu: box %s is too short for its fields",
                   b->off, fourcc_text(b->type, name));
}

/* ---- init segment ---- */

struct init_walk {
    const uint8_t *base;
    unsigned depth;
    struct bmff_init *i;
};

enum { DEPTH_MAX = 12, SAMPLES_MAX = 1 << 20, MOOFS_MAX = 1 << 16 };

typedef int (*box_fn)(void *arg, const struct box *b, struct err *err);

static int walk(const uint8_t *base, const struct box *parent, size_t skip, box_fn fn, void *arg,
                struct err *err)
{
    struct box_iter it = box_children(base, parent, skip);
    struct box b;
    int r;
    while ((r = box_next(&it, &b, err)) > 0) {
        r = fn(arg, &b, err);
        if (r < 0)
            return r;
    }
    return r;
}

static int parse_ftyp(struct bmff_init *i, const struct box *b, struct err *err)
{
    if (b->len < 8 || b->len % 4)
        return short_box(b, err);
    struct cursor c = cursor_of(b->body, b->len);
    i->has_ftyp = 1;
    i->n_brands = 0;
    i->brands[i->n_brands++] = cursor_u32(&c);
    (void)cursor_u32(&c); /* minor version */
    while (cursor_left(&c) && i->n_brands < BMFF_BRANDS_MAX)
        i->brands[i->n_brands++] = cursor_u32(&c);
    return 0;
}

/* mvhd and mdhd begin alike. */
static int parse_times(const struct box *b, uint32_t *timescale, uint64_t *duration,
                       struct err *err)
{
    struct cursor c = cursor_of(b->body, b->len);
    int v1 = cursor_u8(&c) == 1;
    cursor_skip(&c, v1 ? 3 + 16 : 3 + 8);
    *timescale = cursor_u32(&c);
    *duration = v1 ? cursor_u64(&c) : cursor_u32(&c);
    if (!v1 && *duration == UINT32_MAX)
        *duration = 0;
    return c.bad ? short_box(b, err) : 0;
}

static int parse_tkhd(struct bmff_init *i, const struct box *b, struct err *err)
{
    struct cursor c = cursor_of(b->body, b->len);
    int v1 = cursor_u8(&c) == 1;
    cursor_skip(&c, v1 ? 3 + 16 : 3 + 8);
    i->track_id = cursor_u32(&c);
    cursor_skip(&c, (v1 ? 12 : 8) + 52);
    i->tkhd_width = cursor_u32(&c);
    i->tkhd_height = cursor_u32(&c);
    return c.bad ? short_box(b, err) : 0;
}

static int parse_elst(struct bmff_init *i, const struct box *b, struct err *err)
{
    struct cursor c = cursor_of(b->body, b->len);
    int v1 = cursor_u8(&c) == 1;
    cursor_skip(&c, 3);
    i->n_edits = cursor_u32(&c);
    if (i->n_edits) {
        i->edit_duration = v1 ? cursor_u64(&c) : cursor_u32(&c);
        i->edit_media_time = v1 ? (int64_t)cursor_u64(&c) : (int32_t)cursor_u32(&c);
        cursor_skip(&c, 4);
    }
    return c.bad ? short_box(b, err) : 0;
}

static void keep_config(struct bmff_init *i, uint32_t type, const uint8_t *p, size_t len)
{
    i->config_type = type;
    i->config_len = len < BMFF_CONFIG_MAX ? len : BMFF_CONFIG_MAX;
    memcpy(i->config, p, i->config_len);
}

static int on_entry_child(void *arg, const struct box *b, struct err *err)
{
    struct init_walk *w = arg;
    struct bmff_init *i = w->i;
    struct cursor c = cursor_of(b->body, b->len);
    switch (b->type) {
    case FOURCC('a', 'v', 'c', 'C'):
    case FOURCC('h', 'v', 'c', 'C'):
    case FOURCC('a', 'v', '1', 'C'):
    case FOURCC('d', 'O', 'p', 's'):
    case FOURCC('e', 's', 'd', 's'):
        keep_config(i, b->type, b->body, b->len);
        return 0;
    case FOURCC('p', 'a', 's', 'p'):
        i->pasp_h = cursor_u32(&c);
        i->pasp_v = cursor_u32(&c);
        return c.bad ? short_box(b, err) : 0;
    case FOURCC('c', 'o', 'l', 'r'):
        if (cursor_u32(&c) != FOURCC('n', 'c', 'l', 'x'))
            return c.bad ? short_box(b, err) : 0;
        i->has_colr = 1;
        i->primaries = cursor_u16(&c);
        i->transfer = cursor_u16(&c);
        i->matrix = cursor_u16(&c);
        i->full_range = cursor_u8(&c) >> 7;
        return c.bad ? short_box(b, err) : 0;
    default:
        return 0;
    }
}

static int parse_stsd(struct init_walk *w, const struct box *b, struct err *err)
{
    struct bmff_init *i = w->i;
    struct cursor c = cursor_of(b->body, b->len);
    (void)cursor_u32(&c);
    i->n_entries = cursor_u32(&c);
    if (c.bad)
        return short_box(b, err);
    struct box_iter it = box_children(w->base, b, 8);
    struct box e;
    int r = box_next(&it, &e, err);
    if (r <= 0)
        return r;
    i->entry = e.type;
    c = cursor_of(e.body, e.len);
    size_t skip;
    if (i->handler == FOURCC('v', 'i', 'd', 'e')) {
        cursor_skip(&c, 24);
        i->width = cursor_u16(&c);
        i->height = cursor_u16(&c);
        skip = 78;
    } else {
        cursor_skip(&c, 16);
        i->channels = cursor_u16(&c);
        cursor_skip(&c, 6);
        i->sample_rate = cursor_u32(&c) >> 16;
        skip = 28;
    }
    if (e.len < skip)
        return short_box(&e, err);
    return walk(w->base, &e, skip, on_entry_child, w, err);
}

static uint32_t count_at(const struct box *b, size_t skip)
{
    struct cursor c = cursor_of(b->body, b->len);
    cursor_skip(&c, skip);
    return cursor_u32(&c);
}

static int descend(struct init_walk *w, const struct box *b, struct err *err);

static int on_init_box(void *arg, const struct box *b, struct err *err)
{
    struct init_walk *w = arg;
    struct bmff_init *i = w->i;
    struct cursor c = cursor_of(b->body, b->len);
    switch (b->type) {
    case FOURCC('t', 'r', 'a', 'k'):
        i->n_trak++;
        return descend(w, b, err);
    case FOURCC('m', 'v', 'e', 'x'):
        i->n_mvex++;
        return descend(w, b, err);
    case FOURCC('m', 'd', 'i', 'a'):
    case FOURCC('m', 'i', 'n', 'f'):
    case FOURCC('s', 't', 'b', 'l'):
    case FOURCC('e', 'd', 't', 's'):
        return descend(w, b, err);
    case FOURCC('m', 'v', 'h', 'd'):
        return parse_times(b, &i->movie_timescale, &i->movie_duration, err);
    case FOURCC('m', 'd', 'h', 'd'):
        return parse_times(b, &i->timescale, &i->media_duration, err);
    case FOURCC('t', 'k', 'h', 'd'):
        return parse_tkhd(i, b, err);
    case FOURCC('e', 'l', 's', 't'):
        return parse_elst(i, b, err);
    case FOURCC('h', 'd', 'l', 'r'):
        cursor_skip(&c, 8);
        i->handler = cursor_u32(&c);
        return c.bad ? short_box(b, err) : 0;
    case FOURCC('s', 't', 's', 'd'):
        return parse_stsd(w, b, err);
    case FOURCC('s', 't', 's', 'z'):
        i->samples += count_at(b, 8);
        return 0;
    case FOURCC('s', 't', 't', 's'):
        i->times += count_at(b, 4);
        return 0;
    case FOURCC('s', 't', 'c', 'o'):
    case FOURCC('c', 'o', '6', '4'):
        i->chunks += count_at(b, 4);
        return 0;
    case FOURCC('t', 'r', 'e', 'x'):
        cursor_skip(&c, 4);
        i->trex_track_id = cursor_u32(&c);
        cursor_skip(&c, 4);
        i->def_duration = cursor_u32(&c);
        i->def_size = cursor_u32(&c);
        i->def_flags = cursor_u32(&c);
        return c.bad ? short_box(b, err) : 0;
    default:
        return 0;
    }
}

/* Boxes inside boxes, as deep as files really go. */
static int descend(struct init_walk *w, const struct box *b, struct err *err)
{
    if (w->depth >= DEPTH_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "at byte %zu: boxes nest deeper than %d", b->off,
                       DEPTH_MAX);
    w->depth++;
    int r = walk(w->base, b, 0, on_init_box, w, err);
    w->depth--;
    return r;
}

int bmff_init_parse(const uint8_t *buf, size_t len, struct bmff_init *ret, struct err *err)
{
    struct bmff_init i = { 0 };
    struct init_walk w = { .base = buf, .i = &i };
    struct box_iter it = { .base = buf, .end = len };
    struct box b;
    int r;
    while ((r = box_next(&it, &b, err)) > 0) {
        r = 0;
        if (b.type == FOURCC('f', 't', 'y', 'p')) {
            r = parse_ftyp(&i, &b, err);
        } else if (b.type == FOURCC('m', 'o', 'o', 'v')) {
            i.n_moov++;
            r = walk(buf, &b, 0, on_init_box, &w, err);
        } else if (b.type != FOURCC('f', 'r', 'e', 'e')) {
            i.n_other++;
        }
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    if (!i.n_moov || !i.n_trak || !i.timescale || !i.entry)
        return err_set(err, -EINVAL, ERR_INPUT, "no moov with a track, a timescale and a codec");
    *ret = i;
    return 0;
}

/* ---- media segments ---- */

struct seg_walk {
    const uint8_t *base;
    size_t len;
    const struct bmff_init *init;
    struct bmff_segment *s;
    struct bmff_moof *m;
    uint32_t def_duration, def_size, def_flags;
    uint64_t data_base, data_next; /* where the next trun's data lies */
    int64_t dts;
    size_t room;
};

static int parse_tfhd(struct seg_walk *w, const struct box *b, struct err *err)
{
    struct cursor c = cursor_of(b->body, b->len);
    uint32_t flags = cursor_u32(&c) & 0xffffff;
    w->m->tfhd_flags = flags;
    w->m->track_id = cursor_u32(&c);
    if (flags & 0x1)
        w->data_base = cursor_u64(&c);
    if (flags & 0x2)
        cursor_skip(&c, 4);
    if (flags & 0x8)
        w->def_duration = cursor_u32(&c);
    if (flags & 0x10)
        w->def_size = cursor_u32(&c);
    if (flags & 0x20)
        w->def_flags = cursor_u32(&c);
    w->data_next = w->data_base;
    return c.bad ? short_box(b, err) : 0;
}

static int parse_tfdt(struct seg_walk *w, const struct box *b, struct err *err)
{
    struct cursor c = cursor_of(b->body, b->len);
    w->m->tfdt_version = cursor_u8(&c);
    cursor_skip(&c, 3);
    w->m->tfdt = w->m->tfdt_version ? cursor_u64(&c) : cursor_u32(&c);
    w->m->n_tfdt++;
    if (c.bad)
        return short_box(b, err);
    if (w->m->tfdt > INT64_C(1) << 55)
        return err_set(err, -EINVAL, ERR_INPUT, "at byte %zu: tfdt is beyond all reason", b->off);
    w->dts = (int64_t)w->m->tfdt;
    return 0;
}

static int add_sample(struct seg_walk *w, const struct bmff_sample *s)
{
    if (w->s->n_samples == w->room) {
        size_t room = w->room ? w->room * 2 : 256;
        struct bmff_sample *grown = realloc(w->s->samples, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        w->s->samples = grown;
        w->room = room;
    }
    w->s->samples[w->s->n_samples++] = *s;
    w->m->n_samples++;
    return 0;
}

static int trun_sample(struct seg_walk *w, struct cursor *c, uint32_t flags, uint32_t first_flags,
                       int signed_cto, const struct box *b, struct err *err)
{
    struct bmff_sample s = { .dts = w->dts, .off = w->data_next };
    s.duration = flags & 0x100 ? cursor_u32(c) : w->def_duration;
    s.size = flags & 0x200 ? cursor_u32(c) : w->def_size;
    s.flags = flags & 0x400 ? cursor_u32(c) : first_flags;
    uint32_t cto = flags & 0x800 ? cursor_u32(c) : 0;
    s.pts = w->dts + (signed_cto ? (int64_t)(int32_t)cto : (int64_t)cto);
    if (c->bad)
        return short_box(b, err);
    if (s.off > w->len || s.size > w->len - s.off)
        return err_set(err, -EINVAL, ERR_INPUT,
                       "trun at byte %zu: a sample of %u bytes at %llu is not in the file", b->off,
                       s.size, (unsigned long long)s.off);
    w->data_next += s.size;
    w->dts += s.duration;
    w->m->duration += s.duration;
    return add_sample(w, &s);
}

static int parse_trun(struct seg_walk *w, const struct box *b, struct err *err)
{
    struct cursor c = cursor_of(b->body, b->len);
    uint32_t vf = cursor_u32(&c), flags = vf & 0xffffff;
    uint32_t n = cursor_u32(&c), first_flags = w->def_flags;
    if (flags & 0x1)
        w->data_next = w->data_base + (uint64_t)(int64_t)(int32_t)cursor_u32(&c);
    if (flags & 0x4)
        first_flags = cursor_u32(&c);
    w->m->n_trun++;
    if (c.bad)
        return short_box(b, err);
    /* Samples may carry no field at all, so the box's length bounds nothing:
     * a sample of no bytes makes no sense, the file's length does. */
    if (n > w->len || n > SAMPLES_MAX - w->s->n_samples)
        return err_set(err, -EINVAL, ERR_INPUT, "trun at byte %zu: %u samples in %zu bytes", b->off,
                       n, w->len);
    for (uint32_t i = 0; i < n; i++) {
        int r = trun_sample(w, &c, flags, i ? w->def_flags : first_flags, (vf >> 24) != 0, b, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int on_moof_box(void *arg, const struct box *b, struct err *err)
{
    struct seg_walk *w = arg;
    switch (b->type) {
    case FOURCC('m', 'f', 'h', 'd'):
        if (b->len < 8)
            return short_box(b, err);
        w->m->n_mfhd++;
        w->m->sequence = count_at(b, 4);
        return 0;
    case FOURCC('t', 'r', 'a', 'f'):
        if (w->m->n_traf++)
            return 0; /* one too many: only counted */
        return walk(w->base, b, 0, on_moof_box, w, err);
    case FOURCC('t', 'f', 'h', 'd'):
        return parse_tfhd(w, b, err);
    case FOURCC('t', 'f', 'd', 't'):
        return parse_tfdt(w, b, err);
    case FOURCC('t', 'r', 'u', 'n'):
        return parse_trun(w, b, err);
    default:
        return 0;
    }
}

static int parse_moof(struct seg_walk *w, const struct box *b, struct err *err)
{
    struct bmff_segment *s = w->s;
    if (s->n_moofs == MOOFS_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "more than %d moofs in a segment", MOOFS_MAX);
    struct bmff_moof *grown = realloc(s->moofs, (s->n_moofs + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->moofs = grown;
    w->m = &s->moofs[s->n_moofs++];
    *w->m = (struct bmff_moof){
        .off = b->off, .end = b->off + b->size, .first_sample = s->n_samples, .tfdt_version = -1
    };
    w->def_duration = w->init->def_duration;
    w->def_size = w->init->def_size;
    w->def_flags = w->init->def_flags;
    w->data_base = w->data_next = b->off;
    w->dts = 0;
    return walk(w->base, b, 0, on_moof_box, w, err);
}

static int parse_segment_boxes(struct seg_walk *w, struct err *err)
{
    struct box_iter it = { .base = w->base, .end = w->len };
    struct box b;
    int r;
    while ((r = box_next(&it, &b, err)) > 0) {
        r = 0;
        switch (b.type) {
        case FOURCC('s', 't', 'y', 'p'):
            w->s->n_styp++;
            break;
        case FOURCC('s', 'i', 'd', 'x'):
            w->s->n_sidx++;
            break;
        case FOURCC('e', 'm', 's', 'g'):
        case FOURCC('p', 'r', 'f', 't'):
            w->s->n_emsg++;
            break;
        case FOURCC('f', 'r', 'e', 'e'):
            break;
        case FOURCC('m', 'o', 'o', 'f'):
            r = parse_moof(w, &b, err);
            break;
        case FOURCC('m', 'd', 'a', 't'):
            if (!w->m) {
                w->s->mdat_orphans++;
                break;
            }
            if (!w->m->n_mdat++) {
                w->m->mdat_off = (size_t)(b.body - w->base);
                w->m->mdat_len = b.len;
            }
            w->m->end = b.off + b.size;
            break;
        default:
            w->s->n_other++;
        }
        if (r < 0)
            return r;
    }
    return r;
}

int bmff_segment_parse(const uint8_t *buf, size_t len, const struct bmff_init *init,
                       struct bmff_segment *ret, struct err *err)
{
    struct bmff_segment s = { 0 };
    struct seg_walk w = { .base = buf, .len = len, .init = init, .s = &s };
    int r = parse_segment_boxes(&w, err);
    if (r >= 0 && !s.n_moofs)
        r = err_set(err, -EINVAL, ERR_INPUT, "no moof in %zu bytes", len);
    if (r < 0) {
        bmff_segment_release(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void bmff_segment_release(struct bmff_segment *s)
{
    free(s->moofs);
    free(s->samples);
    *s = (struct bmff_segment){ 0 };
}
