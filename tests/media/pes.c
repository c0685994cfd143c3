/* pes - MPEG-TS whose PES packets of video lack their times.
 *
 *   pes strip N <in.ts >out.ts
 *
 * Only one of N keeps its PTS and DTS, as ISO/IEC 13818-1 allows where these come
 * each 0.7 s (2.7.4): flags are cleared, and stuffing bytes stand where times were.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKET = 188, VIDEO_FIRST = 0xe0, VIDEO_LAST = 0xef };

/* Where a PES packet of video begins in this packet; NULL: none does. */
static uint8_t *pes_in(uint8_t *p)
{
    int at = 4 + (p[3] & 0x20 ? 1 + p[4] : 0);

    if (p[0] != 0x47 || !(p[1] & 0x40) || !(p[3] & 0x10) || at + 19 > PACKET)
        return NULL;
    uint8_t *pes = p + at;
    int is = !pes[0] && !pes[1] && pes[2] == 1 && pes[3] >= VIDEO_FIRST && pes[3] <= VIDEO_LAST;
    return is ? pes : NULL;
}

static void strip_times(uint8_t *pes)
{
    size_t n = pes[7] >> 6 == 3 ? 10 : pes[7] >> 6 == 2 ? 5 : 0;

    pes[7] &= 0x3f;
    memset(pes + 9, 0xff, n);
}

int main(int argc, char **argv)
{
    uint8_t p[PACKET];
    long n = argc == 3 && strcmp(argv[1], "strip") == 0 ? atol(argv[2]) : 0, seen = 0;

    if (n < 1) {
        fprintf(stderr, "usage: pes strip N <in.ts >out.ts\n");
        return 2;
    }
    while (fread(p, 1, PACKET, stdin) == PACKET) {
        uint8_t *pes = pes_in(p);
        if (pes && seen++ % n != 0)
            strip_times(pes);
        if (fwrite(p, 1, PACKET, stdout) != PACKET)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
