/* codecs.h - the codecs parameter (RFC 6381) of a track, from its init
 * segment: what a player is told is what the bytes say. */
#ifndef GOPMILL_WORKER_CODECS_H
#define GOPMILL_WORKER_CODECS_H

#include <stddef.h>
#include <stdint.h>

struct err;

/* "avc1.640028" (ISO/IEC 14496-15 E.3), "hvc1.2.4.L120.B0" (same), "av01.0.08M.08"
 * (AV1-ISOBMFF 5), "mp4a.40.2", "opus". -EPROTO with ERR_INTERNAL. */
int codecs_of_init(const uint8_t *init, size_t len, char *ret, size_t size, struct err *err);

#endif
