/* digest.h - checksums inside a child, by libavutil: OpenSSL would want to
 * read its configuration there. */
#ifndef GOPMILL_WORKER_DIGEST_H
#define GOPMILL_WORKER_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* Lower-case hex and a NUL each. */
void digest(const uint8_t *buf, size_t len, char ret_sha256[65], char ret_md5[33]);

#endif
