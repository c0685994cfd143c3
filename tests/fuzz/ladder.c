/* A ladder's YAML, and what becomes of it against sources of several kinds. */
#include "fuzz.h"

#include "common/base/err.h"
#include "ladders/ladder.h"

static const struct media_info sources[] = {
    {
     .duration_ms = 60000,
     .video = { .stream = 0,
                   .codec = "h264",
                   .pix_fmt = "yuv420p",
                   .width = 1920,
                   .height = 1080,
                   .sar = { 1, 1 },
                   .bit_depth = 8,
                   .color = { 2, 2, 2, 0, 0 },
                   .tb = { 1, 12800 },
                   .rate = { 25, 1 },
                   .end = 768000,
                   .frames = 1500 },
     .audio = { .stream = 1,
                   .codec = "aac",
                   .layout = "5.1",
                   .sample_rate = 48000,
                   .channels = 6,
                   .tb = { 1, 48000 },
                   .end = 2880000 },
     },
    {
     .duration_ms = 1000,
     .video = { .stream = 0,
                   .codec = "hevc",
                   .pix_fmt = "yuv420p10le",
                   .width = 2160,
                   .height = 3840,
                   .sar = { 1, 1 },
                   .rotation = 90,
                   .bit_depth = 10,
                   .color = { 9, 16, 9, 1, 1 },
                   .tb = { 1, 90000 },
                   .rate = { 60000, 1001 },
                   .vfr = 1,
                   .end = 90000,
                   .frames = 60 },
     .audio = { .stream = -1, .tb = { 1, 1 } },
     },
    {
     .duration_ms = 40,
     .video = { .stream = 0,
                   .codec = "mpeg2video",
                   .pix_fmt = "yuv420p",
                   .width = 17,
                   .height = 3,
                   .sar = { 512, 513 },
                   .bit_depth = 8,
                   .color = { 2, 2, 2, 0, 0 },
                   .interlaced = 1,
                   .tb = { 1, 25 },
                   .rate = { 0, 1 },
                   .end = 1,
                   .frames = 1 },
     .audio = { .stream = -1, .tb = { 1, 1 } },
     },
    {
     .video = { .stream = -1, .sar = { 1, 1 }, .tb = { 1, 1 }, .rate = { 0, 1 } },
     .audio = { .stream = 0,
                   .codec = "mp3",
                   .layout = "mono",
                   .sample_rate = 8000,
                   .channels = 1,
                   .tb = { 1, 8000 },
                   .end = 8000 },
     },
};

static void check(const struct media_info *src, const struct rendition *r)
{
    fuzz_must(r->name && r->name[0] && r->codec && r->encoder);
    if (r->kind == MEDIA_AUDIO) {
        fuzz_must(r->sample_rate > 0 && r->channels > 0 && r->bit_rate > 0);
        return;
    }
    fuzz_must(src->video.stream >= 0);
    fuzz_must(r->width > 0 && r->height > 0 && r->width % 2 == 0 && r->height % 2 == 0);
    fuzz_must(r->rate.num > 0 && r->rate.den > 0 && r->sar.num > 0 && r->sar.den > 0);
    fuzz_must(r->grid.period.num >= 0 && r->grid.period.den > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ladder *l = NULL;
    struct err err = { 0 };
    char *text = fuzz_text(data, size);
    int r = ladder_parse(text, size, "fuzz.yaml", &l, &err);

    fuzz_must(r == 0 || (r < 0 && err.text[0]));
    for (size_t i = 0; r == 0 && i < sizeof(sources) / sizeof(*sources); i++) {
        struct rendition *list = NULL;
        size_t n = 0;
        if (ladder_resolve(l, &sources[i], &list, &n, &err) < 0)
            continue;
        fuzz_must(n > 0);
        for (size_t k = 0; k < n; k++)
            check(&sources[i], &list[k]);
        rendition_list_free(list, n);
    }
    ladder_free(l);
    free(text);
    return 0;
}
