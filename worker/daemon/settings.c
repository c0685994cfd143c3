#include "settings.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../machine.h"

enum {
    SLOTS_MAX = 1024,
    UPLOADS_MAX = 64,
    UPLOADS_DEFAULT = 4,
    NICE_DEFAULT = 10,
    NICE_MAX = 19,
    DRAIN_S_DEFAULT = 60,
    DRAIN_S_MAX = 7 * 24 * 3600,
    ID_MAX = 128,
    BROKER_MAX = 4096,
    CACHE_MIB_MIN = 64,  /* in all, and … */
    CACHE_MIB_SLOT = 16, /* … a slot */
    CACHE_MIB_MAX = 1024,
};

static const uint64_t slot_bytes = UINT64_C(1) << 30; /* what a slot is supposed to need */

enum option_number {
    OPT_BROKER = 256,
    OPT_BROKER_FILE,
    OPT_BROKER_CA,
    OPT_BROKER_CERT,
    OPT_BROKER_KEY,
    OPT_SLOTS,
    OPT_MEMORY,
    OPT_ID,
    OPT_NICE,
    OPT_CACHE,
    OPT_UPLOADS,
    OPT_DRAIN,
    OPT_DISK,
    OPT_PRIVATE,
    OPT_LOG_FORMAT,
    OPT_LOG_LEVEL,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option options[] = {
    {"broker",             required_argument, NULL, OPT_BROKER     },
    { "broker-file",       required_argument, NULL, OPT_BROKER_FILE},
    { "broker-ca",         required_argument, NULL, OPT_BROKER_CA  },
    { "broker-cert",       required_argument, NULL, OPT_BROKER_CERT},
    { "broker-key",        required_argument, NULL, OPT_BROKER_KEY },
    { "slots",             required_argument, NULL, OPT_SLOTS      },
    { "memory",            required_argument, NULL, OPT_MEMORY     },
    { "id",                required_argument, NULL, OPT_ID         },
    { "nice",              required_argument, NULL, OPT_NICE       },
    { "cache",             required_argument, NULL, OPT_CACHE      },
    { "uploads",           required_argument, NULL, OPT_UPLOADS    },
    { "drain-seconds",     required_argument, NULL, OPT_DRAIN      },
    { "disk",              required_argument, NULL, OPT_DISK       },
    { "private-addresses", no_argument,       NULL, OPT_PRIVATE    },
    { "log-format",        required_argument, NULL, OPT_LOG_FORMAT },
    { "log-level",         required_argument, NULL, OPT_LOG_LEVEL  },
    { "version",           no_argument,       NULL, OPT_VERSION    },
    { "help",              no_argument,       NULL, OPT_HELP       },
    { NULL,                0,                 NULL, 0              },
};

/* ---- values ---- */

static int parse_number(const char *option, const char *text, uint64_t max, uint64_t *ret,
                        struct err *err)
{
    char *end;

    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || text[0] < '0' || text[0] > '9' || *end || v > max)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "%s %.100s: must be a whole number from 0 to %" PRIu64, option, text, max);
    *ret = v;
    return 0;
}

static int parse_unsigned(const char *option, const char *text, unsigned min, unsigned max,
                          unsigned *ret, struct err *err)
{
    uint64_t v = 0;

    if (parse_number(option, text, max, &v, NULL) < 0 || v < min)
        return err_set(err, -EINVAL, ERR_USAGE, "%s %.100s: must be a whole number from %u to %u",
                       option, text, min, max);
    *ret = (unsigned)v;
    return 0;
}

/* "800M", "4GiB", bytes. */
static int parse_size(const char *option, const char *text, uint64_t *ret, struct err *err)
{
    static const char units[] = "KMGT";
    char *end;
    unsigned shift = 0;

    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    int bad = errno || text[0] < '0' || text[0] > '9';
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (bad || (*end && strcmp(end, "B") != 0 && strcmp(end, "iB") != 0) ||
        v > (uint64_t)INT64_MAX >> shift)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "%s %.100s: must be bytes, or a number with K, M, G or T (of 1024)", option,
                       text);
    *ret = (uint64_t)v << shift;
    return 0;
}

static int parse_word(const char *option, const char *text, const char *const *words, size_t n,
                      size_t *ret, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    return err_set(err, -EINVAL, ERR_USAGE, "%s %.100s: must be one of %s, %s%s%s%s%s", option,
                   text, words[0], words[1], n > 2 ? ", " : "", n > 2 ? words[2] : "",
                   n > 3 ? ", " : "", n > 3 ? words[3] : "");
}

/* Ids go into log lines, keys of events and connection names. */
static int set_id(struct settings *s, const char *text, struct err *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (!text[0] || strlen(text) > ID_MAX || text[strspn(text, allowed)])
        return err_set(err, -EINVAL, ERR_USAGE,
                       "--id %.150s: must be 1 to %d letters, digits, '.', '_' and '-'", text,
                       ID_MAX);
    free(s->id);
    s->id = strdup(text);
    return s->id ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- the broker's URL ---- */

static int set_broker(struct settings *s, const char *text, struct err *err)
{
    free(s->broker);
    s->broker = strdup(text);
    return s->broker ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* What stands before the last '@' of a URL. */
static void hide_password(char *url)
{
    char *from = strstr(url, "://"), *at = strrchr(url, '@');

    if (from && at > from + 3)
        memset(from + 3, 'x', (size_t)(at - from - 3));
}

static int read_broker_file(struct settings *s, const char *path, struct err *err)
{
    char line[BROKER_MAX];
    _cleanup_file_ FILE *f = fopen(path, "re");

    if (!f || !fgets(line, sizeof(line), f))
        return err_set(err, -EINVAL, ERR_USAGE, "--broker-file %.200s: can't be read: %s", path,
                       !f ? strerror(errno) : "it is empty");
    line[strcspn(line, " \t\r\n")] = '\0';
    int r = set_broker(s, line, err);
    explicit_bzero(line, sizeof(line));
    return r;
}

/* ---- options ---- */

static int take_broker_option(struct settings *s, int o, struct err *err)
{
    int r = 0;

    switch (o) {
    case OPT_BROKER:
        r = set_broker(s, optarg, err);
        hide_password(optarg);
        return r;
    case OPT_BROKER_FILE:
        return read_broker_file(s, optarg, err);
    case OPT_BROKER_CA:
        s->broker_ca = optarg;
        return 0;
    case OPT_BROKER_CERT:
        s->broker_cert = optarg;
        return 0;
    default:
        s->broker_key = optarg;
        return 0;
    }
}

static int take_log_option(struct settings *s, int o, struct err *err)
{
    static const char *const formats[] = { "text", "json" };
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    size_t i = 0;
    int r = o == OPT_LOG_FORMAT ? parse_word("--log-format", optarg, formats, 2, &i, err)
                                : parse_word("--log-level", optarg, levels, 4, &i, err);

    if (r == 0 && o == OPT_LOG_FORMAT)
        s->log_format = i ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    else if (r == 0)
        s->log_level = (enum log_level)i;
    return r;
}

static int take_size_option(struct settings *s, int o, struct err *err)
{
    uint64_t v = 0;
    int r = parse_size(o == OPT_CACHE ? "--cache" : "--memory", optarg, &v, err);

    if (r == 0 && o == OPT_CACHE)
        s->cache_bytes = (size_t)v;
    else if (r == 0)
        s->memory_bytes = v;
    return r;
}

static int take_option(struct settings *s, int o, struct err *err)
{
    unsigned v = 0;
    int r = 0;

    switch (o) {
    case OPT_SLOTS:
        return parse_unsigned("--slots", optarg, 1, SLOTS_MAX, &s->slots, err);
    case OPT_UPLOADS:
        return parse_unsigned("--uploads", optarg, 1, UPLOADS_MAX, &s->uploads, err);
    case OPT_DRAIN:
        return parse_unsigned("--drain-seconds", optarg, 0, DRAIN_S_MAX, &s->drain_s, err);
    case OPT_NICE:
        r = parse_unsigned("--nice", optarg, 0, NICE_MAX, &v, err);
        s->nice = (int)v;
        return r;
    case OPT_MEMORY:
    case OPT_CACHE:
        return take_size_option(s, o, err);
    case OPT_ID:
        return set_id(s, optarg, err);
    case OPT_DISK:
        s->disk = optarg;
        return 0;
    case OPT_PRIVATE:
        s->private_addresses = 1;
        return 0;
    case OPT_LOG_FORMAT:
    case OPT_LOG_LEVEL:
        return take_log_option(s, o, err);
    default:
        return take_broker_option(s, o, err);
    }
}

static int read_options(int argc, char **argv, struct settings *s, enum settings_what *what,
                        struct err *err)
{
    int o, r = 0;

    opterr = 0;
    optind = 1;
    *what = SETTINGS_RUN;
    while (r == 0 && *what == SETTINGS_RUN &&
           (o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (o == 'h' || o == OPT_HELP)
            *what = SETTINGS_HELP;
        else if (o == OPT_VERSION)
            *what = SETTINGS_VERSION;
        else if (o == ':')
            r = err_set(err, -EINVAL, ERR_USAGE, "%.100s needs a value", argv[optind - 1]);
        else if (o == '?')
            r = err_set(err, -EINVAL, ERR_USAGE, "option %.100s is unknown, or takes no value",
                        argv[optind - 1]);
        else
            r = take_option(s, o, err);
    }
    if (r == 0 && *what == SETTINGS_RUN && optind < argc)
        r = err_set(err, -EINVAL, ERR_USAGE, "%.100s: there are no arguments but options",
                    argv[optind]);
    return r;
}

/* ---- defaults ---- */

static unsigned default_slots(const struct machine *m)
{
    uint64_t by_memory = m->memory_free / slot_bytes;
    unsigned slots = m->cpus >= SLOTS_MAX ? SLOTS_MAX : (unsigned)m->cpus;

    if (m->memory_bytes > 0 && by_memory < slots)
        slots = (unsigned)by_memory;
    return slots > 0 ? slots : 1;
}

static uint64_t default_memory(const struct machine *m)
{
    return m->memory_bytes / 5 * 4;
}

static size_t default_cache(unsigned slots)
{
    size_t mib = (size_t)slots * CACHE_MIB_SLOT;

    if (mib < CACHE_MIB_MIN)
        mib = CACHE_MIB_MIN;
    return (mib > CACHE_MIB_MAX ? CACHE_MIB_MAX : mib) << 20;
}

static const char *default_disk(void)
{
    const char *tmp = getenv("TMPDIR");

    return tmp && tmp[0] ? tmp : "/tmp";
}

/* HOST-PID-RANDOM: a pid comes back, a container's is always 1. */
static int make_id(struct settings *s, struct err *err)
{
    char host[65] = "", id[ID_MAX + 1];
    uint32_t noise = 0;

    if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
        (void)snprintf(host, sizeof(host), "worker");
    for (char *p = host; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
              *p == '.' || *p == '-'))
            *p = '_';
    if (getrandom(&noise, sizeof(noise), 0) != sizeof(noise))
        return err_set(err, -EIO, ERR_RESOURCE, "no random number for an id; give one by --id");
    (void)snprintf(id, sizeof(id), "%s-%d-%06x", host, (int)getpid(), (unsigned)noise & 0xffffff);
    return set_id(s, id, err);
}

/* NULL where it is empty. */
static const char *variable(const char *name)
{
    const char *v = getenv(name);

    return v && v[0] ? v : NULL;
}

static int fill_in_broker(struct settings *s, struct err *err)
{
    const char *url = variable("GOPMILL_BROKER"), *file = variable("GOPMILL_BROKER_FILE");

    if (!s->broker_ca)
        s->broker_ca = variable("GOPMILL_BROKER_CA");
    if (!s->broker_cert)
        s->broker_cert = variable("GOPMILL_BROKER_CERT");
    if (!s->broker_key)
        s->broker_key = variable("GOPMILL_BROKER_KEY");
    if (s->broker || (!url && !file))
        return 0;
    return url ? set_broker(s, url, err) : read_broker_file(s, file, err);
}

static int fill_in(struct settings *s, struct err *err)
{
    int r = fill_in_broker(s, err);

    if (r == 0 && (!s->broker || !s->broker[0]))
        r = err_set(err, -EINVAL, ERR_USAGE,
                    "no broker: give its URL by GOPMILL_BROKER, --broker-file or --broker");
    if (r == 0 && !s->id)
        r = make_id(s, err);
    if (s->cache_bytes == 0)
        s->cache_bytes = default_cache(s->slots);
    return r;
}

int settings_read(int argc, char **argv, const struct machine *m, struct settings *ret,
                  enum settings_what *ret_what, struct err *err)
{
    enum settings_what what;
    struct settings s = {
        .slots = default_slots(m),
        .memory_bytes = default_memory(m),
        .uploads = UPLOADS_DEFAULT,
        .nice = NICE_DEFAULT,
        .drain_s = DRAIN_S_DEFAULT,
        .disk = default_disk(),
        .log_format = LOG_FORMAT_JSON,
        .log_level = LOG_INFO,
    };
    int r = read_options(argc, argv, &s, &what, err);

    if (r == 0 && what == SETTINGS_RUN)
        r = fill_in(&s, err);
    if (r < 0) {
        settings_release(&s);
        return r;
    }
    *ret = s;
    *ret_what = what;
    return 0;
}

void settings_release(struct settings *s)
{
    if (s->broker)
        explicit_bzero(s->broker, strlen(s->broker));
    free(s->broker);
    free(s->id);
    *s = (struct settings){ 0 };
}

char *settings_help(const struct machine *m)
{
    char *text;
    unsigned slots = default_slots(m);
    int n = asprintf(
        &text,
        "gopmill-worker takes encoding tasks from a broker until it is told to stop.\n"
        "\n"
        "Usage: gopmill-worker [OPTION...]\n"
        "\n"
        "Broker (its URL is needed; secrets belong into the first two)\n"
        "  GOPMILL_BROKER           amqp[s]://user:password@host[:port][,host2…]/vhost\n"
        "  --broker-file FILE       a file whose first line is that URL (GOPMILL_BROKER_FILE)\n"
        "  --broker URL             the URL itself; hidden from the list of processes\n"
        "  --broker-ca FILE         amqps: who signs the broker's certificate (PEM); default: the\n"
        "                           system's (GOPMILL_BROKER_CA)\n"
        "  --broker-cert FILE, --broker-key FILE\n"
        "                           amqps: this client's own certificate and key; default: none\n"
        "                           (GOPMILL_BROKER_CERT, GOPMILL_BROKER_KEY)\n"
        "\n"
        "Work\n"
        "  --slots N                tasks at once, 1 to %d; default: one a processor that may be\n"
        "                           used and for each free GiB of memory; here %u\n"
        "  --memory BYTES           that all tasks together may be predicted to need (K, M, G, T);\n"
        "                           0: no limit; default: 80 %% of the machine's or control group's;\n"
        "                           here %" PRIu64 "M\n"
        "  --cache BYTES            of source blocks; default: %dM a slot, at least %dM; here %zuM\n"
        "  --uploads N              objects stored at once by each slot, 1 to %d; default %d\n"
        "  --nice N                 added to the niceness of encoders, 0 to %d; default %d\n"
        "  --disk PATH              no task is taken while its file system is short; here %s\n"
        "  --private-addresses      https:// sources may lie at private addresses; default: no\n"
        "  --id NAME                unique in the farm; default: HOST-PID-RANDOM\n"
        "  --drain-seconds N        after SIGTERM running tasks have so long to end, then they are\n"
        "                           handed back, 0 to %d; default %d\n"
        "\n"
        "Storage comes from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,\n"
        "AWS_REGION, AWS_ENDPOINT_URL_S3 and AWS_CA_BUNDLE; a request to it without a byte for\n"
        "GOPMILL_STORE_STALL seconds (15) is made again. GOPMILL_CHILD says where\n"
        "gopmill-child is.\n"
        "\n"
        "Log, to stderr\n"
        "  --log-format json|text   default json\n"
        "  --log-level debug|info|warn|error\n"
        "                           default info\n"
        "\n"
        "  --version, --help\n"
        "\n"
        "Signals: SIGTERM and SIGINT drain (see --drain-seconds); a second one ends at once, and\n"
        "hands running tasks back.\n"
        "Exit status: 0 ended as it was told to, 1 failed, 2 wrong usage.\n",
        SLOTS_MAX, slots, default_memory(m) >> 20, CACHE_MIB_SLOT, CACHE_MIB_MIN,
        default_cache(slots) >> 20, UPLOADS_MAX, UPLOADS_DEFAULT, NICE_MAX, NICE_DEFAULT,
        default_disk(), DRAIN_S_MAX, DRAIN_S_DEFAULT);

    return n < 0 ? NULL : text;
}
