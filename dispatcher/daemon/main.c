/* gopmill-dispatcher: the settings, then daemon_run(). */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../common/base/err.h"
#include "../../common/base/log.h"
#include "config.h"
#include "daemon.h"
#include "gopmill-config.h"

enum { DONE, FAILED, USAGE };

static int complain(const struct err *e, int status)
{
    (void)fprintf(stderr, "gopmill-dispatcher: %s%s\n", e->text,
                  status == USAGE ? "; see gopmill-dispatcher --help" : "");
    return status;
}

static int help(void)
{
    char *text = config_help();
    int r = text && fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? DONE : FAILED;

    free(text);
    return r;
}

/* Plans are megabytes of JSON that come and go on passing threads: a heap for each thread, with
 * what is left of them, would be several times what jobs need. To be called before there are
 * threads. */
static void keep_memory_small(void)
{
    (void)mallopt(M_ARENA_MAX, 4);
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10); /* fixed; it would grow otherwise */
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int main(int argc, char **argv)
{
    struct config cfg = { 0 };
    struct err err = { 0 };
    enum config_ask ask;

    if (config_read(argc, argv, &cfg, &ask, &err) < 0)
        return complain(&err, USAGE);
    if (ask == CONFIG_HELP)
        return help();
    if (ask == CONFIG_VERSION)
        return printf("gopmill-dispatcher " GOPMILL_VERSION "\n") > 0 ? DONE : FAILED;
    keep_memory_small();
    log_init(cfg.log_format, cfg.least);
    int r = daemon_run(&cfg, &err);
    config_release(&cfg);
    if (r < 0)
        return complain(&err, err.cls == ERR_USAGE ? USAGE : FAILED);
    return DONE;
}
