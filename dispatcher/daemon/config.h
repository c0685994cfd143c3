/* config.h - what gopmill-dispatcher is told: by its command line, by
 * environment variables, by a YAML file; the first of these that says something
 * about a setting counts. One table (config.c) has every setting with its
 * default; --help and the file's keys are made of it.
 *
 * One thread, before any other is started: it reads and sets the environment.
 */
#ifndef GOPMILL_DAEMON_CONFIG_H
#define GOPMILL_DAEMON_CONFIG_H

#include "../../common/base/log.h"
#include "uploads.h"
#include "url_rules.h"

struct err;

struct config {
    /* Texts are NULL where nobody said anything. All owned. */
    char *config, *broker, *broker_file, *broker_ca, *broker_cert, *broker_key;
    char *db, *listen, *token_file, *ca_file, *ladder;
    char *ladders; /* folders, joined by ':' */
    char *log, *log_level;
    char *token; /* of the file or GOPMILL_TOKEN */

    unsigned planners, publishers, slots, attempts, queue_min;
    unsigned keep_failed_h, keep_replaced_s, lost_after_s, storage_retry_s;
    unsigned connections, per_address;
    unsigned private_sources, early_playlists, remove_early; /* 0 or 1 */

    struct url_rules sources, outputs, notifies;
    struct url_rules notify_named; /* those of `notifies` that name a host */
    struct upload_rules uploads;

    enum log_format log_format;
    enum log_level least;
};

enum config_ask { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION };

/* Reads all that there is to read. The text of a secret in `argv` is wiped, so that
 * it isn't in the process's title. Where --help or --version is asked for, only
 * *ret_ask is set. -EINVAL, -ENOENT and others with ERR_USAGE and what, where and the limits. */
int config_read(int argc, char **argv, struct config *ret, enum config_ask *ret_ask,
                struct err *err);
void config_release(struct config *c);

/* The whole of --help; free. NULL: out of memory. */
char *config_help(void);

/* ---- for config_file.c ---- */

/* `value` of the setting `name`, said at `level` (higher counts more) by `where`. -EINVAL. */
enum config_level { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENV, CONFIG_LINE };
struct config_reader;
int config_set(struct config_reader *r, const char *name, const char *value,
               enum config_level level, const char *where, struct err *err);
/* Names of all that a file may have, ended by NULL. */
enum { CONFIG_KEYS_MAX = 64 };
void config_file_keys(const char *ret[CONFIG_KEYS_MAX]);
int config_read_file(struct config_reader *r, struct upload_rules *uploads, const char *path,
                     struct err *err);

/* A file's first line without blanks at its end; free. */
int config_read_line(const char *what, const char *path, char **ret, struct err *err);

#endif
