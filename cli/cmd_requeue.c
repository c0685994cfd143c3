#include "../common/base/cleanup.h"
#include "farm.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>

struct requeue_args {
    struct farm farm;
    const char *rendition;
    unsigned chunk;
    int has_chunk, failed;
    double since_s; /* of --since; 0: all */
    double now_s;
    char **ids; /* of those that failed; owned */
    size_t n, room;
};

/* Kept before the first is sent: a list that is changed while it is gone
 * through would leave some out. */
static int keep(void *arg, const json_t *json)
{
    struct requeue_args *a = arg;
    struct answer_job job;

    if (answer_job(json, &job, NULL) < 0)
        return 0;
    int wanted = a->since_s <= 0 || (job.ended_s > 0 && job.ended_s >= a->now_s - a->since_s);
    if (wanted && a->n == a->room) {
        size_t room = a->room ? 2 * a->room : 64;
        char **ids = reallocarray(a->ids, room, sizeof(*ids));

        if (!ids) {
            answer_job_release(&job);
            return -ENOMEM;
        }
        a->ids = ids;
        a->room = room;
    }
    if (wanted)
        a->ids[a->n++] = take_ptr(job.id);
    answer_job_release(&job);
    return 0;
}

static char *request(const struct requeue_args *a)
{
    _cleanup_(json_decrefp) json_t *j = json_object();

    if (a->has_chunk)
        (void)json_object_set_new(j, "chunk", json_integer(a->chunk));
    if (a->rendition)
        (void)json_object_set_new(j, "rendition", json_string(a->rendition));
    return json_dumps(j, JSON_COMPACT);
}

static int one(struct farm *f, const char *id, void *arg, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };
    _cleanup_free_ char *body = request(arg);

    if (!body)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int r = farm_call(f, "POST", api_path("/v1/jobs/%s/requeue", id), body, &answer, err);
    if (r < 0)
        return r;
    if (!f->as_json) {
        printf("%s requeued\n", id);
        return 0;
    }
    _cleanup_(json_decrefp) json_t *j = json_pack("{s:s, s:b}", "id", id, "requeued", 1);
    return j ? farm_print(j, err) : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int all_failed(struct requeue_args *a, struct err *err)
{
    a->now_s = farm_now();
    int r = farm_jobs(&a->farm, "failed", NULL, 0, keep, a, err);
    if (r == -ENOMEM)
        err_set(err, r, ERR_RESOURCE, "out of memory");
    if (r < 0)
        return cli_fail(err);
    if (a->n == 0)
        (void)fputs("no such jobs\n", stderr);
    return farm_for_each(&a->farm, a->ids, a->n, one, a);
}

static int take(void *arg, int o, struct err *err)
{
    struct requeue_args *a = arg;

    switch (o) {
    case OPT_FAILED:
        a->failed = 1;
        return 0;
    case OPT_SINCE:
        return answer_age("--since", optarg, &a->since_s, err);
    case OPT_CHUNK:
        a->has_chunk = 1;
        return cli_parse_uint("--chunk", optarg, 0, 1000000, &a->chunk, err);
    default:
        a->rendition = optarg;
        return 0;
    }
}

static int check(const struct cli_command *self, const struct requeue_args *a, int n)
{
    if (a->failed && n)
        return cli_usage(self->name, "either IDs or --failed");
    if (!a->failed && !n)
        return cli_usage(self->name, "an ID or --failed is missing");
    if (a->since_s > 0 && !a->failed)
        return cli_usage(self->name, "--since goes with --failed");
    if ((a->has_chunk || a->rendition) && (a->failed || n != 1))
        return cli_usage(self->name, "--chunk and --rendition go with one ID");
    return -1;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS,
        {"failed",           no_argument, NULL, OPT_FAILED },
        { "since",              required_argument, NULL, OPT_SINCE },
        { "chunk",                 required_argument, NULL, OPT_CHUNK },
        { "rendition",required_argument, NULL, OPT_RENDITION },
        { 0        },
    };
    struct requeue_args a = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &a.farm, argc, argv, options, take, &a, 0, 10000, "");
    if (status < 0)
        status = check(self, &a, argc - optind);
    if (status >= 0)
        return status;
    int r = farm_open(&a.farm, &err);
    if (r >= 0)
        status = a.failed ? all_failed(&a, &err)
                          : farm_for_each(&a.farm, argv + optind, (size_t)(argc - optind), one, &a);
    farm_close(&a.farm);
    for (size_t i = 0; i < a.n; i++)
        free(a.ids[i]);
    free(a.ids);
    return r < 0 ? cli_fail(&err) : status;
}

const struct cli_command cmd_requeue = {
    .name = "requeue",
    .help = "Usage: gopmill requeue ID... [--chunk N] [--rendition R]\n"
            "       gopmill requeue --failed [--since AGE]\n"
            "\n"
            "Has the farm take up jobs again that failed or were canceled: it encodes what\n"
            "is missing, nothing that is there. Of a job that has ended, one chunk or one\n"
            "rendition can be made anew.\n"
            "\n"
            "  --chunk N            also what was done of this chunk; from 0\n"
            "  --rendition R        also what was done of this rendition; the others stay\n"
            "  --failed             every job that failed\n"
            "  --since AGE          of these, only the last hour's (1h); also 45s, 90m, 7d\n"
            "  --json               a line of JSON for each\n" FARM_HELP,
    .run = run,
};
