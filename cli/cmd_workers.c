#include "../common/base/cleanup.h"
#include "farm.h"
#include "format.h"
#include "table.h"
#include <errno.h>
#include <string.h>

DEFINE_CLEANUP(struct table *, table_free);

static void add_row(struct table *t, const struct answer_worker *w)
{
    char bytes[FMT_MAX];

    table_row(t);
    table_cell(t, "%s", w->id);
    table_cell(t, "%s", w->host);
    table_cell(t, "%s", w->state);
    table_cell(t, "%zu of %u", w->n_running, w->slots);
    table_cell(t, "%.1f", w->speed);
    table_cell(t, "%llu", (unsigned long long)w->tasks_done);
    table_cell(t, "%llu", (unsigned long long)w->tasks_failed);
    table_cell(t, "%s", w->memory_bytes ? fmt_bytes(bytes, w->memory_free) : "");
    table_cell(t, "%.0f s ago", w->seen_s);
    table_cell(t, "%s", *w->reason ? w->reason : w->engine);
}

/* Other encoders can give other bytes (docs/operations.md, upgrades). Before its
 * first task a worker's isn't known. */
static void note_engines(const json_t *list, size_t n)
{
    const char *first = NULL;

    for (size_t i = 0; i < n; i++) {
        const json_t *w = json_array_get(list, i);
        const char *engine = json_string_value(json_object_get(w, "engine"));
        const char *state = json_string_value(json_object_get(w, "state"));

        if (!engine || !*engine || !state || !strcmp(state, "lost") || !strcmp(state, "gone"))
            continue;
        if (first && strcmp(first, engine) != 0) {
            (void)fputs("note: these workers' engines differ: a package may need chunks encoded "
                        "again; docs/operations.md, \"Upgrades\"\n",
                        stderr);
            return;
        }
        first = engine;
    }
}

static int print(const json_t *list, size_t n, struct err *err)
{
    _cleanup_(table_freep) struct table *t = table_new(
        "WORKER|HOST|STATE|>AT WORK|>FRAMES/S|>DONE|>FAILED|>MEMORY FREE|>SEEN|ENGINE OR REASON");

    if (!t)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct answer_worker w;
        int r = answer_worker(json_array_get(list, i), &w, err);

        if (r < 0)
            return r;
        add_row(t, &w);
        answer_worker_release(&w);
    }
    if (n == 0)
        (void)fputs("no worker was heard of; start one: gopmill-worker --broker URL\n", stderr);
    if (table_print(t, stdout, table_terminal()) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    note_engines(list, n);
    return 0;
}

static int list_workers(struct farm *f, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer a = { 0 };

    int r = farm_call(f, "GET", api_path("/v1/workers"), NULL, &a, err);
    if (r < 0)
        return r;
    if (f->as_json)
        return farm_print(a.json, err);
    return print(json_object_get(a.json, "workers"), answer_count(a.json, "workers"), err);
}

static int release_worker(struct farm *f, const char *id, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer a = { 0 };

    int r = farm_call(f, "POST", api_path("/v1/workers/%s/release", id), NULL, &a, err);
    if (r < 0)
        return r;
    if (f->as_json)
        return farm_print(a.json, err);
    printf("%s released\n", id);
    return 0;
}

static int take_option(void *arg, int o, struct err *err)
{
    (void)o, (void)err;
    *(const char **)arg = optarg;
    return 0;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS, {"release", required_argument, NULL, 'r' },
         { 0    }
    };
    struct farm f = { 0 };
    struct err err = { 0 };
    const char *release = NULL;

    int status = farm_arguments(self, &f, argc, argv, options, take_option, &release, 0, 0, "");
    if (status >= 0)
        return status;
    int r = farm_open(&f, &err);
    if (r >= 0)
        r = release ? release_worker(&f, release, &err) : list_workers(&f, &err);
    farm_close(&f);
    return r < 0 ? cli_fail(&err) : CLI_DONE;
}

const struct cli_command cmd_workers = {
    .name = "workers",
    .help = "Usage: gopmill workers [--release ID] [--json]\n"
            "\n"
            "Lists the farm's workers: what each is at, how fast it is, and why it takes no\n"
            "tasks where it doesn't. \"lost\" are those that said nothing for 16 s.\n"
            "\n"
            "  --release ID         end that worker's quarantine now\n"
            "  --json               all as a line of JSON\n" FARM_HELP,
    .run = run,
};
