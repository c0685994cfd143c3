/* tables - MPEG-TS whose tables say something else of a stream, for tests.
 *
 *   tables type FROM TO [DESCRIPTOR] <in.ts >out.ts
 *   tables scramble PID <in.ts >out.ts
 *
 * type: in each PMT, streams of type FROM become ones of type TO, with the bytes of DESCRIPTOR
 * (hexadecimal) instead of theirs. scramble: packets of that PID are marked as scrambled, and their
 * payload is turned round.
 */
#include <libavutil/crc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKET = 188, SECTION_MAX = 183, DESCRIPTOR_MAX = 64 };

static unsigned pid_of(const uint8_t *p)
{
    return (unsigned)(p[1] & 0x1f) << 8 | p[2];
}

static uint8_t *payload_of(uint8_t *p)
{
    int at = 4 + (p[3] & 0x20 ? 1 + p[4] : 0);

    return p[0] == 0x47 && p[3] & 0x10 && at < PACKET ? p + at : NULL;
}

/* The section of a PMT that begins in this packet, and ends there. */
static uint8_t *pmt_in(uint8_t *p)
{
    uint8_t *s = payload_of(p);

    if (!s || !(p[1] & 0x40) || pid_of(p) < 0x20 || pid_of(p) == 0x1fff || s + 4 > p + PACKET)
        return NULL;
    s += 1 + s[0];
    return s + 3 <= p + PACKET && s[0] == 2 && s + 3 + ((s[1] & 0xf) << 8 | s[2]) <= p + PACKET
               ? s
               : NULL;
}

struct change {
    long from, to;
    uint8_t descriptor[DESCRIPTOR_MAX];
    size_t n;
    int keeps; /* those that are there */
};

/* Writes the section anew, and stuffing to the packet's end. */
static void change_types(const struct change *c, uint8_t *s, const uint8_t *end)
{
    uint8_t out[SECTION_MAX + DESCRIPTOR_MAX + PACKET];
    size_t length = (size_t)(s[1] & 0xf) << 8 | s[2], at = 12 + ((s[10] & 0xfu) << 8 | s[11]);
    size_t n = at;

    memcpy(out, s, at);
    while (at + 5 <= 3 + length - 4) {
        size_t more = (s[at + 3] & 0xfu) << 8 | s[at + 4];
        int is = s[at] == c->from;
        memcpy(out + n, s + at, 5 + more);
        if (is)
            out[n] = (uint8_t)c->to;
        if (is && !c->keeps) {
            out[n + 3] = 0xf0;
            out[n + 4] = (uint8_t)c->n;
            memcpy(out + n + 5, c->descriptor, c->n);
        }
        n += 5 + (is && !c->keeps ? c->n : more);
        at += 5 + more;
    }
    if (n + 4 > (size_t)(end - s))
        exit(2);
    out[1] = (uint8_t)((s[1] & 0xf0) | (n + 1) >> 8);
    out[2] = (uint8_t)(n + 1);
    uint32_t crc = av_crc(av_crc_get_table(AV_CRC_32_IEEE), UINT32_MAX, out, n);
    memcpy(out + n, &crc, 4); /* av_crc() has it in the order of bytes */
    memcpy(s, out, n + 4);
    memset(s + n + 4, 0xff, (size_t)(end - s) - n - 4);
}

static void scramble(uint8_t *p)
{
    uint8_t *b = payload_of(p);

    if (!b)
        return;
    p[3] |= 0x80;
    for (; b < p + PACKET; b++)
        *b ^= 0xa5;
}

static int read_descriptor(struct change *c, const char *hex)
{
    for (; hex[0] && hex[1] && c->n < DESCRIPTOR_MAX; hex += 2) {
        char two[3] = { hex[0], hex[1], 0 };
        c->descriptor[c->n++] = (uint8_t)strtol(two, NULL, 16);
    }
    return *hex == 0;
}

int main(int argc, char **argv)
{
    struct change c = { .keeps = argc < 5 };
    int types = argc >= 4 && strcmp(argv[1], "type") == 0;
    uint8_t p[PACKET];

    if (!types && (argc != 3 || strcmp(argv[1], "scramble") != 0))
        return 2;
    c.from = strtol(argv[2], NULL, 0);
    c.to = types ? strtol(argv[3], NULL, 0) : 0;
    if (argc > 4 && !read_descriptor(&c, argv[4]))
        return 2;
    while (fread(p, sizeof(p), 1, stdin) == 1) {
        uint8_t *s = types ? pmt_in(p) : NULL;
        if (s)
            change_types(&c, s, p + PACKET);
        if (!types && pid_of(p) == (unsigned)c.from)
            scramble(p);
        if (fwrite(p, sizeof(p), 1, stdout) != 1)
            return 1;
    }
    return 0;
}
