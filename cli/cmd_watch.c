#include "farm.h"
#include "follow.h"

static int watch(struct farm *f, char **ids, size_t n, int *ret_exit, struct err *err)
{
    if (n)
        return follow_jobs(f, ids, n, ret_exit, err);
    *ret_exit = CLI_DONE;
    return follow_farm(f, err);
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = { FARM_OPTIONS, { 0 } };
    struct farm f = { 0 };
    struct err err = { 0 };
    int exit_status = CLI_FAILED;

    int status = farm_arguments(self, &f, argc, argv, options, NULL, NULL, 0, 100, "");
    if (status >= 0)
        return status;
    int r = farm_open(&f, &err);
    if (r >= 0)
        r = watch(&f, argv + optind, (size_t)(argc - optind), &exit_status, &err);
    farm_close(&f);
    return r < 0 ? cli_fail(&err) : exit_status;
}

const struct cli_command cmd_watch = {
    .name = "watch",
    .help = "Usage: gopmill watch [ID...] [--json]\n"
            "\n"
            "Shows how far jobs of the farm are, until they have ended; without an ID all\n"
            "that is going on, until it is stopped. Bars on a terminal, otherwise a line\n"
            "when something changes. Stopping it stops no job.\n"
            "\n"
            "  --json               jobs as lines of JSON, whenever they changed\n" FARM_HELP "\n"
            "Exit status with IDs: 0 done, 1 failed, canceled or out of reach, 2 the ladder\n"
            "was wrong, 3 the source can't be used.\n",
    .run = run,
};
