#include "farm.h"

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct farm_verb cancel = {
        .kind = "jobs", .verb = "cancel", .said = "canceled", .most = 10000, .what = "ID"
    };

    return farm_do_each(self, argc, argv, &cancel);
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
