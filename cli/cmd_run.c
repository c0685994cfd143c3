#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/log.h"
#include "../common/child/nursery.h"
#include "../common/queue/queue.h"
#include "../common/wire/task.h"
#include "../dispatcher/engine.h"
#include "../ladders/ladder.h"
#include "../worker/worker.h"
#include "cli.h"
#include "interrupt.h"
#include "report.h"
#include "run_dir.h"
#include "running.h"
#include "stores.h"
#include "summary.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* The job's id: a folder holds one. */
#define JOB_ID "package"

enum { STEP_MS = 50, SLOTS_MAX = 1024 };

static const char LAST_WORDS[] = CANVAS_CURSOR_ON
    "\ngopmill: stopped; run the same command again to go on\n";

DEFINE_CLEANUP(struct ladder *, ladder_free);
DEFINE_CLEANUP(struct interrupt *, interrupt_free);
DEFINE_CLEANUP(struct store_env *, stores_free);

struct run_args {
    const char *input, *output, *ladder;
    unsigned slots, chunks;
    double chunk_seconds;
    int as_json, verbose;
    struct store_env *stores; /* NULL: nothing lies over the network */
};

static int is_remote(const struct run_args *a)
{
    return a->output && stores_is_network(a->output);
}

/* The farm in this process. */
struct farm {
    struct nursery *nursery;
    struct queue *queue;
    struct dispatcher *dispatcher;
    struct worker *worker;
    struct running *running;
};

enum outcome { WENT_DONE, WENT_FAILED, WENT_STOPPED };

static void on_progress(void *arg, unsigned slot, const struct task *t, uint64_t done)
{
    running_set(arg, slot, t->id, done);
}

static void on_end(void *arg, unsigned slot, const struct task *t, int r)
{
    (void)t, (void)r;
    running_clear(arg, slot);
}

static void wake(void *arg)
{
    dispatcher_wake(arg);
}

/* The nursery comes first: it loads the libraries of children meanwhile. */
static int farm_start(struct farm *f, const struct run_args *a, const struct run_dir *dir,
                      struct err *err)
{
    char id[32];

    (void)snprintf(id, sizeof(id), "local-%d", (int)getpid());
    f->running = running_new(a->slots);
    f->queue = queue_memory_new();
    if (!f->running || !f->queue)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int r = nursery_new(&f->nursery, err);
    if (r < 0)
        return r;

    const struct worker_config worker = {
        .nursery = f->nursery,
        .queue = f->queue,
        .stores = a->stores,
        .id = id,
        .slots = a->slots,
        .on_progress = on_progress,
        .on_end = on_end,
        .arg = f->running,
    };
    const struct dispatcher_config dispatcher = {
        .db_path = dir->db,
        .nursery = f->nursery,
        .queue = f->queue,
        .stores = a->stores,
        .slots = a->slots,
        .in_place = 1,
    };
    r = worker_start(&worker, &f->worker, err);
    if (r >= 0)
        r = dispatcher_new(&dispatcher, &f->dispatcher, err);
    return r;
}

static void farm_stop(struct farm *f)
{
    if (f->worker)
        worker_kill(f->worker);
    if (f->queue)
        f->queue->ops->close(f->queue);
    worker_free(f->worker);
    dispatcher_free(f->dispatcher);
    nursery_free(f->nursery);
    queue_free(f->queue);
    running_free(f->running);
    *f = (struct farm){ 0 };
}

static int submit(struct farm *f, const struct run_args *a, const struct run_dir *dir,
                  const struct cli_source *src, const struct ladder *ladder, struct err *err)
{
    _cleanup_free_ char *output = is_remote(a) ? strdup(a->output) : store_file_url(dir->path);

    if (!output)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: %s", dir->path, strerror(errno));
    const struct job_request req = {
        .id = JOB_ID,
        .source = src->url,
        .etag = src->st.etag,
        .output = output,
        .ladder = ladder_text(ladder),
        .ladder_name = ladder_name(ladder),
        .chunk_seconds = a->chunk_seconds,
        .chunk_count = a->chunks,
        .recheck = 1,
    };
    struct err why = { 0 };
    int r = dispatcher_submit(f->dispatcher, &req, &why);
    if (r == -EEXIST)
        return err_set(err, r, ERR_USAGE,
                       "%s: holds another package (%s); choose another --output, or remove it",
                       is_remote(a) ? a->output : dir->path, why.text);
    return r < 0 ? err_set(err, r, why.cls, "%s", why.text) : 0;
}

struct tasks_walk {
    struct measure *m;
    struct running *running;
};

static int measure_one(void *arg, const struct task_status *t)
{
    const struct tasks_walk *w = arg;

    measure_task(w->m, t, running_done(w->running, t->id));
    return 0;
}

/* One look at the job: its state, and how far it is told to the report. */
static int look(struct farm *f, struct report *report, struct job_status *st, struct err *err)
{
    const struct clock *clock = &clock_system;
    _cleanup_(measure_release) struct measure m = { 0 };

    int r = dispatcher_status(f->dispatcher, JOB_ID, st, err);
    if (r < 0)
        return r;

    const struct plan *plan = dispatcher_plan(f->dispatcher, JOB_ID);
    if (!plan || (!report->begun_ns && st->checking)) {
        report_update(report, NULL, st, running_count(f->running), clock->mono_ns(clock));
        return 0;
    }
    if (!report->begun_ns)
        report_planned(report, plan, st);
    r = measure_init(&m, plan);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "out of memory");
    struct tasks_walk walk = { &m, f->running };
    r = dispatcher_tasks(f->dispatcher, JOB_ID, measure_one, &walk, err);
    if (r >= 0)
        report_update(report, &m, st, running_count(f->running), clock->mono_ns(clock));
    return r;
}

/* Until the job has ended, or somebody asked to stop. */
static int work(struct farm *f, struct interrupt *interrupt, struct report *report,
                struct job_status *st, enum outcome *ret, struct err *err)
{
    int r;

    while ((r = look(f, report, st, err)) >= 0) {
        if (st->state == JOB_DONE || st->state == JOB_FAILED || st->state == JOB_CANCELED) {
            *ret = st->state == JOB_DONE ? WENT_DONE : WENT_FAILED;
            return 0;
        }
        if (interrupt_asked(interrupt)) {
            *ret = WENT_STOPPED;
            return 0;
        }
        r = dispatcher_step(f->dispatcher, STEP_MS, err);
        if (r < 0)
            return r;
    }
    return r;
}

static void say_failed(const struct run_args *a, const struct err *e)
{
    if (a->as_json)
        (void)cli_print_json(json_pack("{s:s, s:{s:s, s:s}}", "event", "failed", "error", "class",
                                       err_class_name(e->cls), "text", e->text));
}

static int say_stopped(const struct run_args *a)
{
    if (a->as_json)
        (void)cli_print_json(json_pack("{s:s}", "event", "stopped"));
    (void)fprintf(stderr, "gopmill: stopped; run the same command again to go on\n");
    return CLI_FAILED;
}

static int say_done(const struct run_args *a, const struct run_dir *dir,
                    const struct summary_run *run, struct err *err)
{
    _cleanup_(json_decrefp) json_t *receipt = NULL;
    const char *where = is_remote(a) ? a->output : dir->path;

    int r = is_remote(a) ? summary_fetch(a->stores, a->output, &receipt, err)
                         : summary_read(dir->path, &receipt, err);
    if (r < 0)
        return r;
    if (a->as_json)
        return cli_print_json(summary_json(where, receipt, run)) < 0
                   ? err_set(err, -EIO, ERR_STORAGE, "stdout can't be written")
                   : 0;
    summary_print(where, receipt, run);
    return 0;
}

/* What this run, not an earlier one, encoded: in seconds of video. */
static struct summary_run run_facts(struct farm *f, const struct report *report,
                                    const struct job_status *st)
{
    const struct plan *plan = dispatcher_plan(f->dispatcher, JOB_ID);
    int64_t now = clock_system.mono_ns(&clock_system);

    return (struct summary_run){
        .wall_s = (double)(now - report->start_ns) / (double)NS_PER_S,
        .encoded_s = plan ? measure_media_seconds(plan) * (1 - report->part0) : 0,
        .first_frame_s = st->first_frame_s,
        .attempts_failed = st->attempts_failed,
    };
}

static int run_in(const struct run_args *a, struct run_dir *dir, struct interrupt *interrupt,
                  const struct cli_source *src, const struct ladder *ladder, struct err *err)
{
    struct farm farm = { 0 };
    struct report report;
    struct job_status st = { .state = JOB_QUEUED };
    struct summary_run facts = { 0 };
    enum outcome outcome = WENT_FAILED;
    int worthless = dir->made_state; /* as long as no job is in the database */

    report_init(&report, a->as_json, a->verbose, clock_system.mono_ns(&clock_system));
    int r = farm_start(&farm, a, dir, err);
    if (r >= 0)
        r = submit(&farm, a, dir, src, ladder, err);
    if (r >= 0) {
        interrupt_on_wake(interrupt, wake, farm.dispatcher);
        r = work(&farm, interrupt, &report, &st, &outcome, err);
        interrupt_on_wake(interrupt, NULL, NULL);
        /* A job that failed before it had a plan leaves nothing to go on from. */
        worthless = r >= 0 && outcome == WENT_FAILED && !dispatcher_plan(farm.dispatcher, JOB_ID);
        if (r >= 0)
            facts = run_facts(&farm, &report, &st);
    }
    farm_stop(&farm);
    report_end(&report);

    if (worthless)
        run_dir_abandon(dir);
    if (r < 0)
        return r;
    if (outcome == WENT_STOPPED)
        return say_stopped(a);
    if (outcome == WENT_FAILED) {
        *err = st.error;
        return err_prefix(err, -EIO, "%s", a->input);
    }
    r = say_done(a, dir, &facts, err);
    return r < 0 ? r : CLI_DONE;
}

/* A package over the network is made from a folder of this user's that is
 * named by its URL: run again from anywhere, it goes on. NULL: errno. */
static char *state_folder(const char *url)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *path, hex[17];

    if (EVP_Digest(url, strlen(url), digest, NULL, EVP_sha256(), NULL) != 1 ||
        ((!state || !*state) && (!home || !*home))) {
        errno = ENOENT;
        return NULL;
    }
    for (size_t i = 0; i < sizeof(hex) / 2; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    int n = state && *state ? asprintf(&path, "%s/gopmill/%s", state, hex)
                            : asprintf(&path, "%s/.local/state/gopmill/%s", home, hex);
    return n < 0 ? NULL : path;
}

static int open_dir(const struct run_args *a, struct run_dir *ret, struct err *err)
{
    _cleanup_free_ char *path = is_remote(a) ? state_folder(a->output)
                                : a->output  ? strdup(a->output)
                                             : run_dir_default(a->input);

    if (!path && is_remote(a))
        return err_set(err, -ENOENT, ERR_USAGE,
                       "%s: there is no folder to remember the job in; set HOME or XDG_STATE_HOME",
                       a->output);
    if (!path)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    return run_dir_open(path, ret, err);
}

static int start(struct run_args *a, struct err *err)
{
    const char *const urls[] = { a->input, a->output };
    _cleanup_(stores_freep) struct store_env *stores = NULL;
    _cleanup_(ladder_freep) struct ladder *ladder = NULL;
    _cleanup_(cli_source_release) struct cli_source src = { 0 };
    _cleanup_(run_dir_release) struct run_dir dir = { .lock = -1 };
    _cleanup_(interrupt_freep) struct interrupt *interrupt = NULL;

    int r = ladder_load(a->ladder, &ladder, err);
    if (r >= 0)
        r = stores_new(urls, sizeof(urls) / sizeof(urls[0]), &stores, err);
    a->stores = stores;
    if (r >= 0)
        r = cli_source_open(a->input, stores, &src, err);
    if (r >= 0)
        r = open_dir(a, &dir, err);
    if (r < 0)
        return r;
    r = interrupt_start(LAST_WORDS, &interrupt);
    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "no thread can be started: %s", strerror(-r));
    return run_in(a, &dir, interrupt, &src, ladder, err);
}

static int take_option(int o, struct run_args *a, struct err *err)
{
    switch (o) {
    case OPT_OUTPUT:
        a->output = optarg;
        return 0;
    case OPT_LADDER:
        a->ladder = optarg;
        return 0;
    case OPT_SLOTS:
        return cli_parse_uint("--slots", optarg, 1, SLOTS_MAX, &a->slots, err);
    case OPT_CHUNK_SECONDS:
        return cli_parse_seconds("--chunk-seconds", optarg, 0.5, 3600, &a->chunk_seconds, err);
    case OPT_CHUNKS:
        return cli_parse_uint("--chunks", optarg, 1, 100000, &a->chunks, err);
    case OPT_JSON:
        a->as_json = 1;
        return 0;
    default:
        a->verbose = 1;
        return 0;
    }
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        {"help",             no_argument, NULL, OPT_HELP },
        { "output",              required_argument, NULL, OPT_OUTPUT },
        { "ladder",                 required_argument, NULL, OPT_LADDER },
        { "slots",required_argument, NULL, OPT_SLOTS },
        { "chunk-seconds",        required_argument, NULL, OPT_CHUNK_SECONDS },
        { "chunks",          required_argument, NULL, OPT_CHUNKS },
        { "json",              no_argument, NULL, OPT_JSON },
        { "verbose",                 no_argument, NULL, OPT_VERBOSE },
        { 0             },
    };
    struct run_args a = { .ladder = "web-h264", .slots = cli_cpus() };
    struct err err = { 0 };
    int o, status;

    if (a.slots > SLOTS_MAX)
        a.slots = SLOTS_MAX;
    while ((o = cli_option(self, argc, argv, options, &status)) != CLI_OPT_END)
        if (take_option(o, &a, &err) < 0)
            return cli_usage(self->name, "%s", err.text);
    if (status >= 0)
        return status;
    if (argc - optind != 1)
        return cli_usage(self->name, "exactly one INPUT is needed");
    a.input = argv[optind];

    log_init(LOG_FORMAT_TEXT, a.verbose ? LOG_DEBUG : LOG_OFF);
    int r = start(&a, &err);
    if (r >= 0)
        return r;
    say_failed(&a, &err);
    return cli_fail(&err);
}

const struct cli_command cmd_run = {
    .name = "run",
    .help = "Usage: gopmill run INPUT [--output DIR|URL] [--ladder NAME|FILE] [--slots N]\n"
            "                         [--chunk-seconds S] [--json] [--verbose]\n"
            "\n"
            "Makes a streaming package (HLS and DASH over the same segments) of INPUT in\n"
            "DIR. Stopped or killed at any moment, the same command goes on where it was\n"
            "and encodes nothing twice; what it needs for that is in DIR/.gopmill (of a\n"
            "package over the network: in ~/.local/state/gopmill). INPUT is a path, or an\n"
            "s3:// or https:// URL; S3 is reached as AWS_ENDPOINT_URL_S3, AWS_REGION,\n"
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say.\n"
            "\n"
            "  --output DIR|URL     where to, also s3://bucket/prefix/; INPUT's name without\n"
            "                       extension, in the current folder\n"
            "  --ladder NAME|FILE   a ladder of `gopmill ladder list`, or a file; web-h264\n"
            "  --slots N            encoders at work at the same time; the processors\n"
            "  --chunk-seconds S    length of a chunk, instead of what the cost predicts\n"
            "  --json               progress and summary as JSON lines on stdout\n"
            "  --verbose            also the log, as text on stderr\n"
            "\n"
            "Exit status: 0 done, 1 failed or stopped, 2 wrong usage or ladder, 3 INPUT\n"
            "can't be used.\n",
    .run = run,
};
