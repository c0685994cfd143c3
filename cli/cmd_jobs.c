#include "../common/base/cleanup.h"
#include "farm.h"
#include "format.h"
#include "table.h"
#include <errno.h>
#include <string.h>

DEFINE_CLEANUP(struct table *, table_free);

struct jobs_args {
    struct farm farm;
    const char *state, *tenant;
    unsigned limit;
    struct table *table;
    double now_s;
    struct err err;
};

static void add_row(struct table *t, const struct answer_job *j, double now_s)
{
    char left[FMT_MAX], when[FMT_MAX];

    table_row(t);
    table_cell(t, "%s", j->id);
    table_cell(t, "%s", j->state);
    table_cell(t, "%d%%", (int)j->percent);
    table_cell(t, "%s", j->eta_s >= 0 ? fmt_seconds(left, j->eta_s) : "");
    if (j->queue_position >= 0)
        table_cell(t, "%lld", (long long)j->queue_position);
    else
        table_cell(t, "%s", "");
    table_cell(t, "%u", j->priority);
    table_cell(t, "%s", j->tenant);
    table_cell(t, "%s", farm_when(when, j->created_s, now_s));
    table_cell(t, "%s", j->source);
}

static int each(void *arg, const json_t *json)
{
    struct jobs_args *a = arg;
    struct answer_job job;

    if (a->farm.as_json)
        return farm_print(json, &a->err);
    int r = answer_job(json, &job, &a->err);
    if (r < 0)
        return r;
    add_row(a->table, &job, a->now_s);
    answer_job_release(&job);
    return 0;
}

static int list(struct jobs_args *a, struct err *err)
{
    _cleanup_(table_freep) struct table *t = table_new(
        "ID|STATE|>DONE|>LEFT|>BEFORE IT|>PRIO|TENANT|SUBMITTED|SOURCE");

    a->table = t;
    a->now_s = farm_now();
    if (!t)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int r = farm_jobs(&a->farm, a->state, a->tenant, a->limit, each, a, err);
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

static int take_state(struct jobs_args *a, struct err *err)
{
    static const char *const states[] = { "queued", "planning", "running", "publishing",
                                          "done",   "failed",   "canceled" };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (!strcmp(optarg, states[i])) {
            a->state = optarg;
            return 0;
        }
    return err_set(err, -EINVAL, ERR_USAGE,
                   "--state %s: must be queued, planning, running, publishing, done, failed or "
                   "canceled",
                   optarg);
}

static int take(void *arg, int o, struct err *err)
{
    struct jobs_args *a = arg;

    switch (o) {
    case OPT_STATE:
        return take_state(a, err);
    case OPT_TENANT:
        a->tenant = optarg;
        return 0;
    default:
        return cli_parse_uint("--limit", optarg, 1, 1000000, &a->limit, err);
    }
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS,
        {"state",            required_argument, NULL, OPT_STATE },
        { "tenant",              required_argument, NULL, OPT_TENANT },
        { "limit",                 required_argument, NULL, OPT_LIMIT },
        { 0},
    };
    struct jobs_args a = { .limit = 50 };
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

const struct cli_command cmd_jobs = {
    .name = "jobs",
    .help = "Usage: gopmill jobs [--state S] [--tenant T] [--limit N] [--json]\n"
            "\n"
            "Lists the farm's jobs, newest first.\n"
            "\n"
            "  --state S            only those that are queued, planning, running, publishing,\n"
            "                       done, failed or canceled\n"
            "  --tenant T           only this tenant's\n"
            "  --limit N            at most so many; 50\n"
            "  --json               a line of JSON for each\n" FARM_HELP,
    .run = run,
};
