#include "encode.h"

#include "../common/base/clock.h"
#include "../common/base/texts.h"
#include "encoder.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int encode_warn(struct task_result *res, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int r = texts_add(&res->warnings, &res->n_warnings, fmt, ap);
    va_end(ap);
    return r;
}

static int name_result(const struct task *t, struct task_result *res)
{
    res->job = strdup(t->job);
    res->task = strdup(t->id);
    res->attempt = t->attempt;
    res->engine = encoder_fingerprint();
    res->worker = strdup("");
    return res->job && res->task && res->engine && res->worker ? 0 : -ENOMEM;
}

static int encode_kind(struct inside *in, const struct task *t, int64_t start_ns,
                       struct task_result *res, struct err *err)
{
    switch (t->kind) {
    case TASK_VIDEO:
        return encode_video(in, t, start_ns, res, err);
    case TASK_AUDIO:
        return encode_audio(in, t, start_ns, res, err);
    case TASK_TEXT:
        return encode_texts(in, t, start_ns, res, err);
    default: /* TASK_PICTURES */
        return encode_pictures(in, t, start_ns, res, err);
    }
}

int encode_job(struct inside *in, const char *request, char **ret_result, struct err *err)
{
    int64_t start = clock_system.mono_ns(&clock_system);
    struct task_result res = { 0 };
    struct task t;
    int r = task_from_text(request, strlen(request), &t, err);

    if (r < 0)
        return r;
    if (name_result(&t, &res) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a result");
    else
        r = encode_kind(in, &t, start, &res, err);
    if (r == 0) {
        json_t *j = task_result_to_json(&res);
        *ret_result = j ? json_dumps(j, JSON_COMPACT) : NULL;
        json_decref(j);
        if (!*ret_result)
            r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a result");
    }
    task_result_release(&res);
    task_release(&t);
    return r;
}
