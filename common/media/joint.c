#include "joint.h"

#include "nals.h"

#include <libavutil/crc.h>

/* nal_unit_type, HEVC table 7-1. */
enum { BLA_FIRST = 16, IDR_LAST = 20, SPS = 33 };

int joint_is_at(struct joint *j, const AVCodecParameters *par, const AVPacket *pkt)
{
    const AVCRC *table = av_crc_get_table(AV_CRC_32_IEEE);
    const uint8_t *unit;
    uint32_t sets = 0;
    size_t n;
    int type = 0;

    if (par->codec_id != AV_CODEC_ID_HEVC || !(pkt->flags & AV_PKT_FLAG_KEY))
        return 0;
    struct nals s = nals_of(par, pkt->data, (size_t)pkt->size);
    while (nals_next(&s, &unit, &n)) {
        type = nals_type(par->codec_id, unit, n);
        if (nals_is_slice(par->codec_id, type))
            break;
        if (type == SPS)
            sets = av_crc(table, sets, unit, n) | 1;
    }
    int other = sets && j->sets && sets != j->sets && type >= BLA_FIRST && type <= IDR_LAST;
    if (sets)
        j->sets = sets;
    return other;
}
