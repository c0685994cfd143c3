/* Packets of video as the scan sees them: a byte for the codec, then the packet; and the times of
 * pictures of which few are told: four bytes each. */
#include "fuzz.h"

#include "common/media/picture_times.h"
#include "common/media/shown.h"

static const enum AVCodecID codecs[] = { AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,
                                         AV_CODEC_ID_VP8,        AV_CODEC_ID_VP9,
                                         AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4,
                                         AV_CODEC_ID_VC1 };

static void look_at(enum AVCodecID codec, const uint8_t *data, size_t size)
{
    AVCodecParameters par = { .codec_id = codec };
    uint8_t *exact = malloc(size ? size : 1); /* what is read beyond it is seen */

    fuzz_must(exact);
    if (size > 0)
        memcpy(exact, data, size);
    (void)packet_shows_nothing(&par, exact, size);
    (void)picture_is_whole(&par, exact, size);
    free(exact);
}

static void make_times(const uint8_t *data, size_t size)
{
    enum { PACKETS = 64 };
    struct index_packet p[PACKETS];
    struct picture_order order[PACKETS];
    struct media_index idx = { p, size / 4 < PACKETS ? size / 4 : PACKETS };
    size_t told = 0, missing = 0;
    uint64_t made;

    for (size_t i = 0; i < idx.n; i++) {
        const uint8_t *b = data + 4 * i;
        p[i] = (struct index_packet){ .pts = b[0] & 1 ? b[1] * 256 + b[2] : INT64_MIN,
                                      .dts = INT64_MIN,
                                      .pos = (int64_t)i,
                                      .flags = b[0] & 6 ? 0 : PACKET_HIDDEN };
        order[i] = (struct picture_order){ (int8_t)b[3], b[0] & 8 };
        told += p[i].pts != INT64_MIN && !p[i].flags;
        missing += p[i].pts == INT64_MIN && !p[i].flags;
    }
    fuzz_must(picture_times_make(&idx, order, 10, &made) == 0);
    fuzz_must(made >= (told > 0 ? missing : 0));
    for (size_t i = 0; i < idx.n && told > 0; i++)
        fuzz_must(p[i].pts != INT64_MIN || p[i].flags & PACKET_HIDDEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    look_at(codecs[data[0] % (sizeof(codecs) / sizeof(*codecs))], data + 1, size - 1);
    make_times(data + 1, size - 1);
    return 0;
}
