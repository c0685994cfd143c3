#include "cli.h"
#include "gopmill-config.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `name` relative to the folder that this program lies in. */
static int beside_self(const char *name, char ret[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0)
        return -ENOENT;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    int w = snprintf(ret, PATH_MAX, "%s/%s", self, name);
    return w < 0 || w >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The verifier shares no code with what made the package, so it is a program
 * of its own; this becomes it. */
static int run(const struct cli_command *self, int argc, char **argv)
{
    static const char *const places[] = { "verify/gopmill-verify", "gopmill-verify" };
    char path[PATH_MAX];

    (void)self, (void)argc;
    argv[0] = (char *)"gopmill verify";
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (beside_self(places[i], path) < 0)
            continue;
        (void)execv(path, argv);
        if (errno != ENOENT && errno != ENOTDIR)
            break;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        (void)snprintf(path, sizeof(path), "%s/gopmill-verify", GOPMILL_LIBEXEC);
        (void)execv(path, argv);
    }
    (void)fprintf(stderr, "gopmill: %s: can't be started: %m; is it installed?\n", path);
    return CLI_FAILED;
}

const struct cli_command cmd_verify = {
    .name = "verify",
    .summary = "check a package against the rules, and against its source",
    .run = run,
};
