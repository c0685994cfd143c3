/* A whole source, as a probe and a plan read it. libav* has no coverage
 * feedback here and is not what is tested: what we make of its answers is. */
#include "fuzz.h"
#include "parent_more.h"

#include "common/base/err.h"
#include "common/media/io.h"
#include "common/media/probe.h"

#include <libavutil/log.h>

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
