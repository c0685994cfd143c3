#include "config.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"

enum { VALUE_MAX = 4096, FIRST_OPTION = 256 };

enum kind { TEXT, NUMBER, FLAG, RULES, FOLDERS };

struct setting {
    const char *name, *arg, *env, *def;
    enum kind kind;
    size_t at; /* in struct config */
    unsigned min, max;
    int secret; /* wiped from the command line */
    int not_in_file;
    const char *help;
};

#define AT(field) offsetof(struct config, field)

/* clang-format would align the fields: rows of 600 columns. */
/* clang-format off */
static const struct setting settings[] = {
    { "config", "FILE", "GOPMILL_CONFIG", NULL, TEXT, AT(config), .not_in_file = 1,
      .help = "a YAML file of these settings (keys as here, without --), and of rules for "
              "uploads" },
    { "broker", "URL", "GOPMILL_BROKER", NULL, TEXT, AT(broker), .secret = 1,
      .help = "the RabbitMQ: amqp[s]://user:password@host[,host2]/vhost; needed" },
    { "broker-file", "FILE", "GOPMILL_BROKER_FILE", NULL, TEXT, AT(broker_file),
      .help = "a file with that URL, so that it stands in no list of processes" },
    { "broker-ca", "FILE", "GOPMILL_BROKER_CA", NULL, TEXT, AT(broker_ca),
      .help = "PEM of those who vouch for the broker (amqps); else the system's" },
    { "broker-cert", "FILE", "GOPMILL_BROKER_CERT", NULL, TEXT, AT(broker_cert),
      .help = "PEM of this client's own certificate (amqps)" },
    { "broker-key", "FILE", "GOPMILL_BROKER_KEY", NULL, TEXT, AT(broker_key),
      .help = "PEM of its key" },
    { "db", "PATH", "GOPMILL_DB", "gopmill.db", TEXT, AT(db),
      .help = "the job database (SQLite); made where it isn't there" },
    { "listen", "ADDR:PORT", "GOPMILL_LISTEN", "127.0.0.1:7411", TEXT, AT(listen),
      .help = "where the HTTP API listens; other than loopback only with a token" },
    { "token-file", "FILE", "GOPMILL_TOKEN_FILE", NULL, TEXT, AT(token_file),
      .help = "a file whose first line every request has to carry as its bearer token "
              "(or in GOPMILL_TOKEN)" },
    { "planners", "N", "GOPMILL_PLANNERS", "2", NUMBER, AT(planners), 1, 64,
      .help = "jobs planned at once" },
    { "publishers", "N", "GOPMILL_PUBLISHERS", "2", NUMBER, AT(publishers), 1, 64,
      .help = "packages checked and published at once" },
    { "slots", "N", "GOPMILL_SLOTS", "2", NUMBER, AT(slots), 1, 100000,
      .help = "slots of the farm, as long as no worker was heard of" },
    { "queue-min", "N", "GOPMILL_QUEUE_MIN", "64", NUMBER, AT(queue_min), 0, 100000,
      .help = "tasks held ready in the broker at least; twice the slots otherwise" },
    { "attempts", "N", "GOPMILL_ATTEMPTS", "4", NUMBER, AT(attempts), 1, 100,
      .help = "attempts of a task before its job fails" },
    { "storage-retry", "SECONDS", "GOPMILL_STORAGE_RETRY", "15", NUMBER,
      AT(storage_retry_s), 0, 3600,
      .help = "after an attempt failed by storage the next one waits so long; it doubles" },
    { "lost-after", "SECONDS", "GOPMILL_LOST_AFTER", "600", NUMBER, AT(lost_after_s), 10, 86400,
      .help = "a task that nobody says to have for so long is released again" },
    { "keep-failed", "HOURS", "GOPMILL_KEEP_FAILED", "0", NUMBER, AT(keep_failed_h), 0, 87600,
      .help = "segments of failed and canceled jobs stay so long for a requeue; 0: for ever" },
    { "keep-replaced", "SECONDS", "GOPMILL_KEEP_REPLACED", "3600", NUMBER,
      AT(keep_replaced_s), 0, 31536000,
      .help = "media of a package that was replaced stays so long for those who play it" },
    { "early-playlists", "0|1", "GOPMILL_EARLY_PLAYLISTS", "1", FLAG, AT(early_playlists), 0, 1,
      .help = "packages can be played while they are made" },
    { "remove-early", "0|1", "GOPMILL_REMOVE_EARLY", "0", FLAG, AT(remove_early), 0, 1,
      .help = "of a job that failed or was canceled remove early playlists instead of ending "
              "them" },
    { "ladder", "NAME", "GOPMILL_LADDER", "web-h264", TEXT, AT(ladder),
      .help = "the ladder of jobs that name none" },
    { "ladders", "DIR", "GOPMILL_LADDERS", NULL, FOLDERS, AT(ladders),
      .help = "a folder of ladders, looked in before the installed ones; repeatable" },
    { "allow-source", "PREFIX", NULL, "s3:// https://", RULES, AT(sources),
      .help = "sources that jobs may name: s3://, https://, s3://BUCKET/…, https://HOST/…, "
              "file:///ROOT; repeatable" },
    { "allow-output", "PREFIX", NULL, "s3://", RULES, AT(outputs),
      .help = "where jobs may have their packages put; repeatable" },
    { "allow-notify", "PREFIX", NULL, "https://", RULES, AT(notifies),
      .help = "webhooks that jobs may name; one that names its host may lie at a private address, "
              "and be http://; repeatable" },
    { "private-sources", "0|1", "GOPMILL_PRIVATE_SOURCES", "0", FLAG, AT(private_sources), 0, 1,
      .help = "https sources may lie at private addresses" },
    { "ca-file", "FILE", "GOPMILL_CA_FILE", NULL, TEXT, AT(ca_file),
      .help = "PEM of those who vouch for S3, https sources and webhooks; else the system's" },
    { "connections", "N", "GOPMILL_CONNECTIONS", "512", NUMBER, AT(connections), 8, 60000,
      .help = "HTTP connections at once" },
    { "connections-per-address", "N", "GOPMILL_CONNECTIONS_PER_ADDRESS", "128", NUMBER,
      AT(per_address), 1, 60000,
      .help = "of these, of one address" },
    { "log", "text|json", "GOPMILL_LOG", "text", TEXT, AT(log),
      .help = "how lines are logged" },
    { "log-level", "LEVEL", "GOPMILL_LOG_LEVEL", "info", TEXT, AT(log_level),
      .help = "the least that is logged: debug, info, warn or error" },
};
/* clang-format on */

enum { SETTINGS = sizeof(settings) / sizeof(*settings) };

struct config_reader {
    struct config *c;
    enum config_level level[SETTINGS];
};

/* ---- one setting ---- */

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static size_t find_setting(const char *name)
{
    size_t i = 0;

    while (i < SETTINGS && strcmp(settings[i].name, name) != 0)
        i++;
    return i;
}

static int set_text(char **at, const char *value, struct err *err)
{
    char *copy = strdup(value);

    if (!copy)
        return no_memory(err);
    free(*at);
    *at = copy;
    return 0;
}

static int add_folder(char **at, const char *value, struct err *err)
{
    char *more;

    if (!*at)
        return set_text(at, value, err);
    if (asprintf(&more, "%s:%s", *at, value) < 0)
        return no_memory(err);
    free(*at);
    *at = more;
    return 0;
}

static int set_number(const struct setting *s, unsigned *at, const char *value, const char *where,
                      struct err *err)
{
    char *end;

    errno = 0;
    unsigned long n = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || errno || *end || n < s->min || n > s->max)
        return err_set(err, -EINVAL, ERR_USAGE, "%s: %s: '%.50s' is not a number from %u to %u",
                       where, s->name, value, s->min, s->max);
    *at = (unsigned)n;
    return 0;
}

/* Several may stand in one value (the defaults), with blanks between. */
static int add_rules(struct url_rules *at, const char *value, struct err *err)
{
    _cleanup_free_ char *copy = strdup(value);
    char *rest = copy;
    int r = copy ? 0 : no_memory(err);

    for (char *word; r == 0 && (word = strsep(&rest, " "));)
        r = *word ? url_rules_add(at, word, err) : 0;
    return r;
}

/* What a weaker word has put there. */
static void clear(const struct setting *s, void *at)
{
    if (s->kind == RULES)
        url_rules_release(at);
    if (s->kind == FOLDERS) {
        free(*(char **)at);
        *(char **)at = NULL;
    }
}

static int apply(const struct setting *s, void *at, const char *value, const char *where,
                 struct err *err)
{
    int r;

    switch (s->kind) {
    case TEXT:
        return set_text(at, value, err);
    case NUMBER:
    case FLAG:
        return set_number(s, at, value, where, err);
    case FOLDERS:
        return add_folder(at, value, err);
    case RULES:
        break;
    }
    r = add_rules(at, value, err);
    return r < 0 ? err_prefix(err, r, "%s: %s", where, s->name) : 0;
}

int config_set(struct config_reader *r, const char *name, const char *value,
               enum config_level level, const char *where, struct err *err)
{
    size_t i = find_setting(name);

    if (i == SETTINGS)
        return err_set(err, -EINVAL, ERR_USAGE, "%s: there is no setting %.60s", where, name);
    const struct setting *s = &settings[i];
    void *at = (char *)r->c + s->at;
    if (strlen(value) > VALUE_MAX || !*value)
        return err_set(err, -EINVAL, ERR_USAGE, "%s: %s: has 1 to %d bytes", where, name,
                       VALUE_MAX);
    if (level < r->level[i])
        return 0;
    if (level > r->level[i])
        clear(s, at);
    r->level[i] = level;
    return apply(s, at, value, where, err);
}

void config_file_keys(const char *ret[CONFIG_KEYS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < SETTINGS; i++)
        if (!settings[i].not_in_file)
            ret[n++] = settings[i].name;
    ret[n++] = "uploads";
    ret[n++] = "upload-keys";
    ret[n] = NULL;
}

static_assert(SETTINGS + 3 <= CONFIG_KEYS_MAX, "room for all keys");

/* ---- where settings come from ---- */

static int set_defaults(struct config_reader *r, struct err *err)
{
    int e = 0;

    for (size_t i = 0; i < SETTINGS && e == 0; i++)
        if (settings[i].def)
            e = config_set(r, settings[i].name, settings[i].def, CONFIG_DEFAULT, "default", err);
    return e;
}

static int set_from_environment(struct config_reader *r, struct err *err)
{
    int e = 0;

    for (size_t i = 0; i < SETTINGS && e == 0; i++) {
        const char *value = settings[i].env ? getenv(settings[i].env) : NULL;
        if (value && *value)
            e = config_set(r, settings[i].name, value, CONFIG_ENV, settings[i].env, err);
    }
    return e;
}

static void make_options(struct option *o)
{
    for (size_t i = 0; i < SETTINGS; i++)
        o[i] = (struct option){ settings[i].name, required_argument, NULL, FIRST_OPTION + (int)i };
    o[SETTINGS] = (struct option){ "help", no_argument, NULL, 'h' };
    o[SETTINGS + 1] = (struct option){ "version", no_argument, NULL, 'V' };
    o[SETTINGS + 2] = (struct option){ 0 };
}

static int set_from_option(struct config_reader *r, const struct setting *s, char *value,
                           struct err *err)
{
    char where[64];

    (void)snprintf(where, sizeof(where), "--%s", s->name);
    int e = config_set(r, s->name, value, CONFIG_LINE, where, err);
    if (s->secret)
        memset(value, 'x', strlen(value)); /* /proc/PID/cmdline shows it to everybody */
    return e;
}

static int set_from_line(struct config_reader *r, int argc, char **argv, enum config_ask *ret_ask,
                         struct err *err)
{
    struct option options[SETTINGS + 3];
    int o, e = 0;

    make_options(options);
    optind = 0; /* GNU: begin anew */
    opterr = 0;
    while (e == 0 && (o = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
        if (o == 'h' || o == 'V')
            *ret_ask = o == 'h' ? CONFIG_HELP : CONFIG_VERSION;
        else if (o == ':')
            e = err_set(err, -EINVAL, ERR_USAGE, "%.60s needs a value", argv[optind - 1]);
        else if (o == '?')
            e = err_set(err, -EINVAL, ERR_USAGE, "there is no option %.60s", argv[optind - 1]);
        else
            e = set_from_option(r, &settings[o - FIRST_OPTION], optarg, err);
    }
    if (e == 0 && optind < argc && *ret_ask == CONFIG_RUN)
        e = err_set(err, -EINVAL, ERR_USAGE, "there is nothing to do with '%.60s'", argv[optind]);
    return e;
}

/* ---- what follows from them ---- */

int config_read_line(const char *what, const char *path, char **ret, struct err *err)
{
    _cleanup_file_ FILE *f = fopen(path, "re");
    char buf[VALUE_MAX];

    if (!f)
        return err_set(err, -errno, ERR_USAGE, "%s: %.300s: %s", what, path, strerror(errno));
    if (!fgets(buf, sizeof(buf), f))
        return err_set(err, -EINVAL, ERR_USAGE, "%s: %.300s is empty", what, path);
    buf[strcspn(buf, "\r\n")] = '\0';
    size_t n = strlen(buf);
    while (n > 0 && (buf[n - 1] == ' ' || buf[n - 1] == '\t'))
        buf[--n] = '\0';
    if (n == 0)
        return err_set(err, -EINVAL, ERR_USAGE, "%s: the first line of %.300s is empty", what,
                       path);
    *ret = strdup(buf);
    return *ret ? 0 : no_memory(err);
}

static int read_secrets(struct config *c, struct err *err)
{
    const char *token = getenv("GOPMILL_TOKEN");
    int r = 0;

    if (!c->broker && c->broker_file)
        r = config_read_line("--broker-file", c->broker_file, &c->broker, err);
    if (r == 0 && c->token_file)
        r = config_read_line("--token-file", c->token_file, &c->token, err);
    else if (r == 0 && token && *token)
        r = set_text(&c->token, token, err);
    if (r == 0 && !c->broker)
        r = err_set(err, -EINVAL, ERR_USAGE,
                    "no broker: give --broker URL, GOPMILL_BROKER or --broker-file");
    return r;
}

static int read_log(struct config *c, struct err *err)
{
    static const char *const levels[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
    };
    size_t i = 0, n = sizeof(levels) / sizeof(*levels);

    if (strcmp(c->log, "text") != 0 && strcmp(c->log, "json") != 0)
        return err_set(err, -EINVAL, ERR_USAGE, "log: '%.50s' is neither text nor json", c->log);
    c->log_format = strcmp(c->log, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    while (i < n && strcmp(levels[i], c->log_level) != 0)
        i++;
    if (i == n)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "log-level: '%.50s' is none of debug, info, warn and error", c->log_level);
    c->least = (enum log_level)i;
    return 0;
}

/* Rules without a host don't say that somebody thought of a private one. */
static int find_named(struct config *c, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < c->notifies.n && r == 0; i++) {
        const char *host = strstr(c->notifies.prefixes[i], "://");
        if (host && host[3])
            r = url_rules_add(&c->notify_named, c->notifies.prefixes[i], err);
    }
    return r;
}

static int read_all(struct config_reader *r, int argc, char **argv, enum config_ask *ret_ask,
                    struct err *err)
{
    struct config *c = r->c;
    int e = set_defaults(r, err);

    if (e == 0)
        e = set_from_line(r, argc, argv, ret_ask, err);
    if (e < 0 || *ret_ask != CONFIG_RUN)
        return e;
    e = set_from_environment(r, err);
    if (e == 0 && c->config)
        e = config_read_file(r, &c->uploads, c->config, err);
    if (e == 0)
        e = read_log(c, err);
    if (e == 0)
        e = find_named(c, err);
    if (e == 0)
        e = read_secrets(c, err);
    if (e == 0 && c->ladders && setenv("GOPMILL_LADDERS", c->ladders, 1) < 0)
        e = no_memory(err);
    return e;
}

int config_read(int argc, char **argv, struct config *ret, enum config_ask *ret_ask,
                struct err *err)
{
    struct config c = { 0 };
    struct config_reader r = { .c = &c };

    *ret_ask = CONFIG_RUN;
    int e = read_all(&r, argc, argv, ret_ask, err);
    if (e < 0 || *ret_ask != CONFIG_RUN)
        config_release(&c);
    else
        *ret = c;
    return e;
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void config_release(struct config *c)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        void *at = (char *)c + settings[i].at;
        if (settings[i].secret)
            wipe(*(char **)at);
        else if (settings[i].kind == TEXT || settings[i].kind == FOLDERS)
            free(*(char **)at);
        else if (settings[i].kind == RULES)
            url_rules_release(at);
    }
    wipe(c->token);
    url_rules_release(&c->notify_named);
    upload_rules_release(&c->uploads);
    *c = (struct config){ 0 };
}

/* ---- --help ---- */

static void help_one(FILE *f, const struct setting *s)
{
    (void)fprintf(f, "  --%s %s\n      %s", s->name, s->arg, s->help);
    if (s->def)
        (void)fprintf(f, "; default: %s", s->def);
    if (s->env)
        (void)fprintf(f, "; %s", s->env);
    (void)fputc('\n', f);
}

char *config_help(void)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return NULL;
    (void)fputs(
        "gopmill-dispatcher - admits jobs, plans them, hands their tasks to workers,\n"
        "publishes packages; one of a farm\n\n"
        "usage: gopmill-dispatcher --broker URL [OPTION]...\n\n"
        "Of the command line, the environment (names in capitals) and the file, the first\n"
        "that says something about a setting counts. S3 is reached as AWS_ENDPOINT_URL_S3,\n"
        "AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say; a\n"
        "request to it without a byte for GOPMILL_STORE_STALL seconds (15) is made again.\n\n",
        f);
    for (size_t i = 0; i < SETTINGS; i++)
        help_one(f, &settings[i]);
    (void)fputs(
        "  --help, --version\n\n"
        "In the file, rules make jobs of a bucket's notifications (queue gopmill.uploads):\n"
        "  uploads:\n"
        "    - {bucket: in, prefix: raw/, suffix: .mov, ladder: web-h264,\n"
        "       output: \"s3://out/{stem}/\", tenant: acme, priority: 5}\n"
        "  upload-keys: encoded   # or plain, where notifications don't URL-encode keys\n\n"
        "Exit status: 0 after SIGTERM or SIGINT, 1 on failure, 2 where the settings are "
        "wrong.\n",
        f);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
