#include "../common/base/cleanup.h"
#include "farm.h"
#include "format.h"
#include "table.h"
#include <errno.h>

DEFINE_CLEANUP(struct table *, table_free);

static int print(const json_t *list, size_t n, struct err *err)
{
    _cleanup_(table_freep) struct table *t = table_new("WHEN|QUEUE|REASON|MESSAGE");
    double now = farm_now();
    char when[FMT_MAX];

    if (!t)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct answer_dead d;
        int r = answer_dead(json_array_get(list, i), &d, err);

        if (r < 0)
            return r;
        table_row(t);
        table_cell(t, "%s", farm_when(when, d.at_s, now));
        table_cell(t, "%s", d.queue);
        table_cell(t, "%s", d.reason);
        table_cell(t, "%.*s", fmt_fit(d.body, 200), d.body);
        answer_dead_release(&d);
    }
    if (n == 0)
        (void)fputs("no dead letters\n", stderr);
    return table_print(t, stdout, table_terminal()) < 0
               ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory")
               : 0;
}

static int list_dead(struct farm *f, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer a = { 0 };

    int r = farm_call(f, "GET", api_path("/v1/dead"), NULL, &a, err);
    if (r < 0)
        return r;
    if (f->as_json)
        return farm_print(a.json, err);
    return print(json_object_get(a.json, "dead"), answer_count(a.json, "dead"), err);
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = { FARM_OPTIONS, { 0 } };
    struct farm f = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &f, argc, argv, options, NULL, NULL, 0, 0, "");
    if (status >= 0)
        return status;
    int r = farm_open(&f, &err);
    if (r >= 0)
        r = list_dead(&f, &err);
    farm_close(&f);
    return r < 0 ? cli_fail(&err) : CLI_DONE;
}

const struct cli_command cmd_dead = {
    .name = "dead",
    .help = "Usage: gopmill dead [--json]\n"
            "\n"
            "Lists messages that nobody could use, and why: malformed or oversized ones, and\n"
            "tasks that were delivered too often. The farm keeps the newest 1000.\n"
            "\n"
            "  --json               all as a line of JSON\n" FARM_HELP,
    .run = run,
};
