#include "../common/base/cleanup.h"
#include "../common/wire/plan.h"
#include "../ladders/ladder.h"
#include "cli.h"
#include "format.h"
#include "stores.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(struct ladder *, ladder_free);
DEFINE_CLEANUP(struct store_env *, stores_free);

struct plan_args {
    const char *input, *ladder;
    unsigned slots, chunks;
    double chunk_seconds;
    int as_json;
};

static double seconds(int64_t pts, const struct plan *p)
{
    return (double)(pts - p->origin) * av_q2d(p->info.video.tb);
}

static void print_renditions(const struct plan *p)
{
    char rate[FMT_MAX], bits[FMT_MAX], size[32];

    printf("\n%-20s %-6s %-12s %-11s %8s %12s %10s\n", "RENDITION", "CODEC", "ENCODER", "SIZE",
           "RATE", "AT MOST", "COST");
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];

        if (r->kind == MEDIA_VIDEO) {
            (void)snprintf(size, sizeof(size), "%dx%d", r->width, r->height);
            fmt_rate(rate, r->rate);
            fmt_bit_rate(bits, (double)r->maxrate);
        } else {
            (void)snprintf(size, sizeof(size), "%.20s", r->layout);
            (void)snprintf(rate, sizeof(rate), "%d Hz", r->sample_rate);
            fmt_bit_rate(bits, (double)r->bit_rate);
        }
        printf("%-20s %-6s %-12s %-11s %8s %12s %9.2fx\n", r->name, r->codec, r->encoder, size,
               rate, bits, r->cost);
    }
    /* That a smaller one isn't the source goes without saying. */
    for (size_t i = 0; i < p->n_video; i++)
        if (p->renditions[i].not_copied && p->renditions[i].width == p->renditions[0].width &&
            p->renditions[i].height == p->renditions[0].height)
            printf("%s is encoded: %s\n", p->renditions[i].name, p->renditions[i].not_copied);
    puts("(COST: predicted core-seconds for each second of video)");
}

static void print_extras(const struct plan *p)
{
    for (size_t i = 0; i < p->n_extras; i++) {
        const struct rendition *r = &p->extras[i];

        if (r->kind == MEDIA_TEXT)
            printf("%s%s (%s%s%s)", i ? ", " : "\nand ", r->name, r->text.codec,
                   r->text.title[0] ? ", " : "", r->text.title);
        else
            printf("%s%s (%dx%d, %zu shots)", i ? ", " : "\nand ", r->name, r->width, r->height,
                   r->n_shots);
    }
    if (p->n_extras)
        putchar('\n');
}

static void print_chunks(const struct plan *p)
{
    char bytes[FMT_MAX];

    printf("\n%5s %10s %10s %8s %9s %5s %10s %10s\n", "CHUNK", "FROM s", "TO s", "FRAMES",
           "SEGMENTS", "GOPS", "READS", "COST");
    for (size_t i = 0; i < p->n_chunks; i++) {
        const struct chunk *c = &p->chunks[i];

        printf("%5u %10.3f %10.3f %8llu %9zu %5zu %10s %8.1f s\n", c->index, seconds(c->start, p),
               seconds(c->end, p), (unsigned long long)c->pts.n_frames, c->n_segments, c->n_gops,
               fmt_bytes(bytes, c->byte_end > c->byte_start ? c->byte_end - c->byte_start : 0),
               c->cost);
    }
}

static double plan_cost(const struct plan *p)
{
    double audio = 0, cost = 0, length = (double)p->duration / p->timescale;

    for (size_t i = p->n_video; i < p->n_renditions; i++)
        audio += p->renditions[i].cost * length;
    for (size_t i = 0; i < p->n_extras; i++)
        audio += p->extras[i].cost * length;
    for (size_t i = 0; i < p->n_chunks; i++)
        cost += p->chunks[i].cost;
    return cost + audio;
}

static void print_plan(const struct plan_args *a, const struct plan *p)
{
    char length[FMT_MAX], total[FMT_MAX], wall[FMT_MAX];
    size_t segments = 0, gops = 0;
    double cost = plan_cost(p);

    for (size_t i = 0; i < p->n_chunks; i++) {
        segments += p->chunks[i].n_segments;
        gops += p->chunks[i].n_gops;
    }
    printf(
        "%s: %s in %zu chunks, %zu segments and %zu GOPs; %zu task%s a chunk; %u ticks a second\n",
        a->input, fmt_seconds(length, (double)p->duration / p->timescale), p->n_chunks, segments,
        gops, p->n_groups, p->n_groups == 1 ? "" : "s", p->timescale);
    print_renditions(p);
    print_extras(p);
    if (p->n_chunks)
        print_chunks(p);
    printf("\npredicted: %s of processor time, %s on %u slots\n", fmt_seconds(total, cost),
           fmt_seconds(wall, cost / a->slots), a->slots);
    for (size_t n = 0; n < p->info.n_warnings; n++)
        printf("odd: %s\n", p->info.warnings[n]);
}

static char *make_request(const struct plan_args *a, const struct ladder *l)
{
    _cleanup_(json_decrefp) json_t *j = json_pack(
        "{s:i, s:s, s:s, s:{s:f, s:f, s:f, s:I, s:i}}", "v", 1, "ladder", ladder_text(l),
        "ladder_name", ladder_name(l), "options", "segment_seconds", 0.0, "gop_seconds", 0.0,
        "chunk_seconds", a->chunk_seconds, "slots", (json_int_t)a->slots, "chunk_count",
        (int)a->chunks);

    return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

static int plan(const struct plan_args *a, struct err *err)
{
    _cleanup_(stores_freep) struct store_env *stores = NULL;
    _cleanup_(cli_source_release) struct cli_source src = { 0 };
    _cleanup_(ladder_freep) struct ladder *ladder = NULL;
    _cleanup_(json_decrefp) json_t *answer = NULL;
    _cleanup_(plan_release) struct plan p = { 0 };

    int r = ladder_load(a->ladder, &ladder, err);
    if (r >= 0)
        r = stores_new(&a->input, 1, &stores, err);
    if (r >= 0)
        r = cli_source_open(a->input, stores, &src, err);
    if (r < 0)
        return r;

    _cleanup_free_ char *request = make_request(a, ladder);
    if (!request)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    r = cli_ask_child(&src, "plan", request, &answer, err);
    if (r < 0)
        return err_prefix(err, r, "%s", a->input);
    r = plan_from_json(answer, &p, err);
    if (r < 0)
        return r;
    if (!a->as_json) {
        print_plan(a, &p);
        return 0;
    }
    r = cli_print_json(take_ptr(answer));
    return r < 0 ? err_set(err, r, ERR_STORAGE, "stdout can't be written") : 0;
}

static int take_option(int o, struct plan_args *a, struct err *err)
{
    switch (o) {
    case OPT_LADDER:
        a->ladder = optarg;
        return 0;
    case OPT_SLOTS:
        return cli_parse_uint("--slots", optarg, 1, 100000, &a->slots, err);
    case OPT_CHUNK_SECONDS:
        return cli_parse_seconds("--chunk-seconds", optarg, 0.5, 3600, &a->chunk_seconds, err);
    case OPT_CHUNKS: /* for tests, as that of run */
        return cli_parse_uint("--chunks", optarg, 1, 100000, &a->chunks, err);
    default:
        a->as_json = 1;
        return 0;
    }
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        {"help",             no_argument, NULL, OPT_HELP },
        { "ladder",              required_argument, NULL, OPT_LADDER },
        { "slots",                 required_argument, NULL, OPT_SLOTS },
        { "chunk-seconds",required_argument, NULL, OPT_CHUNK_SECONDS },
        { "chunks",        required_argument, NULL, OPT_CHUNKS },
        { "json",           no_argument, NULL, OPT_JSON },
        { 0             },
    };
    struct plan_args a = { .ladder = "web-h264", .slots = cli_cpus() };
    struct err err = { 0 };
    int o, status;

    while ((o = cli_option(self, argc, argv, options, &status)) != CLI_OPT_END)
        if (take_option(o, &a, &err) < 0)
            return cli_usage(self->name, "%s", err.text);
    if (status >= 0)
        return status;
    if (argc - optind != 1)
        return cli_usage(self->name, "exactly one INPUT is needed");
    a.input = argv[optind];
    return plan(&a, &err) < 0 ? cli_fail(&err) : CLI_DONE;
}

const struct cli_command cmd_plan = {
    .name = "plan",
    .help = "Usage: gopmill plan INPUT [--ladder NAME|FILE] [--slots N] [--chunk-seconds S] "
            "[--json]\n"
            "\n"
            "Shows the renditions, chunks, segments and predicted cost of a package of\n"
            "INPUT. Encodes nothing.\n"
            "\n"
            "  --ladder NAME|FILE   a ladder of `gopmill ladder list`, or a file; web-h264\n"
            "  --slots N            encoders that would share the work; the processors\n"
            "  --chunk-seconds S    length of a chunk, instead of what the cost predicts\n"
            "  --json               one JSON object, the `plan` of docs/protocol.md\n",
    .run = run,
};
