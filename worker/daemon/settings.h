/* settings.h - what gopmill-worker was told on its command line, and what it
 * found out for itself where it wasn't told. One thread, before any other.
 */
#ifndef GOPMILL_WORKER_DAEMON_SETTINGS_H
#define GOPMILL_WORKER_DAEMON_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "../../common/base/log.h"

struct err;
struct machine;

struct settings {
    char *broker; /* URL with its secrets: never logged */
    char *id;
    /* Of argv or the environment. */
    const char *broker_ca, *broker_cert, *broker_key; /* or NULL */
    const char *disk;
    unsigned slots, uploads;
    int nice;
    size_t cache_bytes;
    uint64_t memory_bytes; /* 0: no limit */
    unsigned drain_s;
    int private_addresses;
    enum log_format log_format;
    enum log_level log_level;
};

enum settings_what { SETTINGS_RUN, SETTINGS_HELP, SETTINGS_VERSION };

/* Read the arguments; what is missing comes from the environment or, by
 * `m`, from the machine. Passwords in argv are overwritten, so that nobody
 * reads them in a list of processes. 0 with *ret (settings_release()) and
 * *ret_what; -EINVAL with ERR_USAGE. */
int settings_read(int argc, char **argv, const struct machine *m, struct settings *ret,
                  enum settings_what *ret_what, struct err *err);
void settings_release(struct settings *s);

/* The whole of --help, with this machine's defaults; allocated. */
char *settings_help(const struct machine *m);

#endif
