/* unsaid - H.264 that doesn't say how many pictures a decoder has to hold back.
 *
 *   unsaid FILE
 *
 * In an MP4 or Matroska file, in place: the VUI of the parameter set in avcC is switched off, as
 * many encoders of cameras and graphics cards write none (H.264, 7.3.2.1.1 and E.2.1). What
 * remains of the unit is zeroes. No scaling lists, pic_order_cnt_type 0 or 2: what x264 writes.
 */
#include "common/media/bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 << 20, SPS = 0x67, SPS_MAX = 200, PROFILE_HIGH = 100 };

static void skip_golombs(struct bits *b, int n)
{
    for (; n > 0; n--)
        (void)bits_golomb(b);
}

/* Where vui_parameters_present_flag stands. */
static size_t vui_flag(struct bits *b)
{
    (void)bits_get(b, 8);
    unsigned profile = bits_get(b, 8);
    (void)bits_get(b, 16);
    skip_golombs(b, 1); /* its number */
    if (profile >= PROFILE_HIGH) {
        skip_golombs(b, 3); /* chroma, depths */
        (void)bits_get(b, 2);
    }
    skip_golombs(b, 1);
    if (bits_golomb(b) == 0) /* pic_order_cnt_type */
        skip_golombs(b, 1);
    skip_golombs(b, 1); /* reference frames */
    (void)bits_get(b, 1);
    skip_golombs(b, 2); /* size */
    if (!bits_get(b, 1))
        (void)bits_get(b, 1);
    (void)bits_get(b, 1);
    if (bits_get(b, 1)) /* cropping */
        skip_golombs(b, 4);
    return b->at;
}

static void unsay(uint8_t *p, size_t n)
{
    struct bits b;

    bits_unescaped(p, n, &b);
    size_t at = vui_flag(&b), stop = at + 1;
    memset(p, 0, n);
    memcpy(p, b.buf, at / 8 + 1);
    p[at / 8] &= (uint8_t)(0xff00 >> at % 8);
    p[stop / 8] |= (uint8_t)(0x80 >> stop % 8);
}

/* avcC: one set, its length, itself (ISO/IEC 14496-15, 5.3.3.1.2). */
static int unsay_all(uint8_t *p, size_t n)
{
    int done = 0;

    for (size_t i = 3; i + SPS_MAX < n; i++) {
        size_t size = (size_t)p[i - 2] << 8 | p[i - 1];
        if (p[i] != SPS || p[i - 3] != 0xe1 || size < 8 || size > SPS_MAX)
            continue;
        unsay(p + i, size);
        done++;
    }
    return done;
}

int main(int argc, char **argv)
{
    FILE *f = argc == 2 ? fopen(argv[1], "r+b") : NULL;
    uint8_t *p = malloc(FILE_MAX);
    int ok = 0;

    if (f && p) {
        size_t n = fread(p, 1, FILE_MAX, f);
        ok = unsay_all(p, n) > 0 && fseek(f, 0, SEEK_SET) == 0 && fwrite(p, 1, n, f) == n;
    }
    free(p);
    return f && fclose(f) == 0 && ok ? 0 : 1;
}
