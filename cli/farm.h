/* farm.h - what the commands that talk to a dispatcher share: its address,
 * the token, and going through lists.
 */
#ifndef GOPMILL_CLI_FARM_H
#define GOPMILL_CLI_FARM_H

#include "answer.h"
#include "api.h"
#include "cli.h"
#include "patience.h"

struct farm {
    /* Borrowed from argv or the environment. */
    const char *dispatcher, *token_file, *ca_file, *cert_file, *key_file;
    int as_json;
    struct patience patience;
    struct api *api;
};

/* For a command's options; FARM_HELP ends its help. */
#define FARM_OPTIONS                                                                  \
    { "help", no_argument, NULL, OPT_HELP }, { "json", no_argument, NULL, OPT_JSON }, \
        { "dispatcher", required_argument, NULL, OPT_DISPATCHER },                    \
        { "token-file", required_argument, NULL, OPT_TOKEN_FILE },                    \
        { "ca-file", required_argument, NULL, OPT_CA_FILE },                          \
        { "cert-file", required_argument, NULL, OPT_CERT_FILE },                      \
    {                                                                                 \
        "key-file", required_argument, NULL, OPT_KEY_FILE                             \
    }

#define FARM_HELP                                                                                    \
    "  --dispatcher URL     GOPMILL_DISPATCHER, or http://127.0.0.1:7411\n"                          \
    "  --token-file FILE    its first line is the token; else GOPMILL_TOKEN\n"                       \
    "  --ca-file FILE       https://: PEM certificates to trust; GOPMILL_CA_FILE, or the system's\n" \
    "  --cert-file FILE, --key-file FILE\n"                                                          \
    "                       https://: your own certificate and its key, for a proxy that asks\n"     \
    "                       for one; GOPMILL_CERT_FILE, GOPMILL_KEY_FILE\n"

/* The command line: `take` (may be NULL) gets the command's own options and
 * returns 0, or a negative number with the reason. Afterwards argv[optind] is
 * the first of `min` to `max` arguments, called `what` in complaints. -1 to go
 * on, else the exit status. */
int farm_arguments(const struct cli_command *self, struct farm *f, int argc, char **argv,
                   const struct option *options, int (*take)(void *arg, int o, struct err *err),
                   void *arg, int min, int max, const char *what);

/* Signals are held back from here to farm_close(). No network I/O. */
int farm_open(struct farm *f, struct err *err);
void farm_close(struct farm *f); /* also after a failed open */

/* api_call(); `path` is taken (free()d), NULL is out of memory. */
int farm_call(struct farm *f, const char *method, char *path, const char *body,
              struct api_answer *ret, struct err *err);

/* Every job, newest first, page by page: `each` gets its JSON (borrowed); a
 * non-zero return ends it and is returned. `state` and `tenant` may be NULL,
 * `limit` 0: all of them. */
int farm_jobs(struct farm *f, const char *state, const char *tenant, size_t limit,
              int (*each)(void *arg, const json_t *job), void *arg, struct err *err);

/* One line of JSON to stdout, in ASCII, so that nothing of it reaches a
 * terminal as itself. Borrowed. -EIO ERR_STORAGE. */
int farm_print(const json_t *j, struct err *err);

/* For commands that do the same to several: a failure is said (and with
 * --json printed as {"id":…,"error":…}) and the rest goes on. Returns the
 * exit status: the first failure's. */
int farm_for_each(struct farm *f, char *const *ids, size_t n,
                  int (*one)(struct farm *f, const char *id, void *arg, struct err *err),
                  void *arg);

/* A command that asks the same of each of its arguments, and hears no more than
 * that it was heard: POST /v1/<kind>/<id>/<verb>. */
struct farm_verb {
    const char *kind, *verb;
    const char *said; /* what was done, after the id: "canceled"; and the key in JSON … */
    const char *key;  /* … or this, if not NULL */
    int most;         /* arguments */
    const char *what; /* they are called */
};

/* The whole of such a command; returns its exit status. */
int farm_do_each(const struct cli_command *self, int argc, char **argv, const struct farm_verb *v);

/* One failure, as above; returns its exit status. */
int farm_say_failed(const struct farm *f, const char *id, const struct err *e);

/* "2026-12-01 04:59:38Z, 3 min ago" of a time since 1970; "" for 0. In FMT_MAX bytes. */
const char *farm_when(char *buf, double at_s, double now_s);
double farm_now(void);

#endif
