#include "farm.h"

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct farm_verb drain = { .kind = "workers",
                                            .verb = "drain",
                                            .said = "drains",
                                            .key = "draining",
                                            .most = 1000,
                                            .what = "WORKER" };

    return farm_do_each(self, argc, argv, &drain);
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
