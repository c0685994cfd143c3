#include "ladder_job.h"

#include "../../common/base/err.h"
#include "../../ladders/check.h"
#include "../../ladders/ladder.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int ladder_job(struct inside *in, const char *request, char **ret_result, struct err *err)
{
    json_error_t je;
    const char *yaml, *where;
    int v;
    struct ladder *l = NULL;
    json_t *j = json_loads(request, JSON_REJECT_DUPLICATES, &je);

    (void)in;
    if (json_unpack_ex(j, &je, 0, "{s:i, s:s, s:s}", "v", &v, "ladder", &yaml, "where", &where) <
            0 ||
        v != 1) {
        json_decref(j);
        return err_set(err, -EINVAL, ERR_INTERNAL, "a ladder-check request can't be read: %s",
                       je.text);
    }
    int r = ladder_parse(yaml, strlen(yaml), where, &l, err);
    json_decref(j);
    if (r == 0)
        r = ladder_check_encoders(l, err);
    ladder_free(l);
    if (r < 0)
        return r;
    *ret_result = strdup("{}");
    return *ret_result ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}
