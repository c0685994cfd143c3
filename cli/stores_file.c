#include "stores.h"

int stores_new(const char *const *urls, size_t n, struct store_env **ret, struct err *err)
{
    (void)urls, (void)n, (void)err;
    *ret = NULL;
    return 0;
}

void stores_free(struct store_env *env)
{
    (void)env;
}
