#include "../common/base/cleanup.h"
#include "farm.h"
#include "format.h"
#include "table.h"
#include <errno.h>

DEFINE_CLEANUP(struct table *, table_free);

struct failed_args {
    struct farm farm;
    double since_s; /* 0: all */
    double now_s;
    struct table *table;
    struct err err;
};

static int each(void *arg, const json_t *json)
{
    struct failed_args *a = arg;
    struct answer_job job;
    char when[FMT_MAX];

    int r = answer_job(json, &job, &a->err);
    if (r < 0)
        return r;
    if (a->since_s <= 0 || (job.ended_s > 0 && job.ended_s >= a->now_s - a->since_s)) {
        if (a->farm.as_json)
            r = farm_print(json, &a->err);
        table_row(a->table);
        table_cell(a->table, "%s", job.id);
        table_cell(a->table, "%s", farm_when(when, job.ended_s, a->now_s));
        table_cell(a->table, "%s", err_class_name(job.error));
        table_cell(a->table, "%s", job.tenant);
        table_cell(a->table, "%s", job.source);
        table_cell(a->table, "%s", job.error_text);
    }
    answer_job_release(&job);
    return r;
}

static int list(struct failed_args *a, struct err *err)
{
    _cleanup_(table_freep) struct table *t = table_new("ID|FAILED|CLASS|TENANT|SOURCE|REASON");

    a->table = t;
    a->now_s = farm_now();
    if (!t)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int r = farm_jobs(&a->farm, "failed", NULL, 0, each, a, err);
    if (r < 0)
        return a->err.cls != ERR_NONE ? err_set(err, r, a->err.cls, "%s", a->err.text) : r;
    if (a->farm.as_json)
        return 0;
    if (table_rows(t) == 0)
        (void)fputs("no such jobs\n", stderr);
    return table_print(t, stdout, table_terminal()) < 0
               ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory")
               : 0;
}

static int take(void *arg, int o, struct err *err)
{
    struct failed_args *a = arg;

    (void)o;
    return answer_age("--since", optarg, &a->since_s, err);
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS,
        {"since", required_argument, NULL, OPT_SINCE },
        { 0  },
    };
    struct failed_args a = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &a.farm, argc, argv, options, take, &a, 0, 0, "");
    if (status >= 0)
        return status;
    int r = farm_open(&a.farm, &err);
    if (r >= 0)
        r = list(&a, &err);
    farm_close(&a.farm);
    return r < 0 ? cli_fail(&err) : CLI_DONE;
}

const struct cli_command cmd_failed = {
    .name = "failed",
    .help = "Usage: gopmill failed [--since AGE] [--json]\n"
            "\n"
            "Lists the farm's jobs that failed, and why. docs/operations.md tells what to do\n"
            "about each class; `gopmill requeue --failed` takes them up again.\n"
            "\n"
            "  --since AGE          only those of the last hour (1h); also 45s, 90m, 7d\n"
            "  --json               a line of JSON for each\n" FARM_HELP,
    .run = run,
};
