/* engine_extra.c - subtitles and pictures: a package is whole without them, so
 * that what spoils one of them ends its task, and not its job. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "../common/base/cleanup.h"
#include "../common/base/log.h"
#include "../common/wire/result.h"
#include "job.h"

/* A result without renditions says why in a warning, which comes to the receipt. */
static char *nothing(const struct live_job *j, const struct live_task *t, const struct err *why)
{
    char *warning = NULL, *text = NULL;
    const char *what = task_kind_by_id(t->id) == TASK_TEXT ? "subtitles" : "poster and storyboard";

    if (asprintf(&warning, "%s are left out: %s", what, why->text) < 0)
        return NULL;
    struct task_result r = { .job = j->id,
                             .task = (char *)t->id,
                             .attempt = t->attempt,
                             .etag = j->etag,
                             .warnings = &warning,
                             .n_warnings = 1,
                             .engine = (char *)"",
                             .worker = (char *)"" };
    json_t *json = task_result_to_json(&r);
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    free(warning);
    return text;
}

int engine_leave_out(struct dispatcher *d, struct live_job *j, struct live_task *t,
                     const struct err *why, struct err *err)
{
    _cleanup_free_ char *text = nothing(j, t, why);
    int r = text ? engine_begin(d, err) : engine_no_memory(err);

    if (r == 0)
        r = jobdb_set_result(d->db, j->id, t->id, text, err);
    if (r == 0)
        r = task_move(d, j, t, TASK_RESULT, why, err);
    if (r < 0)
        return r;
    log_event(LOG_WARN, "task.left-out", LSTR("job", j->id), LSTR("task", t->id),
              LSTR("error", why->text));
    engine_tell(d, EFFECT_TASK, j, NULL, t);
    return 0;
}
