#include "../common/base/cleanup.h"
#include "farm.h"
#include <errno.h>

static int one(struct farm *f, const char *id, void *arg, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };

    (void)arg;
    int r = farm_call(f, "POST", api_path("/v1/jobs/%s/cancel", id), NULL, &answer, err);
    if (r < 0)
        return r;
    if (!f->as_json) {
        printf("%s canceled\n", id);
        return 0;
    }
    _cleanup_(json_decrefp) json_t *j = json_pack("{s:s, s:b}", "id", id, "canceled", 1);
    return j ? farm_print(j, err) : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = { FARM_OPTIONS, { 0 } };
    struct farm f = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &f, argc, argv, options, NULL, NULL, 1, 10000, "ID");
    if (status >= 0)
        return status;
    int r = farm_open(&f, &err);
    if (r >= 0)
        status = farm_for_each(&f, argv + optind, (size_t)(argc - optind), one, NULL);
    farm_close(&f);
    return r < 0 ? cli_fail(&err) : status;
}

const struct cli_command cmd_cancel = {
    .name = "cancel",
    .help = "Usage: gopmill cancel ID... [--json]\n"
            "\n"
            "Has the farm give up jobs that haven't ended. What was encoded stays for a while:\n"
            "`gopmill requeue ID` goes on from there, `gopmill delete ID` removes it.\n"
            "\n"
            "  --json               a line of JSON for each\n" FARM_HELP,
    .run = run,
};
