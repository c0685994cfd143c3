#include "become.h"
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

int become(const char *const *places, const char *name, char **argv)
{
    char path[PATH_MAX];

    errno = ENOENT;
    for (; *places; places++) {
        if (beside_self(*places, path) < 0)
            continue;
        (void)execv(path, argv);
        if (errno != ENOENT && errno != ENOTDIR)
            break;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        (void)snprintf(path, sizeof(path), "%s/%s", GOPMILL_LIBEXEC, name);
        (void)execv(path, argv);
    }
    (void)fprintf(stderr, "gopmill: %s: can't be started: %m; is it installed?\n", path);
    return CLI_FAILED;
}
