/* Headers and packets of H.264, HEVC and AV1 that are to be copied: a byte for the
 * codec, one for the header's length, the header, a packet. */
#include "fuzz.h"

#include "common/base/err.h"
#include "common/media/bitstream.h"
#include "common/wire/media_info.h"

#include <libavcodec/avcodec.h>

static const enum AVCodecID codecs[] = { AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_AV1 };

static struct bitstream *open_one(enum AVCodecID codec, const uint8_t *header, size_t size)
{
    AVCodecParameters *par = avcodec_parameters_alloc();
    struct bitstream *b = NULL;
    struct err err;

    par->codec_id = codec;
    par->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(par->extradata, header, size);
    par->extradata_size = (int)size;
    if (bitstream_new(par, &b, &err) < 0)
        b = NULL;
    avcodec_parameters_free(&par);
    return b;
}

static void push(const struct bitstream *b, const uint8_t *data, size_t size)
{
    AVPacket *from = av_packet_alloc(), *to = av_packet_alloc();
    struct err err;
    int idr, again;

    fuzz_must(av_new_packet(from, (int)size) == 0);
    if (size > 0)
        memcpy(from->data, data, size);
    int looked = bitstream_packet(b, from, NULL, &idr, &err);
    int r = bitstream_packet(b, from, to, &again, &err);
    fuzz_must(looked == r && (r < 0 || (idr == again && to->size > 1)));
    av_packet_free(&from);
    av_packet_free(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct color_info bt709 = { 1, 1, 1, 1, 1 };
    struct bitstream_facts f;
    size_t head, n;

    if (size < 2 || size - 2 < data[1])
        return 0;
    head = data[1];
    struct bitstream *b = open_one(codecs[data[0] % 3], data + 2, head);
    if (!b)
        return 0;
    bitstream_facts(b, &f);
    push(b, data + 2 + head, size - 2 - head);
    (void)bitstream_tag(b, &bt709, NULL);
    fuzz_must(bitstream_header(b, &n) && n > 4);
    bitstream_free(b);
    return 0;
}
