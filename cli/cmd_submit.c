#include "../common/base/cleanup.h"
#include "../common/wire/job.h"
#include "../common/wire/json_text.h"
#include "../ladders/ladder.h"
#include "farm.h"
#include "follow.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { SOURCES_MAX = 1000, NAME_ROOM = 41, TRIES = 3 };

DEFINE_CLEANUP(struct ladder *, ladder_free);

struct submit_args {
    struct farm farm;
    const char *output, *ladder, *tenant, *id, *notify, *metadata;
    unsigned priority;
    int replace;
    int wait;
    struct ladder *inlined; /* of a ladder that is a file here */
};

/* ---- what is sent ----------------------------------------------------- */

/* A URL as it is; a path becomes file://, for farms whose machines share it. */
static int source_url(const char *source, char **ret, struct err *err)
{
    struct stat st;

    if (!strstr(source, "://") && stat(source, &st) < 0)
        return err_set(err, -errno, ERR_INPUT,
                       "%s: %s; sources are URLs (s3://, https://), or "
                       "paths that this machine shares with the farm",
                       source, strerror(errno));
    *ret = strstr(source, "://") ? strdup(source) : store_file_url(source);
    return *ret ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", source);
}

/* The last part of a URL or path, without what follows its last dot, in
 * letters that need no escape anywhere: "My holiday.mov" is "My-holiday". */
static void name_of(const char *source, char ret[NAME_ROOM])
{
    size_t n = strcspn(source, "?#"), from, len = 0;

    while (n && source[n - 1] == '/')
        n--;
    for (from = n; from && source[from - 1] != '/';)
        from--;
    const char *dot = memrchr(source + from, '.', n - from);
    if (dot && dot > source + from)
        n = (size_t)(dot - source);
    for (; from < n && len < NAME_ROOM - 1; from++) {
        char c = source[from];
        int good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (good || (len && ret[len - 1] != '-'))
            ret[len++] = good ? c : '-';
    }
    while (len && ret[len - 1] == '-')
        len--;
    ret[len] = '\0';
    if (!len)
        (void)snprintf(ret, NAME_ROOM, "video");
}

/* "holiday-5f0c2a9d71e4": an id of the caller's makes sending twice harmless. */
static int make_id(const char *source, char ret[JOB_ID_MAX + 1], struct err *err)
{
    unsigned char noise[6];
    char name[NAME_ROOM];

    if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        return err_set(err, -EIO, ERR_RESOURCE, "no random numbers: %s", strerror(errno));
    name_of(source, name);
    (void)snprintf(ret, JOB_ID_MAX + 1, "%s-%02x%02x%02x%02x%02x%02x", name, noise[0], noise[1],
                   noise[2], noise[3], noise[4], noise[5]);
    return 0;
}

/* Where the package goes: as told, or a folder of its own below for each of
 * several sources. */
static char *output_url(const struct submit_args *a, const char *source, int several)
{
    _cleanup_free_ char *base = strstr(a->output, "://") ? strdup(a->output)
                                                         : store_file_url(a->output);
    char name[NAME_ROOM], *url;

    if (!base || !several)
        return take_ptr(base);
    name_of(source, name);
    size_t len = strlen(base);
    return asprintf(&url, "%s%s%s/", base, len && base[len - 1] == '/' ? "" : "/", name) < 0 ? NULL
                                                                                             : url;
}

static int job_text(const struct submit_args *a, const char *source, int several, char *ret_id,
                    char **ret, struct err *err)
{
    _cleanup_free_ char *url = NULL, *output = NULL;
    int r = source_url(source, &url, err);

    if (r >= 0 && a->id)
        (void)snprintf(ret_id, JOB_ID_MAX + 1, "%s", a->id);
    else if (r >= 0)
        r = make_id(source, ret_id, err);
    if (r < 0)
        return r;
    output = output_url(a, source, several);
    if (!output)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: %s", a->output, strerror(errno));

    const struct job_message m = {
        .id = ret_id,
        .source = url,
        .output = output,
        .ladder = a->inlined ? NULL : (char *)a->ladder,
        .ladder_text = a->inlined ? (char *)ladder_text(a->inlined) : NULL,
        .tenant = (char *)a->tenant,
        .notify = (char *)a->notify,
        .metadata = (char *)a->metadata,
        .priority = a->priority,
        .replace = a->replace,
    };
    *ret = job_message_to_text(&m);
    return *ret ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- sending ---------------------------------------------------------- */

/* Sent again where the connection was lost on the way: it has its id. */
static int post(struct submit_args *a, const char *body, struct api_answer *ret, struct err *err)
{
    int r = 0;

    for (int i = 0; i < TRIES; i++) {
        r = api_call(a->farm.api, "POST", "/v1/jobs", body, NULL, ret, err);
        if (r != -ECONNRESET || patience_over(&a->farm.patience))
            break;
    }
    return r;
}

static int submit_one(struct submit_args *a, const char *source, int several, char **ret_id,
                      struct err *err)
{
    _cleanup_(api_answer_release) struct api_answer answer = { 0 };
    _cleanup_free_ char *body = NULL;
    char id[JOB_ID_MAX + 1];
    struct answer_job job;

    int r = job_text(a, source, several, id, &body, err);
    if (r >= 0)
        r = post(a, body, &answer, err);
    if (r >= 0)
        r = answer_job(answer.json, &job, err);
    if (r < 0)
        return r;
    if (a->farm.as_json)
        r = a->wait ? 0 : farm_print(answer.json, err);
    else if (!a->wait)
        printf("%s\n", job.id);
    else
        (void)fprintf(stderr, "%s %s\n", job.id,
                      answer.status == 200 ? "was submitted before" : "submitted");
    *ret_id = take_ptr(job.id);
    answer_job_release(&job);
    return r;
}

/* Those that were accepted are followed, also where others were refused. */
static int submit_all(struct submit_args *a, char **sources, size_t n)
{
    char **ids = calloc(n, sizeof(*ids));
    struct err err = { 0 };
    int status = CLI_DONE;
    size_t accepted = 0;

    if (!ids)
        return CLI_FAILED;
    for (size_t i = 0; i < n; i++) {
        int r = submit_one(a, sources[i], n > 1, &ids[accepted], &err);

        accepted += ids[accepted] != NULL;
        if (r >= 0)
            continue;
        int failed = farm_say_failed(&a->farm, sources[i], &err);
        status = status ? status : failed;
        if (r == -EHOSTDOWN || r == -EACCES || r == -ECANCELED)
            break;
    }
    if (a->wait && accepted) {
        int ended = CLI_FAILED;

        if (follow_jobs(&a->farm, ids, accepted, &ended, &err) < 0)
            ended = cli_fail(&err);
        status = status ? status : ended;
    }
    for (size_t i = 0; i < accepted; i++)
        free(ids[i]);
    free(ids);
    return status;
}

/* ---- the command line ------------------------------------------------- */

static int take_metadata(struct submit_args *a, struct err *err)
{
    _cleanup_(json_decrefp) json_t *j = NULL;
    int r = json_text_read(optarg, strlen(optarg), ERR_USAGE, &j, err);

    if (r < 0)
        return err_prefix(err, r, "--metadata");
    if (!json_is_object(j))
        return err_set(err, -EINVAL, ERR_USAGE, "--metadata: not a JSON object");
    a->metadata = optarg;
    return 0;
}

static int take(void *arg, int o, struct err *err)
{
    struct submit_args *a = arg;

    switch (o) {
    case OPT_OUTPUT:
        a->output = optarg;
        return 0;
    case OPT_LADDER:
        a->ladder = optarg;
        return 0;
    case OPT_PRIORITY:
        return cli_parse_uint("--priority", optarg, 0, 9, &a->priority, err);
    case OPT_TENANT:
        a->tenant = optarg;
        return 0;
    case OPT_ID:
        a->id = optarg;
        return job_id_check(optarg, err);
    case OPT_NOTIFY:
        a->notify = optarg;
        return 0;
    case OPT_METADATA:
        return take_metadata(a, err);
    case OPT_REPLACE:
        a->replace = 1;
        return 0;
    default:
        a->wait = 1;
        return 0;
    }
}

/* Two sources of one name would write one package over the other. */
static int check_names(char **sources, size_t n, struct err *err)
{
    char a[NAME_ROOM], b[NAME_ROOM];

    for (size_t i = 0; i < n; i++) {
        name_of(sources[i], a);
        for (size_t k = 0; k < i; k++) {
            name_of(sources[k], b);
            if (!strcmp(a, b))
                return err_set(err, -EINVAL, ERR_USAGE,
                               "%s and %s would both go to %s/; submit them apart", sources[k],
                               sources[i], a);
        }
    }
    return 0;
}

static int prepare(struct submit_args *a, char **sources, size_t n, struct err *err)
{
    if (!a->output)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "where does the package go? give --output, like --output s3://bucket/%s",
                       n > 1 ? "packages/ (each gets a folder below)" : "name/");
    if (a->id && n > 1)
        return err_set(err, -EINVAL, ERR_USAGE, "--id is for one SOURCE, there are %zu", n);
    int r = n > 1 ? check_names(sources, n, err) : 0;
    /* A file is this machine's; a name is looked up by the farm. */
    size_t len = a->ladder ? strlen(a->ladder) : 0;
    if (r >= 0 && a->ladder &&
        (strchr(a->ladder, '/') || (len > 5 && !strcmp(a->ladder + len - 5, ".yaml"))))
        r = ladder_load(a->ladder, &a->inlined, err);
    return r;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        FARM_OPTIONS,
        {"output",           required_argument, NULL, OPT_OUTPUT },
        { "ladder",              required_argument, NULL, OPT_LADDER },
        { "priority",                 required_argument, NULL, OPT_PRIORITY },
        { "tenant",required_argument, NULL, OPT_TENANT },
        { "id",        required_argument, NULL, OPT_ID },
        { "notify",        required_argument, NULL, OPT_NOTIFY },
        { "metadata",              required_argument, NULL, OPT_METADATA },
        { "replace",                 no_argument, NULL, OPT_REPLACE },
        { "wait",              no_argument, NULL, OPT_WAIT },
        { 0       },
    };
    struct submit_args a = { .priority = 5 };
    struct err err = { 0 };

    int status = farm_arguments(self, &a.farm, argc, argv, options, take, &a, 1, SOURCES_MAX,
                                "SOURCE");
    if (status >= 0)
        return status;

    char **sources = argv + optind;
    size_t n = (size_t)(argc - optind);
    int r = prepare(&a, sources, n, &err);
    if (r >= 0) {
        r = farm_open(&a.farm, &err);
        status = r >= 0 ? submit_all(&a, sources, n) : 0;
        farm_close(&a.farm);
    }
    ladder_free(a.inlined);
    return r < 0 ? cli_fail(&err) : status;
}

const struct cli_command cmd_submit = {
    .name = "submit",
    .help = "Usage: gopmill submit SOURCE... --output URL [OPTION...]\n"
            "\n"
            "Has the farm make a streaming package of each SOURCE: an s3:// or https://\n"
            "URL, or a path that its machines see as well (it is sent as file://; the\n"
            "farm has to allow it). Prints the job's id once it can't be lost any more.\n"
            "\n"
            "  --output URL         where the package goes, like s3://bucket/name/; of\n"
            "                       several SOURCEs each gets a folder of its name below\n"
            "  --ladder NAME|FILE   a ladder that the farm knows, or a file, which is sent\n"
            "                       along; the farm's default\n"
            "  --priority N         0 to 9, higher goes first; 5\n"
            "  --tenant T           whose job it is: the farm is shared fairly among tenants\n"
            "  --id ID              the same id twice is one job; one is made up\n"
            "  --notify URL         called by the farm at the job's end\n"
            "  --metadata JSON      an object that is given back with the job\n"
            "  --replace            where another job has published to URL: make the package\n"
            "                       beside that one, and swap playlists when it is whole\n"
            "  --wait               stay and show how far it is, until it has ended\n"
            "  --json               answers as JSON lines; with --wait the job, whenever it\n"
            "                       changed\n" FARM_HELP "\n"
            "Exit status: 0 accepted (--wait: done), 1 failed, canceled or out of reach,\n"
            "2 wrong usage, token or ladder, 3 the source can't be used.\n",
    .run = run,
};
