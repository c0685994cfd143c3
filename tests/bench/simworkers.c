/* simworkers.c - workers that encode nothing: they take tasks from a real
 * broker and answer at once with results that pass every check of the
 * dispatcher. For measuring the dispatcher, tests/bench/farm.
 *
 * simworkers BROKER-URL [--slots N] [--threads N] [--work-ms N] [--seconds N] [--idle]
 *
 * Tells the farm of N slots by heartbeats. --idle: takes no tasks. Video
 * tasks only: an audio task is answered as failed. Ends after --seconds
 * or by SIGTERM and prints {"results":N,"seconds":S}.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/queue/amqp.h"
#include "common/wire/event.h"
#include "common/wire/result.h"

enum { THREADS_MAX = 256, SEGMENT_BYTES = 100000, CONSUME_MS = 200, PUBLISH_MS = 60000 };

struct sim {
    struct queue *queue;
    const char *broker;
    char id[64];
    unsigned slots, threads, work_ms, seconds;
    int idle;
    int64_t started_ms;
    atomic_int stop;
    atomic_ullong results;
};

static atomic_int signaled;

static void on_signal(int sig)
{
    (void)sig;
    signaled = 1;
}

static int64_t now_ms(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&t, NULL);
}

static void *must(void *p)
{
    if (!p) {
        (void)fputs("simworkers: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static char *copy_of(const char *s)
{
    return must(strdup(s));
}

/* ---- results ---- */

static void hex_fill(char *ret, size_t digits, unsigned seed)
{
    for (size_t i = 0; i < digits; i++)
        ret[i] = "0123456789abcdef"[(seed + i) % 16];
    ret[digits] = '\0';
}

static int64_t gop_ticks(const struct task *t, size_t gop)
{
    const struct chunk *c = &t->chunk;

    return plan_ticks(gop < c->n_gops ? c->gops[gop] : c->end, t->origin, t->info.video.tb,
                      t->timescale);
}

static void make_segment(const struct task *t, const struct rendition *r, size_t i,
                         struct segment *s)
{
    const struct chunk *c = &t->chunk;
    size_t from = c->segments[i], to = i + 1 < c->n_segments ? c->segments[i + 1] : c->n_gops;

    s->number = c->first_segment + (unsigned)i + 1;
    s->key = must(segment_key(MEDIA_VIDEO, r->name, s->number));
    s->size_bytes = SEGMENT_BYTES;
    hex_fill(s->sha256, 64, s->number);
    hex_fill(s->md5, 32, s->number);
    s->start = gop_ticks(t, from);
    s->duration = gop_ticks(t, to) - s->start;
    s->frames = (uint64_t)chunk_frames_kept(c, &r->grid, from, to, t->origin, t->info.video.tb);
    s->n_gops = to - from;
    s->gops = must(calloc(s->n_gops, sizeof(*s->gops)));
    for (size_t k = 0; k < s->n_gops; k++) {
        uint64_t each = SEGMENT_BYTES / s->n_gops;
        s->gops[k] = (struct gop_range){ .offset = each * k, .size_bytes = each / 4 + 1 };
        s->gops[k].start = gop_ticks(t, from + k);
        s->gops[k].duration = gop_ticks(t, from + k + 1) - s->gops[k].start;
    }
}

static void make_rendition(const struct task *t, const struct rendition *r,
                           struct rendition_result *ret)
{
    ret->name = copy_of(r->name);
    ret->timescale = t->timescale;
    ret->codecs = copy_of("avc1.64001f");
    ret->init.key = must(segment_key(MEDIA_VIDEO, r->name, 0));
    ret->init.size_bytes = 800;
    hex_fill(ret->init.sha256, 64, 1);
    hex_fill(ret->init.md5, 32, 1);
    ret->n_segments = t->chunk.n_segments;
    ret->segments = must(calloc(ret->n_segments, sizeof(*ret->segments)));
    for (size_t i = 0; i < ret->n_segments; i++) {
        make_segment(t, r, i, &ret->segments[i]);
        ret->frames += ret->segments[i].frames;
    }
}

static void make_result(const struct sim *s, const struct task *t, struct task_result *ret)
{
    *ret = (struct task_result){ .job = copy_of(t->job),
                                 .task = copy_of(t->id),
                                 .attempt = t->attempt,
                                 .engine = copy_of("simulated"),
                                 .worker = copy_of(s->id),
                                 .cpu_s = t->cost,
                                 .wall_s = t->cost,
                                 .first_frame_s = 0.1,
                                 .peak_bytes = 100 << 20,
                                 .bytes_read = 1 << 20 };
    if (t->kind == TASK_AUDIO) {
        (void)err_set(&ret->error, -ENOTSUP, ERR_UNSUPPORTED, "simulated workers make no sound");
        return;
    }
    ret->frames_in = t->chunk.pts.n_frames;
    ret->n_renditions = t->n_renditions;
    ret->renditions = must(calloc(t->n_renditions, sizeof(*ret->renditions)));
    for (size_t i = 0; i < t->n_renditions; i++)
        make_rendition(t, &t->renditions[i], &ret->renditions[i]);
}

/* ---- one slot ---- */

static int answer(struct sim *s, const struct queue_msg *m, struct err *err)
{
    struct task_result result;
    struct task t = { 0 };
    int r = task_from_text(m->body, m->len, &t, err);
    if (r < 0)
        return s->queue->ops->reject(s->queue, m, 0, err->text, err);
    make_result(s, &t, &result);
    task_release(&t);
    json_t *j = task_result_to_json(&result);
    char *text = must(j ? json_dumps(j, JSON_COMPACT) : NULL);
    json_decref(j);
    task_result_release(&result);
    if (s->work_ms)
        sleep_ms(s->work_ms);
    r = queue_publish(s->queue, QUEUE_RESULTS, text, strlen(text), PUBLISH_MS, err);
    free(text);
    if (r < 0)
        return r;
    atomic_fetch_add(&s->results, 1);
    r = s->queue->ops->ack(s->queue, m, err);
    return r == -ESTALE ? 0 : r;
}

static void *run_slot(void *arg)
{
    struct sim *s = arg;
    struct err err = { 0 };

    while (!s->stop) {
        struct queue_msg m = { 0 };
        int r = s->queue->ops->consume(s->queue, QUEUE_TASKS, CONSUME_MS, &m, &err);
        if (r == -EAGAIN)
            continue;
        if (r == 0) {
            r = answer(s, &m, &err);
            queue_msg_release(&m);
        }
        if (r < 0 && !s->stop)
            (void)fprintf(stderr, "simworkers: %s\n", err.text);
        if (r == -ESHUTDOWN)
            break;
    }
    return NULL;
}

/* ---- heartbeats ---- */

static void beat(struct sim *s)
{
    struct heartbeat h = { .worker = s->id,
                           .host = (char *)"nowhere",
                           .engine = (char *)"simulated",
                           .state = WORKER_ACTIVE,
                           .slots = s->slots,
                           .memory_bytes = UINT64_C(1) << 40,
                           .memory_free = UINT64_C(1) << 40,
                           .started_ms = s->started_ms,
                           .tasks_done = s->results };
    json_t *j = heartbeat_to_json(&h);
    char *text = must(j ? json_dumps(j, JSON_COMPACT) : NULL);
    char *key = must(event_key("event.worker", s->id, NULL));

    s->queue->ops->event(s->queue, key, text, strlen(text));
    json_decref(j);
    free(text);
    free(key);
}

static void run(struct sim *s)
{
    pthread_t threads[THREADS_MAX];
    unsigned n = 0;
    int64_t start = now_ms(CLOCK_MONOTONIC), next = start;

    for (; !s->idle && n < s->threads; n++)
        if (pthread_create(&threads[n], NULL, run_slot, s) != 0)
            break;
    while (!signaled && (!s->seconds || now_ms(CLOCK_MONOTONIC) < start + s->seconds * 1000LL)) {
        if (now_ms(CLOCK_MONOTONIC) >= next) {
            beat(s);
            next += HEARTBEAT_MS;
        }
        sleep_ms(50);
    }
    s->stop = 1;
    printf("{\"results\":%llu,\"seconds\":%.3f}\n", (unsigned long long)s->results,
           (double)(now_ms(CLOCK_MONOTONIC) - start) / 1000);
    s->queue->ops->close(s->queue);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL);
}

/* ---- command line ---- */

static int read_number(const char *text, unsigned max, unsigned *ret)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || v > max) {
        (void)fprintf(stderr, "simworkers: %s: not a number up to %u\n", text, max);
        return -EINVAL;
    }
    *ret = (unsigned)v;
    return 0;
}

static int read_options(struct sim *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"slots",            required_argument, NULL, 's' },
        { "threads",              required_argument, NULL, 't' },
        { "work-ms",                 required_argument, NULL, 'w' },
        { "seconds",required_argument, NULL, 'e' },
        { "idle",               no_argument, NULL, 'i' },
        { 0        }
    };
    int o, r = 0;

    while (r == 0 && (o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 's')
            r = read_number(optarg, 4096, &s->slots);
        else if (o == 't')
            r = read_number(optarg, THREADS_MAX, &s->threads);
        else if (o == 'w')
            r = read_number(optarg, 60000, &s->work_ms);
        else if (o == 'e')
            r = read_number(optarg, 1000000, &s->seconds);
        else if (o == 'i')
            s->idle = 1;
        else
            r = -EINVAL;
    }
    if (r == 0 && optind != argc - 1)
        r = -EINVAL;
    if (r == 0)
        s->broker = argv[optind];
    return r;
}

int main(int argc, char **argv)
{
    struct sim s = { .slots = 32, .threads = 32 };
    struct err err = { 0 };

    if (read_options(&s, argc, argv) < 0) {
        (void)fputs("usage: simworkers BROKER-URL [--slots N] [--threads N] [--work-ms N] "
                    "[--seconds N] [--idle]\n",
                    stderr);
        return 2;
    }
    s.started_ms = now_ms(CLOCK_REALTIME);
    (void)snprintf(s.id, sizeof(s.id), "sim-%lld", (long long)s.started_ms);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);

    struct queue_amqp_config cfg = { .url = s.broker, .name = s.id, .prefetch = s.threads };
    int r = queue_amqp_new(&cfg, &s.queue, &err);
    if (r == 0)
        r = queue_amqp_wait(s.queue, 20000, &err);
    if (r == 0)
        run(&s);
    else
        (void)fprintf(stderr, "simworkers: %s\n", err.text);
    queue_free(s.queue);
    return r < 0;
}
