#include "codecs.h"

#include "../common/base/err.h"
#include "fragment.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <stdio.h>
#include <string.h>

enum {
    VISUAL_ENTRY = 78, /* bytes of a VisualSampleEntry before its boxes */
    AUDIO_ENTRY = 28,  /* of an AudioSampleEntry */
};

static int avc1(const uint8_t *p, size_t n, char *ret, size_t size)
{
    if (n < 4)
        return -EPROTO;
    (void)snprintf(ret, size, "avc1.%02X%02X%02X", p[1], p[2], p[3]);
    return 0;
}

static uint32_t reversed(uint32_t v)
{
    uint32_t r = 0;

    for (int i = 0; i < 32; i++)
        r |= (v >> i & 1) << (31 - i);
    return r;
}

/* hvcC: version, space/tier/profile, 32 compatibility flags, 48 constraint
 * flags, level. Trailing zero bytes of the constraints are left out. */
static int hvc1(const uint8_t *p, size_t n, char *ret, size_t size)
{
    static const char *const space[] = { "", "A", "B", "C" };
    size_t at;

    if (n < 13)
        return -EPROTO;
    at = (size_t)snprintf(ret, size, "hvc1.%s%u.%X.%c%u", space[p[1] >> 6], p[1] & 31u,
                          reversed(AV_RB32(p + 2)), p[1] & 32 ? 'H' : 'L', p[12]);
    int last = 5;
    while (last >= 0 && p[6 + last] == 0)
        last--;
    for (int i = 0; i <= last && at < size; i++)
        at += (size_t)snprintf(ret + at, size - at, ".%X", p[6 + i]);
    return at < size ? 0 : -EPROTO;
}

static int av01(const uint8_t *p, size_t n, char *ret, size_t size)
{
    if (n < 4)
        return -EPROTO;
    unsigned profile = p[1] >> 5, level = p[1] & 31u, tier = p[2] >> 7;
    unsigned high = p[2] >> 6 & 1u, twelve = p[2] >> 5 & 1u;
    unsigned depth = high ? (twelve ? 12 : 10) : 8;
    (void)snprintf(ret, size, "av01.%u.%02u%c.%02u", profile, level, tier ? 'H' : 'M', depth);
    return 0;
}

/* The audio object type: the first 5 bits of the AudioSpecificConfig, found
 * behind tag 5 of the ES descriptor (ISO/IEC 14496-1, 7.2.6). */
static int mp4a(const uint8_t *p, size_t n, char *ret, size_t size)
{
    for (size_t i = 4; i + 2 < n; i++) {
        if (p[i] != 0x05)
            continue;
        size_t at = i + 1;
        while (at < n && p[at] & 0x80)
            at++;
        if (at + 1 >= n || p[at] == 0 || p[at] > n - at - 1)
            continue;
        (void)snprintf(ret, size, "mp4a.40.%u", p[at + 1] >> 3);
        return 0;
    }
    return -EPROTO;
}

static int opus(const uint8_t *p, size_t n, char *ret, size_t size)
{
    (void)p, (void)n;
    (void)snprintf(ret, size, "opus");
    return 0;
}

static const struct entry {
    const char *type, *box;
    size_t head;
    int (*write)(const uint8_t *p, size_t n, char *ret, size_t size);
} entries[] = {
    {"avc1",  "avcC", VISUAL_ENTRY, avc1},
    { "hvc1", "hvcC", VISUAL_ENTRY, hvc1},
    { "av01", "av1C", VISUAL_ENTRY, av01},
    { "mp4a", "esds", AUDIO_ENTRY,  mp4a},
    { "Opus", "dOps", AUDIO_ENTRY,  opus},
};

int codecs_of_init(const uint8_t *init, size_t len, char *ret, size_t size, struct err *err)
{
    const uint8_t *stsd, *p;
    size_t n_stsd, n;

    if (box_find(init, len, "moov/trak/mdia/minf/stbl/stsd", &stsd, &n_stsd) < 0 || n_stsd < 16)
        return err_set(err, -EPROTO, ERR_INTERNAL, "the muxer wrote no sample description");
    for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
        const struct entry *e = &entries[i];
        if (box_find(stsd + 8, n_stsd - 8, e->type, &p, &n) < 0 || n < e->head)
            continue;
        if (box_find(p + e->head, n - e->head, e->box, &p, &n) == 0 &&
            e->write(p, n, ret, size) == 0)
            return 0;
    }
    return err_set(err, -EPROTO, ERR_INTERNAL,
                   "the muxer's sample description '%.4s' gives no codecs parameter",
                   (const char *)stsd + 12);
}
