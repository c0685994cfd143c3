#include "../common/base/cleanup.h"
#include "farm.h"
#include <errno.h>

struct delete_args {
    struct farm farm;
    int package;
};

static int one(struct farm *f, const char *id, void *arg, struct err *err)
{
    const struct delete_args *a = arg;
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };

    int r = farm_call(f, "DELETE",
                      api_path(a->package ? "/v1/jobs/%s?package=1" : "/v1/jobs/%s", id), NULL,
                      &answer, err);
    if (r < 0)
        return r;
    if (!f->as_json) {
        printf("%s deleted%s\n", id, a->package ? ", its package too" : "");
        return 0;
    }
    _cleanup_(json_decrefp)
        json_t *j = json_pack("{s:s, s:b, s:b}", "id", id, "deleted", 1, "package", a->package);
    return j ? farm_print(j, err) : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int take(void *arg, int o, struct err *err)
{
    struct delete_args *a = arg;

    (void)o, (void)err;
    a->package = 1;
    return 0;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS,
        {"package", no_argument, NULL, OPT_PACKAGE },
        { 0    },
    };
    struct delete_args a = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &a.farm, argc, argv, options, take, &a, 1, 10000, "ID");
    if (status >= 0)
        return status;
    int r = farm_open(&a.farm, &err);
    if (r >= 0)
        status = farm_for_each(&a.farm, argv + optind, (size_t)(argc - optind), one, &a);
    farm_close(&a.farm);
    return r < 0 ? cli_fail(&err) : status;
}

const struct cli_command cmd_delete = {
    .name = "delete",
    .help = "Usage: gopmill delete ID... [--package] [--json]\n"
            "\n"
            "Has the farm forget jobs that have ended, and remove segments that belong to no\n"
            "published package. The package itself stays where it is.\n"
            "\n"
            "  --package            remove the published package, too\n"
            "  --json               a line of JSON for each\n" FARM_HELP,
    .run = run,
};
