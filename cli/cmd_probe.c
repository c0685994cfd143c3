#include "../common/base/cleanup.h"
#include "../common/wire/media_info.h"
#include "cli.h"
#include "format.h"
#include "stores.h"
#include "text.h"
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

static void print_colour(const struct video_info *v)
{
    const struct {
        const char *what, *name;
        int code;
    } parts[] = {
        {"primaries", av_color_primaries_name(v->color.primaries), v->color.primaries},
        { "transfer", av_color_transfer_name(v->color.transfer),   v->color.transfer },
        { "matrix",   av_color_space_name(v->color.matrix),        v->color.matrix   },
    };

    printf("          colour:");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].code != 2)
            printf(" %s %s,", parts[i].what, parts[i].name ? parts[i].name : "unknown");
    printf(" %s range\n", v->color.range == 2   ? "full"
                          : v->color.range == 1 ? "limited"
                                                : "unspecified");
    if (v->hdr.has_mastering)
        printf("          graded:   on a display of %g to %g cd/m2\n",
               v->hdr.min_luminance / 10000.0, v->hdr.max_luminance / 10000.0);
    if (v->hdr.max_cll)
        printf("          light:    up to %u cd/m2, %u on average of a frame\n", v->hdr.max_cll,
               v->hdr.max_fall);
}

static void print_video(const struct video_info *v)
{
    char rate[FMT_MAX], bits[FMT_MAX];

    if (v->stream < 0) {
        puts("  video   none");
        return;
    }
    printf("  video   #%d %s%s%s, %dx%d", v->stream, v->codec, v->profile[0] ? " " : "", v->profile,
           v->width, v->height);
    if (v->sar.num != v->sar.den)
        printf(" (pixels %d:%d)", v->sar.num, v->sar.den);
    if (v->rotation)
        printf(", turned %d degrees", v->rotation);
    if (v->hflip)
        printf(", mirrored");
    if (crop_is_any(&v->crop))
        printf(", cropped by %d, %d, %d, %d", v->crop.left, v->crop.top, v->crop.right,
               v->crop.bottom);
    printf(", %s frames a second%s, %d bit (%s)%s, %s\n", fmt_rate(rate, v->rate),
           v->vfr ? " (variable)" : "", v->bit_depth, v->pix_fmt,
           v->interlaced == 1   ? ", interlaced, top field first"
           : v->interlaced == 2 ? ", interlaced, bottom field first"
                                : "",
           fmt_bit_rate(bits, (double)v->bit_rate));
    printf("          %llu frames, from %.3f s to %.3f s\n", (unsigned long long)v->frames,
           (double)v->start * av_q2d(v->tb), (double)v->end * av_q2d(v->tb));
    print_colour(v);
}

static void print_purpose(const struct audio_info *a)
{
    static const struct {
        enum audio_role role;
        const char *name;
    } rows[] = {
        {AUDIO_DUB,          "dubbed"               },
        { AUDIO_ORIGINAL,    "original language"    },
        { AUDIO_COMMENTARY,  "commentary"           },
        { AUDIO_DESCRIPTION, "describes the picture"},
    };

    if (!a->title[0] && !a->roles)
        return;
    (void)fputs(a->title[0] ? "          \"" : "          ", stdout);
    text_put(stdout, a->title);
    (void)fputs(a->title[0] ? "\"" : "", stdout);
    for (size_t i = 0, n = a->title[0] != 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (a->roles & rows[i].role)
            printf("%s%s", n++ ? ", " : "", rows[i].name);
    puts("");
}

static void print_audio(const struct audio_info *a)
{
    char bits[FMT_MAX];

    printf("  audio   #%d %s, %s, %d Hz, %s%s%s\n", a->stream, a->codec,
           a->layout[0] ? a->layout : "unknown layout", a->sample_rate,
           fmt_bit_rate(bits, (double)a->bit_rate), a->language[0] ? ", " : "", a->language);
    print_purpose(a);
    printf("          from %.3f s to %.3f s\n", (double)a->start * av_q2d(a->tb),
           (double)a->end * av_q2d(a->tb));
}

static void print_text(const struct text_info *t)
{
    char page[FMT_MAX] = "";

    if (t->page > 0)
        (void)snprintf(page, sizeof(page), ", page %d", t->page);
    printf("  text    #%d %s%s%s%s%s", t->stream, t->codec, page, t->language[0] ? ", " : "",
           t->language, t->title[0] ? ", " : "");
    text_put(stdout, t->title);
    printf("%s%s%s\n", t->is_default ? ", default" : "", t->forced ? ", forced" : "",
           t->hearing_impaired ? ", hearing impaired" : "");
}

static void print_info(const char *input, const struct media_info *i)
{
    char bytes[FMT_MAX], length[FMT_MAX];

    printf("%s: %s, %s, %s\n", input, i->container, fmt_bytes(bytes, i->size_bytes),
           fmt_seconds(length, (double)i->duration_ms / 1000));
    print_video(&i->video);
    if (!media_audio(i, 0))
        puts("  audio   none");
    for (size_t t = 0; media_audio(i, t); t++)
        print_audio(media_audio(i, t));
    for (size_t n = 0; n < i->n_texts; n++)
        print_text(&i->texts[n]);
    for (size_t n = 0; n < i->n_warnings; n++) {
        (void)fputs("  odd     ", stdout);
        text_put(stdout, i->warnings[n]);
        puts("");
    }
}

DEFINE_CLEANUP(struct store_env *, stores_free);

static int probe(const char *input, int as_json, struct err *err)
{
    _cleanup_(stores_freep) struct store_env *stores = NULL;
    _cleanup_(cli_source_release) struct cli_source src = { 0 };
    _cleanup_(json_decrefp) json_t *answer = NULL;
    _cleanup_(media_info_release) struct media_info info = { 0 };

    int r = stores_new(&input, 1, &stores, err);
    if (r >= 0)
        r = cli_source_open(input, stores, &src, err);
    if (r < 0)
        return r;
    r = cli_ask_child(&src, "probe", "{}", &answer, err);
    if (r < 0)
        return err_prefix(err, r, "%s", input);
    r = media_info_from_json(answer, &info, err);
    if (r < 0)
        return r;
    if (!as_json) {
        print_info(input, &info);
        return 0;
    }
    r = cli_print_json(take_ptr(answer));
    return r < 0 ? err_set(err, r, ERR_STORAGE, "stdout can't be written") : 0;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, OPT_HELP },
        { "json",  no_argument, NULL, OPT_JSON },
        { 0    },
    };
    int o, status, as_json = 0;
    struct err err = { 0 };

    while ((o = cli_option(self, argc, argv, options, &status)) != CLI_OPT_END)
        as_json |= o == OPT_JSON;
    if (status >= 0)
        return status;
    if (argc - optind != 1)
        return cli_usage(self->name, "exactly one INPUT is needed");
    return probe(argv[optind], as_json, &err) < 0 ? cli_fail(&err) : CLI_DONE;
}

const struct cli_command cmd_probe = {
    .name = "probe",
    .help = "Usage: gopmill probe INPUT [--json]\n"
            "\n"
            "Tells what INPUT holds, as the planner sees it: the video stream and the sound\n"
            "tracks that a package is made of, the default one first, their times, and what\n"
            "is odd about them.\n"
            "\n"
            "  --json   one JSON object, the `info` of docs/protocol.md\n",
    .run = run,
};
