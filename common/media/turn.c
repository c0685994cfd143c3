#include "turn.h"

#include "../wire/media_info.h"
#include "bits.h"
#include "nals.h"
#include "sei.h"

#include <errno.h>
#include <libavutil/display.h>
#include <math.h>
#include <string.h>

enum {
    H264_SEI = 6,
    HEVC_SEI_PREFIX = 39,
    ORIENTATION = 47, /* payloadType, H.264 D.1, HEVC D.2 */
};

void turn_of_matrix(const int32_t m[9], int *ret_rotation, int *ret_hflip)
{
    int32_t turned[9];

    *ret_rotation = *ret_hflip = 0;
    memcpy(turned, m, sizeof(turned));
    int hflip = (double)m[0] * m[4] - (double)m[1] * m[3] < 0;
    if (hflip)
        av_display_matrix_flip(turned, 1, 0);
    double ccw = av_display_rotation_get(turned);
    if (isnan(ccw))
        return;
    int rotation = (int)lround(-ccw / 90.0) * 90 % 360;
    *ret_rotation = rotation < 0 ? rotation + 360 : rotation;
    *ret_hflip = hflip;
}

/* ---- the first picture ---- */

/* display_orientation(): flipped first, then turned against the clock by 1/65536 of a circle. As
 * libavcodec does, the flips are done behind, which turns the turn around. 1: it says so. */
static int take_message(const uint8_t *p, size_t n, struct video_info *v)
{
    struct bits b;
    int32_t m[9];

    bits_plain(p, n, &b);
    if (bits_get(&b, 1)) /* cancelled */
        return 0;
    int hflip = (int)bits_get(&b, 1), vflip = (int)bits_get(&b, 1);
    double angle = bits_get(&b, 16) * 360.0 / 65536;
    if (bits_over(&b))
        return 0;
    av_display_rotation_set(m, -angle * (1 - 2 * hflip) * (1 - 2 * vflip));
    av_display_matrix_flip(m, hflip, vflip);
    turn_of_matrix(m, &v->rotation, &v->hflip);
    return 1;
}

static int take_messages(struct sei s, struct video_info *v)
{
    struct sei_message m;

    while (sei_next(&s, &m))
        if (m.type == ORIENTATION && !m.is_cut)
            return take_message(m.body, m.n, v);
    return 0;
}

void turn_look(const AVCodecParameters *par, const uint8_t *p, size_t n, struct video_info *v)
{
    struct nals s = nals_of(par, p, n);
    int hevc = par->codec_id == AV_CODEC_ID_HEVC;
    const uint8_t *unit;
    size_t size;

    if ((!hevc && par->codec_id != AV_CODEC_ID_H264) || v->rotation || v->hflip)
        return;
    while (nals_next(&s, &unit, &size)) {
        int type = nals_type(par->codec_id, unit, size);
        if (nals_is_slice(par->codec_id, type))
            return;
        if (type == (hevc ? HEVC_SEI_PREFIX : H264_SEI) &&
            take_messages(sei_of(par->codec_id, unit, size), v)) {
            v->turns = v->rotation || v->hflip;
            return;
        }
    }
}

/* ---- each picture ---- */

static const int32_t *matrix_of(const AVFrame *f)
{
    const AVFrameSideData *d = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);

    return d && d->size >= 9 * sizeof(int32_t) ? (const int32_t *)(const void *)d->data : NULL;
}

void turn_of_frame(const struct video_info *v, const AVFrame *f, int *ret_rotation, int *ret_hflip)
{
    const int32_t *m = matrix_of(f);
    int by_container = (v->rotation || v->hflip) && !v->turns;

    *ret_rotation = by_container ? v->rotation : 0;
    *ret_hflip = by_container ? v->hflip : 0;
    if (!by_container && m)
        turn_of_matrix(m, ret_rotation, ret_hflip);
}

int turn_follow(struct turn_hold *h, AVFrame *f)
{
    const int32_t *m = matrix_of(f);

    if (m)
        memcpy(h->matrix, m, sizeof(h->matrix));
    if (m || f->key_frame)
        h->holds = m != NULL;
    if (!h->holds || m)
        return 0;
    AVFrameSideData *d = av_frame_new_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX, sizeof(h->matrix));
    if (!d)
        return -ENOMEM;
    memcpy(d->data, h->matrix, sizeof(h->matrix));
    return 0;
}
