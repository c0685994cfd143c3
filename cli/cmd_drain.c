#include "../common/base/cleanup.h"
#include "farm.h"
#include <errno.h>

static int one(struct farm *f, const char *id, void *arg, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };

    (void)arg;
    int r = farm_call(f, "POST", api_path("/v1/workers/%s/drain", id), NULL, &answer, err);
    if (r < 0)
        return r;
    if (!f->as_json) {
        printf("%s drains\n", id);
        return 0;
    }
    _cleanup_(json_decrefp) json_t *j = json_pack("{s:s, s:b}", "id", id, "draining", 1);
    return j ? farm_print(j, err) : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = { FARM_OPTIONS, { 0 } };
    struct farm f = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &f, argc, argv, options, NULL, NULL, 1, 1000, "WORKER");
    if (status >= 0)
        return status;
    int r = farm_open(&f, &err);
    if (r >= 0)
        status = farm_for_each(&f, argv + optind, (size_t)(argc - optind), one, NULL);
    farm_close(&f);
    return r < 0 ? cli_fail(&err) : status;
}

const struct cli_command cmd_drain = {
    .name = "drain",
    .help = "Usage: gopmill drain WORKER... [--json]\n"
            "\n"
            "Has workers take no more tasks, finish those that they have, and end. SIGTERM\n"
            "on the worker's machine does the same.\n"
            "\n"
            "  --json               a line of JSON for each\n" FARM_HELP,
    .run = run,
};
