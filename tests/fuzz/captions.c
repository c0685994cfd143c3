/* Closed captions: a byte for the codec, or a kind of track; then packets of one byte of length,
 * one that moves the time (or takes it away) and so many bytes. */
#include "fuzz.h"

#include "worker/cc_reader.h"

static const enum AVCodecID codecs[] = { AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,
                                         AV_CODEC_ID_AV1,        AV_CODEC_ID_MPEG2VIDEO,
                                         AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_EIA_608,
                                         AV_CODEC_ID_NONE };

static void feed_all(struct cc_reader *r, const uint8_t *data, size_t size)
{
    int64_t now = 0;

    while (size >= 2) {
        size_t n = data[0] < size - 2 ? data[0] : size - 2;
        AVPacket *p = av_packet_alloc();
        fuzz_must(p && av_new_packet(p, (int)n) == 0); /* what is read beyond it is seen */
        memcpy(p->data, data + 2, n);
        now += data[1] % 16;
        p->pts = data[1] & 0x80 ? AV_NOPTS_VALUE : now + (data[1] >> 4 & 7);
        p->dts = data[1] == 0xff ? AV_NOPTS_VALUE : now;
        p->duration = data[1] & 1 ? 40 : 0;
        fuzz_must(cc_reader_packet(r, p, NULL) == 0);
        av_packet_free(&p);
        data += 2 + n;
        size -= 2 + n;
    }
    fuzz_must(cc_reader_end(r, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AVFormatContext *f = avformat_alloc_context();
    AVStream *st = f ? avformat_new_stream(f, NULL) : NULL;
    struct cc_reader *r = NULL;

    fuzz_must(st);
    st->time_base = (AVRational){ 1, 1000 };
    st->codecpar->codec_id = codecs[size ? data[0] % (sizeof(codecs) / sizeof(*codecs)) : 0];
    if (st->codecpar->codec_id == AV_CODEC_ID_NONE)
        st->codecpar->codec_tag = MKTAG('c', '7', '0', '8');
    fuzz_must(cc_reader_new(st, size > 0 && data[0] & 0x80, &r, NULL) == 0);
    for (unsigned k = 0; k < CC_CHANNELS; k++)
        fuzz_must(cc_reader_want(r, k, NULL) == 0);
    if (size > 1)
        feed_all(r, data + 1, size - 1);
    for (unsigned k = 0; k < CC_CHANNELS; k++) {
        const struct cues *l = cc_reader_cues(r, k);
        for (size_t i = 0; i < l->n; i++) {
            fuzz_must(l->v[i].end > l->v[i].start && *l->v[i].text);
            fuzz_must(i == 0 || l->v[i].start >= l->v[i - 1].end);
        }
    }
    cc_reader_free(r);
    avformat_free_context(f);
    return 0;
}
