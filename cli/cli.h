/* cli.h - what the commands of `gopmill` share.
 *
 * A command is a function of its arguments that returns the exit status and
 * never calls exit(). What was asked for goes to stdout; progress and errors
 * go to stderr, errors as one sentence: "gopmill: what, where, what to do".
 */
#ifndef GOPMILL_CLI_CLI_H
#define GOPMILL_CLI_CLI_H

#include "../common/base/err.h"
#include "../common/store/store.h"
#include <getopt.h>
#include <jansson.h>

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1, /* also: stopped by a signal */
    CLI_USAGE = 2,  /* the command line or the ladder is wrong */
    CLI_INPUT = 3,  /* the input can't be used */
};

struct cli_command {
    const char *name;
    const char *help; /* the whole of `gopmill COMMAND --help`; NULL: the command's own */
    int (*run)(const struct cli_command *self, int argc, char **argv); /* argv[0]: the name */
};

/* On this machine. */
extern const struct cli_command cmd_run, cmd_probe, cmd_plan, cmd_ladder, cmd_verify;
/* A farm's; only in gopmill-net (main.c). */
extern const struct cli_command cmd_submit, cmd_jobs, cmd_status, cmd_watch, cmd_failed,
    cmd_requeue, cmd_cancel, cmd_delete, cmd_workers, cmd_drain, cmd_dead;

/* Say why it failed; returns the exit status that goes with the class. */
int cli_fail(const struct err *e);
int cli_exit_of(enum err_class cls);

/* "gopmill: <text>; see gopmill <command> --help"; returns CLI_USAGE.
 * `command` may be NULL. */
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The next option as getopt_long() gives it, but "--help" is -'h' printed
 * and returned as CLI_OPT_END with *ret_exit set to CLI_DONE, and a wrong
 * one is said and returned so with CLI_USAGE. At the arguments' end:
 * CLI_OPT_END, *ret_exit -1. */
enum { CLI_OPT_END = -1 };
int cli_option(const struct cli_command *c, int argc, char **argv, const struct option *options,
               int *ret_exit);

/* Options by number, from 256 on; commands use those that they take. */
enum cli_opt {
    OPT_HELP = 256,
    OPT_OUTPUT,
    OPT_LADDER,
    OPT_SLOTS,
    OPT_CHUNK_SECONDS,
    OPT_CHUNKS,
    OPT_JSON,
    OPT_VERBOSE,
    /* of a farm */
    OPT_DISPATCHER,
    OPT_TOKEN_FILE,
    OPT_CA_FILE,
    OPT_CERT_FILE,
    OPT_KEY_FILE,
    OPT_PRIORITY,
    OPT_TENANT,
    OPT_ID,
    OPT_NOTIFY,
    OPT_METADATA,
    OPT_REPLACE,
    OPT_WAIT,
    OPT_STATE,
    OPT_LIMIT,
    OPT_TASKS,
    OPT_FAILED,
    OPT_SINCE,
    OPT_CHUNK,
    OPT_RENDITION,
    OPT_PACKAGE,
};

/* Decimal, whole text, within [min, max]. 0, or -EINVAL with ERR_USAGE that
 * names `option` and the limits. */
int cli_parse_uint(const char *option, const char *text, unsigned min, unsigned max, unsigned *ret,
                   struct err *err);
int cli_parse_seconds(const char *option, const char *text, double min, double max, double *ret,
                      struct err *err);

/* One source, checked and open for reading. */
struct cli_source {
    char *url, *key; /* owned */
    struct store *store;
    struct store_stat st;
};

/* `input` is a path or a URL; `stores` (stores.h) is borrowed until the
 * release and may be NULL. ERR_INPUT with one clear sentence where it is
 * missing, a folder, unreadable, empty or not a file. */
int cli_source_open(const char *input, struct store_env *stores, struct cli_source *ret,
                    struct err *err);
void cli_source_release(struct cli_source *s);

/* Have a child do a job ("probe", "plan", "ladder-check") on a source (NULL:
 * none) and parse its answer; *ret is a new reference. */
int cli_ask_child(const struct cli_source *src, const char *kind, const char *request, json_t **ret,
                  struct err *err);

/* One JSON value and a newline to stdout. Steals the reference, also of
 * NULL, for which it returns -ENOMEM. */
int cli_print_json(json_t *j);

/* Processors that this process may run on; at least 1. */
unsigned cli_cpus(void);

#endif
