/* Samples of MP4 that are looked at beside its index: a byte for the codec, one for how long the
 * header of the stream is, that header, then samples, each behind two bytes of its size and one of
 * flags. */
#include "fuzz.h"
#include "parent_more.h"

#include "common/base/err.h"
#include "common/media/hidden.h"
#include "common/media/index_build.h"
#include "common/media/obu.h"
#include "common/media/prime.h"
#include "common/media/uncoded.h"

static const enum AVCodecID codecs[] = { AV_CODEC_ID_H264, AV_CODEC_ID_HEVC,  AV_CODEC_ID_VP8,
                                         AV_CODEC_ID_VP9,  AV_CODEC_ID_MPEG4, AV_CODEC_ID_AV1 };

enum { SAMPLES = 100 };

static void samples_cut(const struct inside *in, struct media_index *idx)
{
    size_t at = 0;

    while (idx->n < SAMPLES && at + 3 <= in->size) {
        uint32_t size = (uint32_t)(in->data[at] << 8 | in->data[at + 1]);
        idx->packets[idx->n] = (struct index_packet){ .pts = (int64_t)idx->n,
                                                      .dts = (int64_t)idx->n,
                                                      .duration = 1,
                                                      .pos = (int64_t)at + 3,
                                                      .size = size,
                                                      .flags = in->data[at + 2] & PACKET_KEY };
        idx->n++;
        at += 3 + size;
    }
}

/* Of a sample that is whole, by its bytes alone. */
static void look_at(const AVCodecParameters *par, const struct inside *in, struct index_packet *p)
{
    if (p->pos + p->size > (int64_t)in->size || p->size == 0)
        return;
    uint8_t *exact = malloc(p->size); /* what is read beyond it is seen */
    fuzz_must(exact);
    memcpy(exact, in->data + p->pos, p->size);
    int build = prime_build(par, exact, p->size);
    fuzz_must(build >= 0 && build <= 999990);
    (void)keyframe_recovery(par, exact, p->size);
    (void)keyframe_is_open(par, exact, p->size);
    index_look(p, par, exact, p->size);
    fuzz_must(!(p->flags & PACKET_DOUBT) || p->flags & PACKET_UNSAFE);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct index_packet packets[SAMPLES];
    struct media_index idx = { packets, 0 };
    struct err err = { 0 };

    if (size < 2 || size - 2 < data[1])
        return 0;
    uint8_t *header = malloc(data[1] + 1u);
    fuzz_must(header);
    memcpy(header, data + 2, data[1]);
    const AVCodecParameters par = {
        .codec_id = codecs[data[0] % (sizeof(codecs) / sizeof(*codecs))],
        .extradata = header,
        .extradata_size = data[1]
    };
    struct inside in = { data + 2 + data[1], size - 2 - data[1] };
    samples_cut(&in, &idx);
    fuzz_must(hidden_look(&in, &par, &idx, &err) == 0);
    for (size_t i = 0; i < idx.n; i++)
        look_at(&par, &in, &packets[i]);
    uncoded_extend(&idx);
    free(header);
    return 0;
}
