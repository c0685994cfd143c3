#include "report.h"
#include "../common/base/clock.h"
#include "cli.h"
#include "format.h"
#include "text.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLEAR_LINE "\033[K"

enum {
    LIVE_EVERY_MS = 100,
    JSON_EVERY_MS = 500,
    PLAIN_EVERY_MS = 5000,
};

void report_init(struct report *r, int json, int plain, int64_t now_ns)
{
    *r = (struct report){
        .mode = json                              ? REPORT_JSON
                : !plain && isatty(STDERR_FILENO) ? REPORT_LIVE
                                                  : REPORT_PLAIN,
        .state = JOB_STATE_MAX,
        .start_ns = now_ns,
    };
}

/* "speed 3.2x, 0:41 left", or nothing as long as there is nothing to tell from. */
static const char *pace(const struct report *r, const struct measure *m, int64_t now_ns, char *buf,
                        size_t size)
{
    char left[FMT_MAX];
    double speed, left_s, elapsed = (double)(now_ns - r->begun_ns) / (double)NS_PER_S;

    measure_speed(r->part0, measure_part(m), elapsed, measure_media_seconds(m->plan), &speed,
                  &left_s);
    buf[0] = '\0';
    if (speed > 0 && elapsed > 1 && left_s > 0)
        (void)snprintf(buf, size, ", %.*fx real time, %s left", speed < 10 ? 2 : 0, speed,
                       fmt_seconds(left, left_s));
    return buf;
}

static void update_live(struct report *r, const struct measure *m, const struct job_status *st,
                        unsigned running, int64_t now_ns)
{
    char speed[96];

    canvas_begin(&r->canvas);
    if (!m) {
        canvas_line(&r->canvas, "%s…", job_state_name(st->state));
    } else {
        if (m->plan->n_renditions + 2 < r->canvas.rows)
            for (size_t i = 0; i < m->plan->n_renditions; i++)
                canvas_bar(&r->canvas, m->plan->renditions[i].name, measure_rendition(m, i));
        canvas_line(&r->canvas, "%s %3d%%, %zu of %zu tasks, %u at work%s%s",
                    job_state_name(st->state), (int)(measure_part(m) * 100), m->tasks_done,
                    m->tasks, running, pace(r, m, now_ns, speed, sizeof(speed)),
                    st->attempts_failed ? ", some attempts failed" : "");
    }
    canvas_show(&r->canvas);
}

/* Nothing before there is a plan, nor at the end: what is said then, a
 * summary or one sentence, stands for itself. */
static void update_plain(const struct report *r, const struct measure *m,
                         const struct job_status *st, int64_t now_ns)
{
    char speed[96];

    if (!m || (st->state != JOB_RUNNING && st->state != JOB_PUBLISHING))
        return;
    (void)fprintf(stderr, "%s %d%%, %zu of %zu tasks%s\n", job_state_name(st->state),
                  (int)(measure_part(m) * 100), m->tasks_done, m->tasks,
                  pace(r, m, now_ns, speed, sizeof(speed)));
}

static json_t *rendition_parts(const struct measure *m)
{
    json_t *parts = json_object();

    for (size_t i = 0; i < m->plan->n_renditions; i++)
        (void)json_object_set_new(parts, m->plan->renditions[i].name,
                                  json_real(measure_rendition(m, i) * 100));
    return parts;
}

static void update_json(const struct report *r, const struct measure *m,
                        const struct job_status *st, unsigned running, int64_t now_ns)
{
    json_t *j = json_pack("{s:s, s:s, s:f}", "event", "progress", "state",
                          job_state_name(st->state), "elapsed_s",
                          (double)(now_ns - r->start_ns) / (double)NS_PER_S);

    if (j && m) {
        double speed, left_s;

        measure_speed(r->part0, measure_part(m), (double)(now_ns - r->begun_ns) / (double)NS_PER_S,
                      measure_media_seconds(m->plan), &speed, &left_s);
        json_t *more = json_pack("{s:f, s:I, s:I, s:i, s:i, s:f, s:f, s:o}", "percent",
                                 measure_part(m) * 100, "tasks", (json_int_t)m->tasks, "tasks_done",
                                 (json_int_t)m->tasks_done, "running", (int)running,
                                 "attempts_failed", (int)st->attempts_failed, "speed", speed,
                                 "eta_s", left_s, "renditions", rendition_parts(m));
        (void)json_object_update(j, more);
        json_decref(more);
    }
    (void)cli_print_json(j);
}

static int is_time(const struct report *r, double part, int64_t now_ns)
{
    int64_t since_ms = (now_ns - r->told_ns) / NS_PER_MS;

    switch (r->mode) {
    case REPORT_LIVE:
        return since_ms >= LIVE_EVERY_MS;
    case REPORT_JSON:
        return since_ms >= JSON_EVERY_MS;
    default:
        return since_ms >= PLAIN_EVERY_MS || (int)(part * 10) > (int)(r->told_part * 10);
    }
}

/* What is copied; or of the best rendition why it isn't. */
static void tell_copy(const struct plan *plan)
{
    const struct rendition *best = plan->renditions;

    for (size_t i = 0; i < plan->n_video; i++)
        if (plan->renditions[i].copy) {
            (void)fprintf(stderr, "note: %s is copied from the source\n", plan->renditions[i].name);
            return;
        }
    if (plan->n_video > 0 && best->not_copied)
        (void)fprintf(stderr, "note: %s is encoded: %s\n", best->name, best->not_copied);
}

void report_planned(struct report *r, const struct plan *plan, const struct job_status *st)
{
    char length[FMT_MAX];

    if (r->mode == REPORT_JSON) {
        (void)cli_print_json(json_pack(
            "{s:s, s:f, s:I, s:I, s:I, s:I, s:I}", "event", "planned", "duration_s",
            measure_media_seconds(plan), "chunks", (json_int_t)plan->n_chunks, "renditions",
            (json_int_t)plan->n_renditions, "tasks", (json_int_t)st->tasks, "tasks_done",
            (json_int_t)st->tasks_done, "tasks_reused", (json_int_t)st->tasks_reused));
        return;
    }
    canvas_home(&r->canvas);
    (void)fprintf(stderr, "%s in %zu chunks, %zu renditions, %zu tasks%s\n",
                  fmt_seconds(length, measure_media_seconds(plan)), plan->n_chunks,
                  plan->n_renditions, st->tasks, r->mode == REPORT_LIVE ? CLEAR_LINE : "");
    if (st->tasks_reused)
        (void)fprintf(stderr, "%zu of %zu tasks were done already\n", st->tasks_reused, st->tasks);
    tell_copy(plan);
    for (size_t i = 0; i < plan->info.n_warnings; i++) {
        (void)fputs("note: ", stderr);
        text_put(stderr, plan->info.warnings[i]);
        (void)fputc('\n', stderr);
    }
}

void report_update(struct report *r, const struct measure *m, const struct job_status *st,
                   unsigned running, int64_t now_ns)
{
    double part = m ? measure_part(m) : 0;

    if (m && !r->begun_ns) {
        r->begun_ns = now_ns;
        r->part0 = part;
        r->told_part = part;
    }
    if (st->state == r->state && !is_time(r, part, now_ns))
        return;
    r->state = st->state;
    r->told_ns = now_ns;
    r->told_part = part;
    if (r->mode == REPORT_LIVE)
        update_live(r, m, st, running, now_ns);
    else if (r->mode == REPORT_PLAIN)
        update_plain(r, m, st, now_ns);
    else
        update_json(r, m, st, running, now_ns);
}

void report_end(struct report *r)
{
    if (r->mode == REPORT_LIVE)
        canvas_end(&r->canvas);
}
