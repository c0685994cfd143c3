/* sha256.h - SHA-256 in hex, over OpenSSL.
 */
#ifndef GOPMILL_PUBLISH_SHA256_H
#define GOPMILL_PUBLISH_SHA256_H

#include <stddef.h>

enum { SHA256_HEX = 65 }; /* with the NUL */

struct sha256;

struct sha256 *sha256_new(void); /* NULL: out of memory */
void sha256_free(struct sha256 *d);
int sha256_add(struct sha256 *d, const void *buf, size_t len); /* 0 or -ENOMEM */
int sha256_end(struct sha256 *d, char ret[static SHA256_HEX]); /* 0 or -ENOMEM */

/* Of one piece. 0 or -ENOMEM. */
int sha256_of(const void *buf, size_t len, char ret[static SHA256_HEX]);

#endif
