#include "../common/store/env.h"
#include "stores.h"

int stores_new(const char *const *urls, size_t n, struct store_env **ret, struct err *err)
{
    /* Whoever types an address at this machine's prompt may read it from
     * there anyway. */
    const struct store_env_config cfg = { .private_addresses = 1 };

    for (size_t i = 0; i < n; i++)
        if (urls[i] && stores_is_network(urls[i]))
            return store_env_new(&cfg, ret, err);
    *ret = NULL;
    return 0;
}

void stores_free(struct store_env *env)
{
    store_env_free(env);
}
