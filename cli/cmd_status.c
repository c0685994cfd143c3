#include "../common/base/cleanup.h"
#include "farm.h"
#include "follow.h"
#include "format.h"
#include "table.h"
#include <errno.h>
#include <string.h>

enum { BAR = 30 };

DEFINE_CLEANUP(struct table *, table_free);

struct status_args {
    struct farm farm;
    int tasks;
};

static void print_times(const struct answer_job *j)
{
    char when[FMT_MAX], length[FMT_MAX];
    double now = farm_now();

    printf("  submitted  %s\n", farm_when(when, j->created_s, now));
    if (j->playable_s > 0)
        printf("  playable   %s, %s after it was submitted\n", farm_when(when, j->playable_s, now),
               fmt_seconds(length, j->playable_s - j->created_s));
    if (j->ended_s > 0)
        printf("  ended      %s, took %s\n", farm_when(when, j->ended_s, now),
               fmt_seconds(length, j->ended_s - (j->started_s > 0 ? j->started_s : j->created_s)));
}

static void print_work(const struct answer_job *j)
{
    char cpu[FMT_MAX], cost[FMT_MAX];

    if (!j->n_tasks)
        return;
    printf("  tasks      %llu: %llu done", (unsigned long long)j->n_tasks,
           (unsigned long long)j->n_done);
    const struct {
        const char *what;
        uint64_t n;
    } rest[] = {
        {"at work",          j->n_running      },
        { "waiting",         j->n_waiting      },
        { "dead",            j->n_dead         },
        { "attempts failed", j->attempts_failed},
    };
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        if (rest[i].n)
            printf(", %llu %s", (unsigned long long)rest[i].n, rest[i].what);
    if (j->n_reused)
        printf(" (%llu were done before)", (unsigned long long)j->n_reused);
    printf("\n  cpu        %s of %s predicted\n", fmt_seconds(cpu, j->cpu_s),
           fmt_seconds(cost, j->cost_s));
}

static void print_bars(const struct answer_job *j)
{
    for (size_t i = 0; i < j->n_renditions; i++) {
        int full = (int)(j->renditions[i].percent / 100 * BAR);

        printf("  %-10.*s [", fmt_fit(j->renditions[i].name, 32), j->renditions[i].name);
        for (int k = 0; k < BAR; k++)
            (void)putchar(k < full ? '#' : '.');
        printf("] %3d%%\n", (int)j->renditions[i].percent);
    }
}

static void print_job(const struct answer_job *j)
{
    char words[256];

    printf("%s: %s\n", j->id, follow_words(words, sizeof(words), j));
    if (j->error != ERR_NONE)
        printf("  reason     %s (class %s)\n", j->error_text, err_class_name(j->error));
    printf("  source     %s\n  output     %s\n  ladder     %s\n", j->source, j->output, j->ladder);
    printf("  priority   %u%s%s\n", j->priority, *j->tenant ? ", tenant " : "", j->tenant);
    print_times(j);
    if (j->early_failures)
        printf("  playlists  failed %llu time%s and are tried again: %s\n",
               (unsigned long long)j->early_failures, j->early_failures == 1 ? "" : "s",
               j->early_error);
    print_work(j);
    print_bars(j);
}

static void add_task(struct table *t, const struct answer_task *k)
{
    char cost[FMT_MAX], cpu[FMT_MAX], elapsed[FMT_MAX];

    table_row(t);
    table_cell(t, "%s", k->id);
    table_cell(t, "%s", k->state);
    table_cell(t, "%u", k->attempt);
    table_cell(t, "%s", k->cost_s > 0 ? fmt_seconds(cost, k->cost_s) : "");
    table_cell(t, "%s", k->cpu_s > 0 ? fmt_seconds(cpu, k->cpu_s) : "");
    if (!strcmp(k->state, "running") && k->frames)
        table_cell(t, "%llu of %llu", (unsigned long long)k->frames_done,
                   (unsigned long long)k->frames);
    else
        table_cell(t, "%s", "");
    table_cell(t, "%s", k->elapsed_s > 0 ? fmt_seconds(elapsed, k->elapsed_s) : "");
    table_cell(t, "%s", k->worker);
}

static int print_tasks(const struct answer_job *j)
{
    _cleanup_(table_freep) struct table *t = table_new(
        "TASK|STATE|>ATTEMPT|>PREDICTED|>CPU|>FRAMES|>SINCE|WORKER");

    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < j->n_listed; i++)
        add_task(t, &j->tasks[i]);
    return table_print(t, stdout, table_terminal());
}

static int show(struct farm *f, const char *id, void *arg, struct err *err)
{
    const struct status_args *a = arg;
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };
    struct answer_job job;

    int r = farm_call(f, "GET", api_path(a->tasks ? "/v1/jobs/%s" : "/v1/jobs/%s?tasks=0", id),
                      NULL, &answer, err);
    if (r < 0)
        return r;
    if (f->as_json)
        return farm_print(answer.json, err);
    r = answer_job(answer.json, &job, err);
    if (r < 0)
        return r;
    print_job(&job);
    r = a->tasks ? print_tasks(&job) : 0;
    answer_job_release(&job);
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory") : 0;
}

static int take(void *arg, int o, struct err *err)
{
    struct status_args *a = arg;

    (void)o, (void)err;
    a->tasks = 1;
    return 0;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS,
        {"tasks", no_argument, NULL, OPT_TASKS },
        { 0  },
    };
    struct status_args a = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &a.farm, argc, argv, options, take, &a, 1, 1000, "ID");
    if (status >= 0)
        return status;
    int r = farm_open(&a.farm, &err);
    if (r >= 0)
        status = farm_for_each(&a.farm, argv + optind, (size_t)(argc - optind), show, &a);
    farm_close(&a.farm);
    return r < 0 ? cli_fail(&err) : status;
}

const struct cli_command cmd_status = {
    .name = "status",
    .help = "Usage: gopmill status ID... [--tasks] [--json]\n"
            "\n"
            "Tells how a job of the farm stands.\n"
            "\n"
            "  --tasks              also each of its tasks\n"
            "  --json               the job as a line of JSON\n" FARM_HELP,
    .run = run,
};
