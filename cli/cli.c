#include "cli.h"
#include "../common/base/cleanup.h"
#include "../common/child/child.h"
#include "../common/wire/json_text.h"
#include "stores.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int cli_exit_of(enum err_class cls)
{
    switch (cls) {
    case ERR_NONE:
        return CLI_DONE;
    case ERR_INPUT:
    case ERR_UNSUPPORTED:
        return CLI_INPUT;
    case ERR_USAGE:
        return CLI_USAGE;
    default:
        return CLI_FAILED;
    }
}

int cli_fail(const struct err *e)
{
    (void)fputs("gopmill: ", stderr);
    text_put(stderr, e->text); /* it may quote a file or an answer */
    (void)fputc('\n', stderr);
    return e->cls == ERR_NONE ? CLI_FAILED : cli_exit_of(e->cls);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;

    (void)fputs("gopmill: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "; see gopmill%s%s --help\n", command ? " " : "", command ? command : "");
    return CLI_USAGE;
}

int cli_option(const struct cli_command *c, int argc, char **argv, const struct option *options,
               int *ret_exit)
{
    opterr = 0;
    int o = getopt_long(argc, argv, ":h", options, NULL);

    *ret_exit = -1;
    if (o == -1)
        return CLI_OPT_END;
    if (o == 'h' || o == OPT_HELP) {
        (void)fputs(c->help, stdout);
        *ret_exit = CLI_DONE;
        return CLI_OPT_END;
    }
    if (o == ':') {
        *ret_exit = cli_usage(c->name, "%s needs a value", argv[optind - 1]);
        return CLI_OPT_END;
    }
    if (o == '?') {
        *ret_exit = cli_usage(c->name, "option %s is unknown, ambiguous or takes no value",
                              argv[optind - 1]);
        return CLI_OPT_END;
    }
    return o;
}

int cli_parse_uint(const char *option, const char *text, unsigned min, unsigned max, unsigned *ret,
                   struct err *err)
{
    char *end;

    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] < '0' || text[0] > '9' || v < min || v > max)
        return err_set(err, -EINVAL, ERR_USAGE, "%s %s: must be a whole number from %u to %u",
                       option, text, min, max);
    *ret = (unsigned)v;
    return 0;
}

int cli_parse_seconds(const char *option, const char *text, double min, double max, double *ret,
                      struct err *err)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !isfinite(v) || v < min || v > max)
        return err_set(err, -EINVAL, ERR_USAGE, "%s %s: must be seconds from %g to %g", option,
                       text, min, max);
    *ret = v;
    return 0;
}

/* What a person can do something about, before a store says it in general. */
static int check_path(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return err_set(err, -errno, ERR_INPUT, "%s: there is no such file; check the path",
                           path);
        return err_set(err, -errno, ERR_INPUT, "%s: can't be opened: %s; check its permissions",
                       path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode))
        return err_set(err, -EISDIR, ERR_INPUT, "%s: is a folder; give a video file", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, ERR_INPUT,
                       "%s: is not a regular file; sources are read at random, so save it first",
                       path);

    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, ERR_INPUT, "%s: can't be read: %s; check its permissions", path,
                       strerror(errno));
    if (st.st_size == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "%s: the file is empty; was it uploaded whole?",
                       path);
    return 0;
}

int stores_is_network(const char *path_or_url)
{
    return strstr(path_or_url, "://") != NULL && strncasecmp(path_or_url, "file://", 7) != 0;
}

int cli_source_open(const char *input, struct store_env *stores, struct cli_source *ret,
                    struct err *err)
{
    struct cli_source s = { 0 };
    int is_url = strstr(input, "://") != NULL;

    int r = is_url ? 0 : check_path(input, err);
    if (r < 0)
        return r;

    s.url = is_url ? strdup(input) : store_file_url(input);
    if (!s.url)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", input);
    r = store_open_object(stores, s.url, &s.store, &s.key, err);
    if (r >= 0)
        r = s.store->ops->head(s.store, s.key, &s.st, err);
    if (r == -ENOENT)
        r = err_set(err, r, ERR_INPUT, "%s: there is no such object; check the address", input);
    if (r < 0) {
        cli_source_release(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void cli_source_release(struct cli_source *s)
{
    store_free(s->store);
    free(s->key);
    free(s->url);
    *s = (struct cli_source){ 0 };
}

static int read_source(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n,
                       struct err *err)
{
    const struct cli_source *s = arg;

    return s->store->ops->get_range(s->store, s->key, s->st.etag, off, buf, len, ret_n, err);
}

static int read_many(void *arg, struct read_range *v, size_t n, struct err *err)
{
    const struct cli_source *s = arg;

    return store_get_many(s->store, s->key, s->st.etag, v, n, STORE_AT_ONCE, err);
}

static int read_nothing(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n,
                        struct err *err)
{
    (void)arg, (void)off, (void)buf, (void)len, (void)err;
    *ret_n = 0;
    return 0;
}

DEFINE_CLEANUP(struct child *, child_free);

int cli_ask_child(const struct cli_source *src, const char *kind, const char *request, json_t **ret,
                  struct err *err)
{
    const struct child_handler handler = {
        .arg = (void *)src,
        .read = src ? read_source : read_nothing,
        .read_many = src ? read_many : NULL,
    };
    const struct child_limits limits = {
        .memory_bytes = UINT64_C(4) << 30,
        .stall_ms = 60000,
    };
    struct child_usage usage;
    _cleanup_free_ char *answer = NULL;
    _cleanup_(child_freep) struct child *child = NULL;

    int r = child_start(&child, err);
    if (r < 0)
        return r;
    r = child_run(child, kind, request, src ? src->st.size_bytes : 0, &handler, &limits, &answer,
                  &usage, err);
    if (r < 0)
        return r;

    r = json_text_read(answer, strlen(answer), ERR_INTERNAL, ret, err);
    return r < 0 ? err_prefix(err, r, "%s: the child's answer", kind) : 0;
}

int cli_print_json(json_t *j)
{
    if (!j)
        return -ENOMEM;
    int r = json_dumpf(j, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(j);
    if (r < 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return -EIO;
    return 0;
}

unsigned cli_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}
