/* spill.h - bytes that would take too much memory, in a temporary file that no
 * name leads to: small pictures and sound of a source that lasts for hours.
 *
 * One thread adds; once all is there, any number of threads may read.
 */
#ifndef GOPMILL_VERIFY_SPILL_H
#define GOPMILL_VERIFY_SPILL_H

#include <stddef.h>
#include <stdint.h>

struct spill;

/* In $TMPDIR, or /tmp. -errno where no file can be made there. */
int spill_new(struct spill **ret);
void spill_free(struct spill *s); /* NULL is a no-op */

/* Behind what is there. 0 or -errno: -ENOSPC, -EIO. */
int spill_add(struct spill *s, const void *buf, size_t len);
uint64_t spill_size(const struct spill *s);

/* `len` bytes from `off` on, all of which were added. 0, -EINVAL, -EIO. */
int spill_read(const struct spill *s, uint64_t off, void *buf, size_t len);

#endif
