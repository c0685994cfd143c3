/* A whole source, as a probe and a plan read it. libav* has no coverage
 * feedback here and is not what is tested: what we make of its answers is. */
#include "fuzz.h"
#include "parent.h"

#include "common/base/err.h"
#include "common/base/range.h"
#include "common/child/inside.h"
#include "common/media/io.h"
#include "common/media/probe.h"

#include <libavutil/log.h>

int inside_read_many(struct inside *in, struct read_range *v, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        (void)inside_read(in, v[i].off, v[i].buf, v[i].len, &v[i].n, err);
    return 0;
}

int inside_object(struct inside *in, const char *name, const void *buf, size_t len, struct err *err)
{
    (void)in, (void)name, (void)buf, (void)len, (void)err;
    return 0;
}

void inside_progress(struct inside *in, uint64_t done)
{
    (void)in, (void)done;
}

void inside_log(struct inside *in, const char *fmt, ...)
{
    (void)in, (void)fmt;
}

/* ---- */

static void read_boxes(struct inside *in)
{
    uint8_t buf[512];
    struct media_io *io = media_io_new(in);

    fuzz_must(io);
    if (media_io_skip_mdat(io, NULL) == 0) {
        int64_t n = 0;
        int r;
        while ((r = avio_read(media_io_avio(io), buf, sizeof(buf))) > 0)
            n += r;
        fuzz_must(n == (int64_t)in->size);
    }
    media_io_free(io);
}

static void check_index(struct inside *in, const struct media_info *info, struct media_index *idx)
{
    size_t which[8], n = 0;

    for (size_t i = 0; i < idx->n && n < 8; i++)
        if (idx->packets[i].flags & PACKET_KEY)
            which[n++] = i;
    if (info->video.stream >= 0 && n > 0)
        (void)media_index_check(in, info, idx, which, n, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inside in = { data, size };
    struct media_info info = { 0 };
    struct media_index idx = { 0 };
    struct err err = { 0 };

    av_log_set_level(AV_LOG_QUIET);
    read_boxes(&in);
    int r = media_probe(&in, &info, &idx, &err);
    fuzz_must(r == 0 || (r < 0 && err.text[0]));
    if (r < 0)
        return 0;
    fuzz_must(info.video.stream >= 0 || info.audio.stream >= 0);
    fuzz_must(info.video.stream < 0 || info.video.end > info.video.start);
    check_index(&in, &info, &idx);
    media_info_release(&info);
    media_index_release(&idx);
    return 0;
}
