#include "admit.h"

#include "../base/err.h"
#include "foreign.h"
#include "open.h"
#include "probe.h"
#include "streams.h"

#include <errno.h>
#include <libavutil/dovi_meta.h>

enum { FIRST_PACKETS = 256 }; /* of all streams: one that is encrypted is among them */

/* Pictures of an unknown kind aren't sound with a cover: somebody would miss them. */
static int unknown_video(const struct media_source *s, struct err *err)
{
    for (unsigned k = 0; k < s->fmt->nb_streams; k++) {
        const AVStream *st = s->fmt->streams[k];
        if (streams_is_film(st) && st->codecpar->codec_id == AV_CODEC_ID_NONE)
            return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                           "the video (stream %u) is of an unknown kind, \"%s\"; convert it to "
                           "H.264, HEVC or AV1",
                           k, av_fourcc2str(st->codecpar->codec_tag));
    }
    return 0;
}

static int tell_lost_video(const struct media_source *s, struct media_info *i)
{
    int r = 0;

    for (unsigned k = 0; k < s->fmt->nb_streams && k < MEDIA_STREAMS_MAX && r == 0; k++) {
        const AVStream *st = s->fmt->streams[k];
        const AVCodecParameters *p = st->codecpar;
        if (!streams_is_film(st) || (p->codec_id != AV_CODEC_ID_NONE && p->width > 0))
            continue;
        r = s->foreign[k]
                ? probe_warn(i, "video stream %u is %s, which is not decoded here, and is left out",
                             k, s->foreign[k])
                : probe_warn(i,
                             "video stream %u (%s) has no picture at the beginning and is left out",
                             k, avcodec_get_name(p->codec_id));
    }
    return r;
}

/* Of Dolby Vision's profiles some have a base layer in a colour space of
 * their own (dv_bl_signal_compatibility_id 0: "Dolby Vision Streams within
 * the ISO Base Media File Format", 3.2), which shows as green and purple. */
static int own_colours(const AVStream *st, struct err *err)
{
    size_t n = 0;
    const uint8_t *p = av_stream_get_side_data(st, AV_PKT_DATA_DOVI_CONF, &n);
    const AVDOVIDecoderConfigurationRecord *dv = (const void *)p;

    if (!p || n < sizeof(*dv) || dv->dv_bl_signal_compatibility_id != 0 ||
        (dv->dv_profile != 5 && dv->dv_profile != 10 && dv->dv_profile != 20))
        return 0;
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                   "the video is Dolby Vision profile %d, whose pictures only Dolby's decoders "
                   "show in their colours; export it as HDR10, HLG or SDR",
                   dv->dv_profile);
}

static int admit_video(const AVStream *st, struct err *err)
{
    const AVCodecParameters *p = st->codecpar;

    if (!media_decodes(p->codec_id))
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "the video is %s, which is not decoded here; convert it to H.264, HEVC or "
                       "AV1",
                       avcodec_get_name(p->codec_id));
    if ((int64_t)p->width * p->height > MEDIA_PIXELS_MAX)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "the video has %dx%d pixels, more than the %d of 8192x8192", p->width,
                       p->height, MEDIA_PIXELS_MAX);
    return own_colours(st, err);
}

static int admit_audio(const AVStream *st, struct err *err)
{
    if (media_decodes(st->codecpar->codec_id))
        return 0;
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                   "the sound is %s, which is not decoded here; convert it to AAC, Opus or PCM",
                   avcodec_get_name(st->codecpar->codec_id));
}

/* media_read() says so of the first packet of a stream that is. */
static int look_for_encryption(struct media_source *s, int stream, struct err *err)
{
    AVPacket *pkt = av_packet_alloc();
    int r = 0, seen = 0;

    if (!pkt)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    for (int n = 0; r == 0 && !seen && n < FIRST_PACKETS; n++) {
        r = media_read(s, pkt, err);
        seen = r == 0 && pkt->stream_index == stream;
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    return r == AVERROR_EOF ? 0 : r;
}

static int check_encryption(struct media_source *s, int stream, struct err *err)
{
    /* Matroska tells of a stream, not of packets (ContentEncryption, RFC 9559, 5.1.4.1.31.8). */
    if (av_stream_get_side_data(s->fmt->streams[stream], AV_PKT_DATA_ENCRYPTION_INIT_INFO, NULL) &&
        !media_is_mov(s))
        return media_refuse_encrypted(err);
    return look_for_encryption(s, stream, err);
}

int admit_streams(struct media_source *s, struct media_info *i, struct err *err)
{
    int v = i->video.stream, a = i->audio.stream;
    int r = foreign_refuse(s, i, err);

    if (r == 0)
        r = v >= 0 ? admit_video(s->fmt->streams[v], err) : unknown_video(s, err);

    if (r == 0 && tell_lost_video(s, i) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    if (r == 0 && a >= 0)
        r = admit_audio(s->fmt->streams[a], err);
    if (r == 0 && (v >= 0 || a >= 0))
        r = check_encryption(s, v >= 0 ? v : a, err);
    return r;
}
