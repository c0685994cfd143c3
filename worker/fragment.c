#include "fragment.h"

#include "../common/base/err.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

enum {
    TFHD_DURATION = 0x8,
    TFHD_SIZE = 0x10,
    TFHD_FLAGS = 0x20,
    TFHD_BASE_OFFSET = 0x1,
    TFHD_DESCRIPTION = 0x2,
    TRUN_OFFSET = 0x1,
    TRUN_FIRST_FLAGS = 0x4,
    TRUN_DURATION = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_FLAGS = 0x400,
    TRUN_CTS = 0x800,
    SAMPLE_NON_SYNC = 0x10000,
};

static int find_one(const uint8_t *buf, size_t len, const char *type, const uint8_t **ret,
                    size_t *ret_len)
{
    while (len >= 8) {
        uint64_t size = AV_RB32(buf), head = 8;
        if (size == 1 && len >= 16) {
            size = AV_RB64(buf + 8);
            head = 16;
        }
        if (size < head || size > len)
            return -ENOENT;
        if (memcmp(buf + 4, type, 4) == 0) {
            *ret = buf + head;
            *ret_len = (size_t)(size - head);
            return 0;
        }
        buf += size;
        len -= (size_t)size;
    }
    return -ENOENT;
}

int box_find(const uint8_t *buf, size_t len, const char *path, const uint8_t **ret, size_t *ret_len)
{
    for (;;) {
        int r = find_one(buf, len, path, &buf, &len);
        if (r < 0)
            return r;
        if (path[4] != '/') {
            *ret = buf;
            *ret_len = len;
            return 0;
        }
        path += 5;
    }
}

/* Numbers of a box, one after the other; past its end they are 0 and `bad`. */
struct cursor {
    const uint8_t *p;
    size_t left;
    int bad;
};

static uint32_t get32(struct cursor *c)
{
    if (c->left < 4) {
        c->bad = 1;
        return 0;
    }
    uint32_t v = AV_RB32(c->p);
    c->p += 4;
    c->left -= 4;
    return v;
}

struct defaults {
    uint32_t duration, size, flags;
};

static struct defaults read_tfhd(const uint8_t *p, size_t n, int *bad)
{
    struct cursor c = { p, n, 0 };
    uint32_t flags = get32(&c) & 0xffffff;
    struct defaults d = { 0 };

    (void)get32(&c); /* track */
    if (flags & TFHD_BASE_OFFSET)
        c.bad = 1;
    if (flags & TFHD_DESCRIPTION)
        (void)get32(&c);
    if (flags & TFHD_DURATION)
        d.duration = get32(&c);
    if (flags & TFHD_SIZE)
        d.size = get32(&c);
    if (flags & TFHD_FLAGS)
        d.flags = get32(&c);
    *bad |= c.bad;
    return d;
}

static int64_t read_tfdt(const uint8_t *p, size_t n, int *bad)
{
    struct cursor c = { p, n, 0 };
    uint32_t version = get32(&c) >> 24;
    uint64_t t = get32(&c);

    if (version == 1)
        t = t << 32 | get32(&c);
    *bad |= c.bad || t >> 62; /* so that sums with it don't overflow */
    return (int64_t)t;
}

static void read_samples(struct cursor *c, uint32_t flags, uint32_t count, struct defaults d,
                         uint32_t first_flags, uint64_t data, struct fragment *f)
{
    for (uint32_t i = 0; i < count && !c->bad; i++) {
        uint32_t duration = flags & TRUN_DURATION ? get32(c) : d.duration;
        uint32_t size = flags & TRUN_SIZE ? get32(c) : d.size;
        uint32_t sample_flags = flags & TRUN_FLAGS ? get32(c) : d.flags;
        int32_t cts = flags & TRUN_CTS ? (int32_t)get32(c) : 0;
        int64_t pts = f->tfdt + f->duration + cts;

        if (i == 0 && flags & TRUN_FIRST_FLAGS)
            sample_flags = first_flags;
        if (i == 0) {
            f->first_sync = !(sample_flags & SAMPLE_NON_SYNC);
            f->first_end = data + size;
            f->first_pts = f->last_pts = pts;
        } else {
            f->other_syncs += !(sample_flags & SAMPLE_NON_SYNC);
        }
        f->first_pts = pts < f->first_pts ? pts : f->first_pts;
        f->last_pts = pts > f->last_pts ? pts : f->last_pts;
        f->duration += duration;
        data += size;
    }
}

int fragment_read(const uint8_t *buf, size_t len, struct fragment *ret, struct err *err)
{
    const uint8_t *tfhd, *tfdt, *trun;
    size_t n_tfhd, n_tfdt, n_trun;
    struct fragment f = { 0 };
    int bad = 0;

    if (box_find(buf, len, "moof/traf/tfhd", &tfhd, &n_tfhd) < 0 ||
        box_find(buf, len, "moof/traf/tfdt", &tfdt, &n_tfdt) < 0 ||
        box_find(buf, len, "moof/traf/trun", &trun, &n_trun) < 0)
        return err_set(err, -EPROTO, ERR_INTERNAL, "the muxer left out tfhd, tfdt or trun");
    struct defaults d = read_tfhd(tfhd, n_tfhd, &bad);
    f.tfdt = read_tfdt(tfdt, n_tfdt, &bad);
    struct cursor c = { trun, n_trun, 0 };
    uint32_t flags = get32(&c) & 0xffffff;
    f.samples = get32(&c);
    if (bad || f.samples > len) /* more samples than bytes: a lie */
        c.bad = 1;
    uint64_t data = flags & TRUN_OFFSET ? get32(&c) : 0;
    uint32_t first_flags = flags & TRUN_FIRST_FLAGS ? get32(&c) : d.flags;
    read_samples(&c, flags, f.samples, d, first_flags, data, &f);
    if (bad || c.bad || data == 0 || f.first_end > len)
        return err_set(err, -EPROTO, ERR_INTERNAL, "the muxer wrote a fragment that can't be read");
    *ret = f;
    return 0;
}
