#include "become.h"
#include "cli.h"

/* The verifier shares no code with what made the package, so it is a program
 * of its own; this becomes it. */
static int run(const struct cli_command *self, int argc, char **argv)
{
    static const char *const places[] = { "verify/gopmill-verify", "gopmill-verify", NULL };

    (void)self, (void)argc;
    argv[0] = (char *)"gopmill verify";
    return become(places, "gopmill-verify", argv);
}

const struct cli_command cmd_verify = {
    .name = "verify",
    .run = run,
};
