/* queue.c - what every back end has in common. */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

void queue_msg_release(struct queue_msg *m)
{
    free(m->body);
    free(m->key);
    free(m->from);
    free(m->reason);
    *m = (struct queue_msg){ 0 };
}

/* A topic is words with dots between them, the empty text none. The last '#' is the
 * only one worth going back to, so that a pattern of many costs no more than their product. */
int queue_topic_match(const char *pattern, const char *key)
{
    const char *p = *pattern ? pattern : NULL, *k = *key ? key : NULL;
    const char *again_p = NULL, *again_k = NULL;

    /* A position is NULL once its last word was taken. */
    while (k || p) {
        size_t pl = p ? strcspn(p, ".") : 0;
        size_t kl = k ? strcspn(k, ".") : 0;

        if (p && pl == 1 && *p == '#') {
            p = p[pl] ? p + pl + 1 : NULL;
            again_p = p;
            again_k = k;
            if (!p)
                return 1;
        } else if (p && k && ((pl == 1 && *p == '*') || (pl == kl && memcmp(p, k, pl) == 0))) {
            p = p[pl] ? p + pl + 1 : NULL;
            k = k[kl] ? k + kl + 1 : NULL;
        } else if (again_k) {
            kl = strcspn(again_k, ".");
            again_k = again_k[kl] ? again_k + kl + 1 : NULL;
            p = again_p;
            k = again_k;
        } else {
            return 0;
        }
    }
    return 1;
}
