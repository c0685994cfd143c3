/* Messages: what is accepted is written again as what was read. The first
 * byte chooses: 'p' a plan, 't' a task, 'r' a result, 'i' what a probe found,
 * 'h' a heartbeat, 'e' an event. */
#include "fuzz.h"

#include "common/base/err.h"
#include "common/wire/event.h"
#include "common/wire/plan.h"
#include "common/wire/result.h"
#include "common/wire/task.h"

/* Reads `j` as T and gives it as JSON again; NULL: it was refused. */
#define DEFINE_AGAIN(name, T, from, to, release)              \
    static json_t *name(const json_t *j, int must)            \
    {                                                         \
        struct T v = { 0 };                                   \
        struct err err = { 0 };                               \
        int r = from(j, &v, &err);                            \
        fuzz_must(r == 0 || (r < 0 && err.text[0] && !must)); \
        if (r < 0)                                            \
            return NULL;                                      \
        json_t *again = to(&v);                               \
        fuzz_must(again);                                     \
        release(&v);                                          \
        return again;                                         \
    }

DEFINE_AGAIN(plan_again, plan, plan_from_json, plan_to_json, plan_release)
DEFINE_AGAIN(task_again, task, task_from_json, task_to_json, task_release)
DEFINE_AGAIN(result_again, task_result, task_result_from_json, task_result_to_json,
             task_result_release)
DEFINE_AGAIN(info_again, media_info, media_info_from_json, media_info_to_json, media_info_release)

static const struct message {
    char letter;
    json_t *(*again)(const json_t *j, int must);
} messages[] = {
    {'p',  plan_again  },
    { 't', task_again  },
    { 'r', result_again},
    { 'i', info_again  },
};

static void read_twice(const struct message *m, const json_t *j)
{
    json_t *once = m->again(j, 0);

    if (!once)
        return;
    json_t *twice = m->again(once, 1);
    fuzz_must(json_equal(once, twice));
    json_decref(once);
    json_decref(twice);
}

/* The heartbeat's text as it is written again; NULL: it was refused. */
static char *heartbeat_again(const char *text, size_t len, int must)
{
    struct heartbeat h = { 0 };
    struct err err = { 0 };
    int r = heartbeat_from_text(text, len, &h, &err);

    fuzz_must(r == 0 || (r < 0 && err.text[0] && !must));
    if (r < 0)
        return NULL;
    json_t *j = heartbeat_to_json(&h);
    char *again = j ? json_dumps(j, JSON_COMPACT) : NULL;
    fuzz_must(again);
    json_decref(j);
    heartbeat_release(&h);
    return again;
}

static void hear(char letter, const char *text, size_t len)
{
    char *once = letter == 'h' ? heartbeat_again(text, len, 0) : NULL, *job, *task;
    unsigned attempt;

    if (once) {
        char *twice = heartbeat_again(once, strlen(once), 1);
        fuzz_must(strcmp(once, twice) == 0);
        free(twice);
    }
    free(once);
    if (letter != 'e' || event_from_text(text, len, &job, &task, &attempt, NULL) < 0)
        return;
    char *again = event_text(job, task, attempt), *key = event_key("event.job", job, "done");
    fuzz_must(again && key);
    free(again);
    free(key);
    free(job);
    free(task);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct task task = { 0 };
    struct task_result result = { 0 };

    if (size == 0)
        return 0;
    json_t *j = json_loadb((const char *)data + 1, size - 1, 0, NULL);
    for (size_t i = 0; j && i < sizeof(messages) / sizeof(*messages); i++)
        if (messages[i].letter == (char)data[0])
            read_twice(&messages[i], j);
    json_decref(j);

    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 't' && task_from_text(text, size - 1, &task, NULL) == 0)
        task_release(&task);
    if (data[0] == 'r' && task_result_from_text(text, size - 1, &result, NULL) == 0)
        task_result_release(&result);
    hear((char)data[0], text, size - 1);
    free(text);
    return 0;
}
