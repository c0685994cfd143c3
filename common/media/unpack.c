#include "unpack.h"

#include <string.h>

enum { VOP_START_CODE = 0xb6, VOP_B = 2 }; /* ISO/IEC 14496-2, 6.2.1 and table 6-20 */

int unpack_open(const AVFormatContext *f, const AVStream *st, AVBSFContext **ret)
{
    const AVBitStreamFilter *filter = av_bsf_get_by_name("mpeg4_unpack_bframes");
    AVBSFContext *b = NULL;

    if (st->codecpar->codec_id != AV_CODEC_ID_MPEG4 || !filter ||
        (strcmp(f->iformat->name, "avi") != 0 && strncmp(f->iformat->name, "matroska", 8) != 0))
        return 0;
    int r = av_bsf_alloc(filter, &b);
    if (r >= 0)
        r = avcodec_parameters_copy(b->par_in, st->codecpar);
    if (r >= 0)
        r = av_bsf_init(b);
    if (r < 0) {
        av_bsf_free(&b);
        return r == AVERROR(ENOMEM) ? r : 0;
    }
    *ret = b;
    return 0;
}

static int is_b_picture(const AVPacket *pkt)
{
    const uint8_t *p = pkt->data;

    for (int i = 0; i + 4 < pkt->size; i++)
        if (!p[i] && !p[i + 1] && p[i + 2] == 1 && p[i + 3] == VOP_START_CODE)
            return p[i + 4] >> 6 == VOP_B;
    return 0;
}

int unpack_packet(AVBSFContext *b, AVPacket *pkt)
{
    int r = av_bsf_send_packet(b, pkt);

    if (r >= 0)
        r = av_bsf_receive_packet(b, pkt);
    if (r == AVERROR(EAGAIN))
        return 0;
    if (r < 0) { /* a damaged packet: what follows it is another matter */
        av_packet_unref(pkt);
        return r == AVERROR(ENOMEM) ? r : 0;
    }
    if (pkt->pts == AV_NOPTS_VALUE && is_b_picture(pkt))
        pkt->pts = pkt->dts;
    return 1;
}
