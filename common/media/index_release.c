#include "index.h"
#include <stdlib.h>
#include <string.h>

void media_index_release(struct media_index *i)
{
    free(i->packets);
    memset(i, 0, sizeof(*i));
}
