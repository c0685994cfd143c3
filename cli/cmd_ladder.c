#include "../common/base/cleanup.h"
#include "../ladders/ladder.h"
#include "cli.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(struct ladder *, ladder_free);

static json_t *ladder_json(const struct ladder *l, const char *path)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:f, s:f}", "name", ladder_name(l), "description",
                          ladder_description(l), "digest", ladder_digest(l), "segment_seconds",
                          ladder_segment_seconds(l), "gop_seconds", ladder_gop_seconds(l));
    if (j && path)
        (void)json_object_set_new(j, "path", json_string(path));
    return j;
}

/* `arg`: a JSON array, or NULL to print for people. A ladder that doesn't
 * load is listed with its reason: it must not hide the others. */
static int list_one(void *arg, const char *name, const char *path)
{
    _cleanup_(ladder_freep) struct ladder *l = NULL;
    struct err err = { 0 };
    json_t *array = arg;

    int r = ladder_load(path, &l, &err);
    if (r == -ENOMEM)
        return r;
    if (array)
        return json_array_append_new(
            array, l ? ladder_json(l, path)
                     : json_pack("{s:s, s:s, s:s}", "name", name, "path", path, "error", err.text));
    printf("%-16s %s\n", name, l ? ladder_description(l) : err.text);
    return 0;
}

static int list(int as_json, struct err *err)
{
    _cleanup_(json_decrefp) json_t *array = as_json ? json_array() : NULL;

    int r = ladder_list(list_one, array, err);
    if (r >= 0 && as_json)
        r = cli_print_json(take_ptr(array));
    return r;
}

static int show(const char *name, int as_json, struct err *err)
{
    _cleanup_(ladder_freep) struct ladder *l = NULL;

    int r = ladder_load(name, &l, err);
    if (r < 0)
        return r;
    if (!as_json) {
        (void)fputs(ladder_text(l), stdout);
        return 0;
    }
    json_t *j = ladder_json(l, NULL);
    if (j)
        (void)json_object_set_new(j, "text", json_string(ladder_text(l)));
    return cli_print_json(j);
}

/* The encoders are opened in a child: the codec libraries stay out of here. */
static int check(const char *name, int as_json, struct err *err)
{
    _cleanup_(ladder_freep) struct ladder *l = NULL;
    _cleanup_(json_decrefp) json_t *answer = NULL;

    int r = ladder_load(name, &l, err);
    if (r < 0)
        return r;

    _cleanup_(json_decrefp)
        json_t *j = json_pack("{s:i, s:s, s:s}", "v", 1, "ladder", ladder_text(l), "where", name);
    _cleanup_free_ char *request = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (!request)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    r = cli_ask_child(NULL, "ladder-check", request, &answer, err);
    if (r < 0)
        return r;
    if (as_json)
        return cli_print_json(json_pack("{s:s, s:b}", "name", ladder_name(l), "ok", 1));
    printf("%s: fine, every encoder takes its parameters\n", ladder_name(l));
    return 0;
}

/* What `check` finds wrong with a ladder is its answer, not wrong usage. */
static int check_failed(const char *name, int as_json, const struct err *err)
{
    if (as_json)
        (void)cli_print_json(
            json_pack("{s:s, s:b, s:s}", "name", name, "ok", 0, "error", err->text));
    (void)cli_fail(err);
    return CLI_FAILED;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, OPT_HELP },
        { "json",  no_argument, NULL, OPT_JSON },
        { 0    },
    };
    struct err err = { 0 };
    int o, r, status, as_json = 0;

    while ((o = cli_option(self, argc, argv, options, &status)) != CLI_OPT_END)
        as_json |= o == OPT_JSON;
    if (status >= 0)
        return status;

    const char *verb = optind < argc ? argv[optind] : "";
    const char *name = optind + 1 < argc ? argv[optind + 1] : NULL;
    int rest = argc - optind;

    if (!strcmp(verb, "list") && rest == 1)
        r = list(as_json, &err);
    else if (!strcmp(verb, "show") && rest == 2)
        r = show(name, as_json, &err);
    else if (!strcmp(verb, "check") && rest == 2)
        r = check(name, as_json, &err);
    else
        return cli_usage(self->name, "list, show NAME or check NAME|FILE is needed");
    if (r >= 0)
        return CLI_DONE;
    if (err.cls == ERR_NONE)
        (void)err_set(&err, r, ERR_STORAGE, "%s", strerror(-r));
    return !strcmp(verb, "check") ? check_failed(name, as_json, &err) : cli_fail(&err);
}

const struct cli_command cmd_ladder = {
    .name = "ladder",
    .help = "Usage: gopmill ladder list [--json]\n"
            "       gopmill ladder show NAME|FILE [--json]\n"
            "       gopmill ladder check NAME|FILE [--json]\n"
            "\n"
            "  list    the ladders that can be named, with what they are for\n"
            "  show    a ladder's text\n"
            "  check   load it and open every encoder with its parameters; exit status 1\n"
            "          and the line that is wrong where it doesn't pass\n"
            "\n"
            "docs/ladders.md tells how ladders are written. They are looked for in the\n"
            "folders of $GOPMILL_LADDERS (separated by ':') and in the installed one.\n",
    .run = run,
};
