/* main.c - gopmill-worker: a member of the farm that encodes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../common/base/log.h"
#include "../machine.h"
#include "gopmill-config.h"
#include "service.h"
#include "settings.h"

enum { EXIT_ENDED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int help(const struct machine *m)
{
    _cleanup_free_ char *text = settings_help(m);

    return text && fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? EXIT_ENDED : EXIT_FAILED;
}

static int run(struct settings *s)
{
    struct err err = { 0 };

    log_init(s->log_format, s->log_level);
    service_block_signals();
    int r = service_run(s, &err);
    if (r == -EBUSY && err.cls == ERR_NONE)
        _exit(EXIT_ENDED); /* threads that are held up still use what exit() would take apart */
    if (r < 0)
        log_event(LOG_ERROR, "worker.failed", LSTR("class", err_class_name(err.cls)),
                  LSTR("error", err.text));
    settings_release(s);
    if (r == 0)
        return EXIT_ENDED;
    return err.cls == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    enum settings_what what;
    struct settings s;
    struct machine m;
    struct err err = { 0 };

    machine_look("", &m);
    if (settings_read(argc, argv, &m, &s, &what, &err) < 0) {
        (void)fprintf(stderr, "gopmill-worker: %s; see gopmill-worker --help\n", err.text);
        return EXIT_USAGE;
    }
    if (what == SETTINGS_RUN)
        return run(&s);
    settings_release(&s);
    if (what == SETTINGS_HELP)
        return help(&m);
    return puts("gopmill-worker " GOPMILL_VERSION) >= 0 && fflush(stdout) == 0 ? EXIT_ENDED
                                                                               : EXIT_FAILED;
}
