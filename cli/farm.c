#include "farm.h"
#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "format.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PAGE = 500, PAGES_MAX = 10000 };

static int take_common(struct farm *f, int o)
{
    switch (o) {
    case OPT_JSON:
        f->as_json = 1;
        return 1;
    case OPT_DISPATCHER:
        f->dispatcher = optarg;
        return 1;
    case OPT_TOKEN_FILE:
        f->token_file = optarg;
        return 1;
    case OPT_CA_FILE:
        f->ca_file = optarg;
        return 1;
    case OPT_CERT_FILE:
        f->cert_file = optarg;
        return 1;
    case OPT_KEY_FILE:
        f->key_file = optarg;
        return 1;
    default:
        return 0;
    }
}

int farm_arguments(const struct cli_command *self, struct farm *f, int argc, char **argv,
                   const struct option *options, int (*take)(void *arg, int o, struct err *err),
                   void *arg, int min, int max, const char *what)
{
    struct err err = { 0 };
    int o, status;

    while ((o = cli_option(self, argc, argv, options, &status)) != CLI_OPT_END)
        if (!take_common(f, o) && take && take(arg, o, &err) < 0)
            return cli_usage(self->name, "%s", err.text);
    if (status >= 0)
        return status;
    if (argc - optind < min)
        return cli_usage(self->name, "%s is missing", what);
    if (argc - optind > max)
        return cli_usage(self->name, "there is one argument too many: '%s'", argv[optind + max]);
    return -1;
}

/* The option, else the variable; NULL where neither says something. */
static const char *setting(const char *option, const char *variable)
{
    const char *v = option ? option : getenv(variable);

    return v && *v ? v : NULL;
}

int farm_open(struct farm *f, struct err *err)
{
    char token[API_TOKEN_MAX];
    const char *dispatcher = setting(f->dispatcher, "GOPMILL_DISPATCHER");
    struct api_config cfg = {
        .dispatcher = dispatcher ? dispatcher : API_DEFAULT,
        .token = setting(NULL, "GOPMILL_TOKEN"),
        .ca_file = setting(f->ca_file, "GOPMILL_CA_FILE"),
        .cert_file = setting(f->cert_file, "GOPMILL_CERT_FILE"),
        .key_file = setting(f->key_file, "GOPMILL_KEY_FILE"),
        .stop = patience_over,
        .arg = &f->patience,
    };

    patience_begin(&f->patience);
    if (f->token_file) {
        int r = api_token_read(f->token_file, token, err);
        if (r < 0)
            return r;
        cfg.token = token;
    }
    int r = api_new(&cfg, &f->api, err);
    explicit_bzero(token, sizeof(token));
    return r;
}

void farm_close(struct farm *f)
{
    api_free(f->api);
    f->api = NULL;
    patience_end(&f->patience);
}

int farm_call(struct farm *f, const char *method, char *path, const char *body,
              struct api_answer *ret, struct err *err)
{
    _cleanup_free_ char *owned = path;

    if (!owned)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    return api_call(f->api, method, owned, body, NULL, ret, err);
}

/* ---- lists ------------------------------------------------------------ */

static char *page_path(const char *state, const char *tenant, const char *after, size_t n)
{
    char limit[24];

    (void)snprintf(limit, sizeof(limit), "%zu", n);
    return api_path("/v1/jobs?limit=%s&state=%s&tenant=%s&after=%s", limit, state ? state : "",
                    tenant ? tenant : "", after ? after : "");
}

/* Leave out the parameters that say nothing: "state=&". */
static char *without_empty(char *path)
{
    char *in = path ? strchr(path, '?') : NULL, *out = in;

    if (!in)
        return path;
    for (*out++ = *in++; *in;) {
        size_t n = strcspn(in, "&");

        if (in[n - 1] != '=') {
            if (out[-1] != '?')
                *out++ = '&';
            memmove(out, in, n);
            out += n;
        }
        in += n + (in[n] == '&');
    }
    *out = '\0';
    return path;
}

/* One page. *left: how many are still wanted. */
static int page(struct farm *f, char *path, size_t *left, char **ret_after,
                int (*each)(void *arg, const json_t *job), void *arg, struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer a = { 0 };

    int r = farm_call(f, "GET", without_empty(path), NULL, &a, err);
    if (r < 0)
        return r;
    const json_t *jobs = json_object_get(a.json, "jobs");
    const char *after = json_string_value(json_object_get(a.json, "after"));
    size_t n = answer_count(a.json, "jobs");

    for (size_t i = 0; i < n && *left; i++, (*left)--)
        if ((r = each(arg, json_array_get(jobs, i))) != 0)
            return r;
    *ret_after = after && n && *left ? strdup(after) : NULL;
    return 0;
}

int farm_jobs(struct farm *f, const char *state, const char *tenant, size_t limit,
              int (*each)(void *arg, const json_t *job), void *arg, struct err *err)
{
    _cleanup_free_ char *after = NULL;
    size_t left = limit ? limit : SIZE_MAX;

    for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
        char *next = NULL;
        char *path = page_path(state, tenant, after, left < PAGE ? left : PAGE);
        int r = page(f, path, &left, &next, each, arg, err);

        if (r != 0 || !next)
            return r;
        free(after);
        after = next;
    }
    return err_set(err, -E2BIG, ERR_STORAGE, "the dispatcher's list of jobs has no end");
}

/* ---- saying ----------------------------------------------------------- */

int farm_print(const json_t *j, struct err *err)
{
    if (json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12)) < 0 ||
        putchar('\n') == EOF || fflush(stdout) != 0)
        return err_set(err, -EIO, ERR_STORAGE, "stdout can't be written");
    return 0;
}

int farm_say_failed(const struct farm *f, const char *id, const struct err *e)
{
    if (f->as_json) {
        _cleanup_(json_decrefp)
            json_t *j = json_pack("{s:s, s:{s:s, s:s}}", "id", id, "error", "class",
                                  err_class_name(e->cls), "text", e->text);
        if (j)
            (void)farm_print(j, NULL);
    }
    return cli_fail(e);
}

int farm_for_each(struct farm *f, char *const *ids, size_t n,
                  int (*one)(struct farm *f, const char *id, void *arg, struct err *err), void *arg)
{
    int status = CLI_DONE;

    for (size_t i = 0; i < n; i++) {
        struct err err = { 0 };
        int r = one(f, ids[i], arg, &err);

        if (r >= 0)
            continue;
        int failed = farm_say_failed(f, ids[i], &err);
        status = status ? status : failed;
        /* What stands in the way of one stands in the way of all. */
        if (r == -EHOSTDOWN || r == -EACCES || r == -ECANCELED)
            break;
    }
    return status;
}

static int do_one(struct farm *f, const char *id, void *arg, struct err *err)
{
    const struct farm_verb *v = arg;
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };
    int r = farm_call(f, "POST", api_path("/v1/%s/%s/%s", v->kind, id, v->verb), NULL, &answer,
                      err);

    if (r < 0)
        return r;
    if (!f->as_json) {
        printf("%s %s\n", id, v->said);
        return 0;
    }
    _cleanup_(json_decrefp)
        json_t *j = json_pack("{s:s, s:b}", "id", id, v->key ? v->key : v->said, 1);
    return j ? farm_print(j, err) : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

int farm_do_each(const struct cli_command *self, int argc, char **argv, const struct farm_verb *v)
{
    static const struct option options[] = { FARM_OPTIONS, { 0 } };
    struct farm f = { 0 };
    struct err err = { 0 };

    int status = farm_arguments(self, &f, argc, argv, options, NULL, NULL, 1, v->most, v->what);
    if (status >= 0)
        return status;
    int r = farm_open(&f, &err);
    if (r >= 0)
        status = farm_for_each(&f, argv + optind, (size_t)(argc - optind), do_one, (void *)v);
    farm_close(&f);
    return r < 0 ? cli_fail(&err) : status;
}

double farm_now(void)
{
    return (double)clock_system.wall_ms(&clock_system) / 1000;
}

const char *farm_when(char *buf, double at_s, double now_s)
{
    static const struct {
        double below_s, unit_s;
        const char *unit;
    } steps[] = {
        {100,          1,     "s"  },
        { 6000,        60,    "min"},
        { 48.0 * 3600, 3600,  "h"  },
        { INFINITY,    86400, "d"  },
    };
    double age = now_s > at_s ? now_s - at_s : 0;
    time_t at = (time_t)at_s;
    struct tm tm;
    size_t i = 0;

    buf[0] = '\0';
    if (!(at_s > 0) || !gmtime_r(&at, &tm))
        return buf;
    while (age >= steps[i].below_s)
        i++;
    size_t n = strftime(buf, FMT_MAX, "%Y-%m-%d %H:%M:%SZ", &tm);
    (void)snprintf(buf + n, FMT_MAX - n, ", %.0f %s ago", age / steps[i].unit_s, steps[i].unit);
    return buf;
}
