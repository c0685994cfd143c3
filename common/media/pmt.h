/* pmt.h - what the tables of an MPEG-TS say of its streams (ISO/IEC 13818-1, 2.4.4), and whether
 * they are scrambled: libavformat knows fewer kinds, and doesn't tell of those. Internal to
 * common/media.
 */
#ifndef GOPMILL_MEDIA_PMT_H
#define GOPMILL_MEDIA_PMT_H

#include <stddef.h>
#include <stdint.h>

enum { PMT_STREAMS_MAX = 128 };

struct pmt_stream {
    uint16_t pid;
    uint8_t type;              /* stream_type, table 2-34 */
    uint8_t extension;         /* descriptor_tag_extension of DVB (EN 300 468, 6.4); 0: none */
    char format[5];            /* of a registration descriptor (2.6.8); "": none */
    unsigned clear, scrambled; /* packets with a payload, by transport_scrambling_control */
};

struct pmt {
    struct pmt_stream streams[PMT_STREAMS_MAX];
    size_t n;
};

/* Of the beginning of a file, in packets of 188, 192 or 204 bytes. Tables that lie in one packet
 * are read; the latest that names a PID counts. What isn't an MPEG-TS gives none. */
void pmt_read(const uint8_t *p, size_t size, struct pmt *ret);

/* NULL: no table names it. */
const struct pmt_stream *pmt_find(const struct pmt *p, int pid);

#endif
