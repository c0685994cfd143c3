#include "prime.h"

#include "../base/err.h"
#include "../wire/media_info.h"
#include "nals.h"
#include "reader.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <string.h>

enum {
    H264_SLICE_LAST = 5,
    H264_SEI = 6,
    BUILD_MAX = 99999,
    FIRST_444_BUILD = 151, /* that writes 4:4:4 as H.264 has it */
    FIRST_DIRECT_BUILD = 34,
};

/* "x264 - core 164 r3095"; 0: nothing of that kind. */
static int build_in(const uint8_t *p, size_t n)
{
    static const char name[] = "x264 - core ";
    const uint8_t *at = memmem(p, n, name, sizeof(name) - 1), *end = p + n;
    int build = 0;

    if (!at)
        return 0;
    for (at += sizeof(name) - 1; at < end && *at >= '0' && *at <= '9' && build < BUILD_MAX; at++)
        build = 10 * build + (*at - '0');
    return build;
}

int prime_build(const AVCodecParameters *par, const uint8_t *p, size_t n)
{
    struct nals s = nals_of(par, p, n);
    const uint8_t *unit;
    size_t size;

    if (par->codec_id != AV_CODEC_ID_H264)
        return 0;
    while (nals_next(&s, &unit, &size)) {
        int type = size > 0 ? unit[0] & 0x1f : 0;
        if (type >= 1 && type <= H264_SLICE_LAST)
            break;
        int build = type == H264_SEI ? build_in(unit, size) : 0;
        if (build > 0)
            return build;
    }
    return 0;
}

static int is_444(const struct video_info *v)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(av_get_pix_fmt(v->pix_fmt));

    return d && d->nb_components >= 3 && d->log2_chroma_w == 0 && d->log2_chroma_h == 0;
}

int prime_is_needed(const struct video_info *v, int build)
{
    return build > 0 && build < (is_444(v) ? FIRST_444_BUILD : FIRST_DIRECT_BUILD);
}

int prime_decoder(struct reader *r, AVCodecContext *dec, struct err *err)
{
    if (!r->info->video.primed || !r->fresh)
        return 0;
    AVFrame *f = av_frame_alloc();
    int n = f ? reader_next(r, err)
              : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame");
    if (n == 0) {
        (void)avcodec_send_packet(dec, r->pkt);
        (void)avcodec_send_packet(dec, NULL);
        while (avcodec_receive_frame(dec, f) >= 0)
            av_frame_unref(f);
        avcodec_flush_buffers(dec);
    }
    av_frame_free(&f);
    return n == AVERROR_EOF ? 0 : n;
}
