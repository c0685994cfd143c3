/* blocks.h - the sources' bytes, read in blocks of 1 MiB and kept, for all
 * slots of a worker or for a planner.
 *
 * Tasks of one job read the same header and neighbouring ranges, and planning
 * reads a header more than once; each block is fetched once, however many
 * want it, and stays until newer ones push it out. A reader that goes forward, in up to a few
 * places at once (sound and picture may lie apart), finds its next blocks fetched ahead by helper
 * threads, so that an encoder does not wait for storage: one of a folder's, several in parallel
 * over a network, more the longer it goes on.
 *
 * A `struct blocks` may be used by any thread. A `struct block_reader`
 * belongs to one thread at a time, and must be closed before blocks_free().
 */
#ifndef GOPMILL_STORE_BLOCKS_H
#define GOPMILL_STORE_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct store_env;
struct blocks;
struct block_reader;
struct read_range;

enum { BLOCK_SIZE = 1 << 20 };

/* `stores` (store.h) is borrowed. A cache of about `limit_bytes` (0: 64 MiB); what readers use at
 * the moment stays whatever the limit. -ENOMEM or -EAGAIN (no thread) with ERR_RESOURCE. */
int blocks_new(struct store_env *stores, size_t limit_bytes, struct blocks **ret, struct err *err);
void blocks_free(struct blocks *b); /* NULL is a no-op */

/* Open a source by URL. `etag` may be NULL or "": whatever is there now is
 * the one to be read. ERR_INPUT where it is missing (-ENOENT) or another
 * than `etag` (-ESTALE); ERR_STORAGE where it can't be read. */
int block_reader_open(struct blocks *b, const char *url, const char *etag,
                      struct block_reader **ret, struct err *err);
void block_reader_close(struct block_reader *r); /* NULL is a no-op */

uint64_t block_reader_size(const struct block_reader *r);    /* of the source, bytes */
const char *block_reader_etag(const struct block_reader *r); /* of the version that is read */

/* `len` bytes from `off`; *ret_n < len only at the end of the source. Errors
 * as for block_reader_open(). */
int block_reader_read(struct block_reader *r, uint64_t off, void *buf, size_t len, size_t *ret_n,
                      struct err *err);

/* The same of a few bytes, after which the reader may well jump: over a network, where they lie
 * far from all that was read, these bytes are fetched rather than their block. Where they are near,
 * going there block by block, ahead of the reader, is quicker than a round trip for each. */
int block_reader_peek(struct block_reader *r, uint64_t off, void *buf, size_t len, size_t *ret_n,
                      struct err *err);

/* Small ranges far apart (range.h), many at a time, without the cache: store_get_many(). */
int block_reader_read_many(struct block_reader *r, struct read_range *v, size_t n, struct err *err);

#endif
