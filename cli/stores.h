/* stores.h - stores over the network for commands on this machine, made from
 * the environment (common/store/env.h) and only where a URL asks for them.
 * gopmill has none (stores_file.c), gopmill-net has (stores_net.c).
 */
#ifndef GOPMILL_CLI_STORES_H
#define GOPMILL_CLI_STORES_H

#include <stddef.h>

struct err;
struct store_env;

/* Whether it is a URL that isn't file://. */
int stores_is_network(const char *path_or_url);

/* *ret is NULL where none of `urls` (entries may be NULL) is over the
 * network. Free with stores_free() after the last store. */
int stores_new(const char *const *urls, size_t n, struct store_env **ret, struct err *err);
void stores_free(struct store_env *env); /* NULL is a no-op */

#endif
