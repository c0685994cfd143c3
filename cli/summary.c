#include "summary.h"
#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/store/store.h"
#include "../common/wire/json_text.h"
#include "format.h"
#include "text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

int summary_read(const char *dir, json_t **ret, struct err *err)
{
    _cleanup_free_ char *path = NULL;
    json_error_t je;

    if (asprintf(&path, "%s/job.json", dir) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return err_set(err, -EBADMSG, ERR_STORAGE, "%s: the receipt can't be read: %s", path,
                       je.text);
    if (!json_is_array(json_object_get(j, "renditions"))) {
        json_decref(j);
        return err_set(err, -EBADMSG, ERR_INTERNAL, "%s: this is no receipt", path);
    }
    *ret = j;
    return 0;
}

enum { RECEIPT_MAX = 64 << 20 };

DEFINE_CLEANUP(struct store *, store_free);

/* All of job.json, NUL-terminated. */
static int fetch_text(struct store_env *stores, const char *url, char **ret, struct err *err)
{
    _cleanup_(store_freep) struct store *s = NULL;
    _cleanup_free_ char *text = NULL;
    struct store_stat st;
    size_t n = 0;

    int r = store_open_prefix(stores, url, 0, &s, err);
    if (r >= 0)
        r = s->ops->head(s, "job.json", &st, err);
    if (r < 0)
        return r;
    if (st.size_bytes > RECEIPT_MAX)
        return err_set(err, -EFBIG, ERR_STORAGE, "the receipt is larger than %d bytes",
                       RECEIPT_MAX);
    text = malloc(st.size_bytes + 1);
    if (!text)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    r = s->ops->get_range(s, "job.json", st.etag, 0, text, st.size_bytes, &n, err);
    if (r < 0)
        return r;
    text[n] = '\0';
    *ret = take_ptr(text);
    return 0;
}

int summary_fetch(struct store_env *stores, const char *url, json_t **ret, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_(json_decrefp) json_t *j = NULL;
    int r = fetch_text(stores, url, &text, err);

    if (r < 0)
        return err_prefix(err, r, "%s: job.json", url);
    r = json_text_read(text, strlen(text), ERR_INTERNAL, &j, err);
    if (r < 0)
        return err_prefix(err, r, "%s: job.json", url);
    if (!json_is_array(json_object_get(j, "renditions")))
        return err_set(err, -EBADMSG, ERR_INTERNAL, "%s: job.json is no receipt", url);
    *ret = take_ptr(j);
    return 0;
}

static const json_t *same_size_h264(const json_t *renditions, const json_t *r)
{
    size_t i;
    const json_t *other;

    json_array_foreach (renditions, i, other)
        if (!strcmp(text(other, "codec"), "h264") && number(other, "width") == number(r, "width") &&
            number(other, "height") == number(r, "height"))
            return other;
    return NULL;
}

struct saving {
    unsigned pairs;
    double h264, other; /* bytes */
};

/* What `codec` takes for the sizes that H.264 has too. */
static struct saving saving_of(const json_t *receipt, const char *codec)
{
    const json_t *renditions = json_object_get(receipt, "renditions"), *r;
    struct saving s = { 0 };
    size_t i;

    json_array_foreach (renditions, i, r) {
        const json_t *twin;

        if (strcmp(text(r, "codec"), codec) || !(twin = same_size_h264(renditions, r)))
            continue;
        s.pairs++;
        s.h264 += number(twin, "bytes");
        s.other += number(r, "bytes");
    }
    return s;
}

static double saving_percent(const struct saving *s)
{
    return s->h264 > 0 ? 100 * (1 - s->other / s->h264) : 0;
}

static const struct {
    const char *codec, *name;
} rivals[] = {
    {"hevc", "HEVC"},
    { "av1", "AV1" }
};

static void print_rendition(const json_t *r)
{
    char size[32], bytes[FMT_MAX], average[FMT_MAX], peak[FMT_MAX];

    if (!strcmp(text(r, "kind"), "video"))
        (void)snprintf(size, sizeof(size), "%.0fx%.0f", number(r, "width"), number(r, "height"));
    else
        (void)snprintf(size, sizeof(size), "%.20s", text(r, "layout"));
    printf("%-20s %-18s %-11s %10s %12s %12s\n", text(r, "name"), text(r, "codecs"), size,
           fmt_bytes(bytes, (uint64_t)number(r, "bytes")),
           fmt_bit_rate(average, number(r, "average_bit_rate")),
           fmt_bit_rate(peak, number(r, "peak_bit_rate")));
}

/* What normalising did, for each rendition that has a target. */
static void print_loudness(const json_t *receipt)
{
    const json_t *r;
    size_t i;

    json_array_foreach (json_object_get(receipt, "renditions"), i, r) {
        const json_t *l = json_object_get(r, "loudness");
        double is = number(l, "measured"), gain = number(l, "gain");

        if (l && is <= -70)
            printf("%s: silence, left as it is\n", text(r, "name"));
        else if (l)
            printf("%s: %.1f LUFS by %+.1f dB to %.1f (target %.1f)\n", text(r, "name"), is, gain,
                   is + gain, number(l, "target"));
    }
}

static void print_savings(const json_t *receipt)
{
    for (size_t i = 0; i < sizeof(rivals) / sizeof(rivals[0]); i++) {
        struct saving s = saving_of(receipt, rivals[i].codec);

        if (s.pairs == 0)
            continue;
        double percent = saving_percent(&s);
        printf("%s: %.0f %% %s egress than H.264 (%u %s that both have)\n", rivals[i].name,
               percent < 0 ? -percent : percent, percent < 0 ? "more" : "less", s.pairs,
               s.pairs == 1 ? "size" : "sizes");
    }
}

static void print_costs(const json_t *receipt, const struct summary_run *run)
{
    char cpu[FMT_MAX], wall[FMT_MAX], first[FMT_MAX];

    printf("%s of processor time for all, %s of waiting for this run",
           fmt_seconds(cpu, number(json_object_get(receipt, "run"), "cpu_s")),
           fmt_seconds(wall, run->wall_s));
    if (run->encoded_s > 0 && run->wall_s > 0)
        printf(", %.2fx real time", run->encoded_s / run->wall_s);
    if (run->first_frame_s > 0)
        printf(", first frame after %s", fmt_seconds(first, run->first_frame_s));
    puts("");
}

static void print_troubles(const json_t *receipt, const struct summary_run *run)
{
    double concealed = number(json_object_get(receipt, "totals"), "frames_concealed");
    const json_t *warning;
    size_t i;

    if (run->attempts_failed)
        printf("note: %u attempts failed and were repeated\n", run->attempts_failed);
    if (concealed > 0)
        printf("note: %.0f frames could not be decoded; the ones before stand in for them\n",
               concealed);
    json_array_foreach (json_object_get(receipt, "warnings"), i, warning) {
        (void)fputs("note: ", stdout);
        text_put(stdout, json_string_value(warning));
        puts("");
    }
}

void summary_print(const char *dir, const json_t *receipt, const struct summary_run *run)
{
    const json_t *r;
    size_t i;
    char bytes[FMT_MAX];

    printf("%-20s %-18s %-11s %10s %12s %12s\n", "RENDITION", "CODEC", "SIZE", "BYTES", "AVERAGE",
           "PEAK");
    json_array_foreach (json_object_get(receipt, "renditions"), i, r)
        print_rendition(r);
    print_loudness(receipt);
    print_savings(receipt);
    print_costs(receipt, run);
    print_troubles(receipt, run);
    printf("done: %s in %s\n",
           fmt_bytes(bytes, (uint64_t)number(json_object_get(receipt, "totals"), "bytes")), dir);
}

static json_t *savings_json(const json_t *receipt)
{
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof(rivals) / sizeof(rivals[0]); i++) {
        struct saving s = saving_of(receipt, rivals[i].codec);

        if (s.pairs > 0)
            (void)json_object_set_new(
                o, rivals[i].codec,
                json_pack("{s:i, s:f}", "sizes", (int)s.pairs, "percent", saving_percent(&s)));
    }
    return o;
}

static json_t *renditions_json(const json_t *receipt)
{
    static const char *const kept[] = {
        "name",   "kind",       "codec", "codecs",           "width",         "height",  "layout",
        "frames", "frame_rate", "bytes", "average_bit_rate", "peak_bit_rate", "loudness"
    };
    json_t *list = json_array(), *r;
    size_t i;

    json_array_foreach (json_object_get(receipt, "renditions"), i, r) {
        json_t *o = json_object();

        for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
            if (json_object_get(r, kept[k]))
                (void)json_object_set(o, kept[k], json_object_get(r, kept[k]));
        (void)json_array_append_new(list, o);
    }
    return list;
}

json_t *summary_json(const char *dir, const json_t *receipt, const struct summary_run *run)
{
    return json_pack(
        "{s:s, s:s, s:o, s:O, s:O, s:o, s:f, s:f, s:f, s:f, s:i}", "event", "done", "output", dir,
        "renditions", renditions_json(receipt), "totals", json_object_get(receipt, "totals"),
        "warnings", json_object_get(receipt, "warnings"), "egress_saved_to_h264",
        savings_json(receipt), "cpu_s", number(json_object_get(receipt, "run"), "cpu_s"), "wall_s",
        run->wall_s, "speed", run->wall_s > 0 ? run->encoded_s / run->wall_s : 0.0, "first_frame_s",
        run->first_frame_s, "attempts_failed", (int)run->attempts_failed);
}
