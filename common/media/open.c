#include "open.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "../wire/media_info.h"
#include "arrivals.h"
#include "io.h"
#include "presence.h"
#include "text_kind.h"
#include "unpack.h"

#include <errno.h>
#include <libavutil/opt.h>
#include <string.h>

enum { AGAIN_MAX = 1000 }; /* times in a row that a demuxer is asked again */

/* Demuxers that never open anything else than what they are given. */
static const char demuxers[] = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,"
                               "flv,live_flv,asf,ogg,mxf,mxf_opatom,gxf,dv,wav,w64,mp3,aac,flac,"
                               "ac3,eac3,ivf,h264,hevc,m4v,obu,av1,y4m,yuv4mpegpipe,nut,aiff,caf,"
                               "amr,rm,wtv,gif,apng,wv,tta,ape";

static const char *const decoders[] = {
    "h264",       "hevc",          "libdav1d",     "vp8",           "vp9",
    "mpeg1video", "mpeg2video",    "mpeg4",        "msmpeg4v1",     "msmpeg4v2",
    "msmpeg4",    "h263",          "flv",          "vc1",           "wmv1",
    "wmv2",       "wmv3",          "prores",       "dnxhd",         "mjpeg",
    "theora",     "ffv1",          "huffyuv",      "ffvhuff",       "utvideo",
    "cfhd",       "dvvideo",       "jpeg2000",     "rawvideo",      "v210",
    "qtrle",      "png",           "svq1",         "svq3",          "cinepak",
    "rv30",       "rv40",          "rv20",         "rv10",          "vp6",
    "vp6f",       "aac",           "mp3float",     "mp3",           "mp2float",
    "mp2",        "mp1float",      "ac3",          "eac3",          "dca",
    "truehd",     "mlp",           "opus",         "vorbis",        "flac",
    "alac",       "wmav1",         "wmav2",        "wmapro",        "pcm_s16le",
    "pcm_s16be",  "pcm_s24le",     "pcm_s24be",    "pcm_s32le",     "pcm_s32be",
    "pcm_u8",     "pcm_s8",        "pcm_f32le",    "pcm_f32be",     "pcm_f64le",
    "pcm_f64be",  "pcm_alaw",      "pcm_mulaw",    "pcm_bluray",    "pcm_dvd",
    "adpcm_ms",   "adpcm_ima_wav", "adpcm_ima_qt", "amrnb",         "amrwb",
    "cook",       "aac_latm",      "gsm",          "nellymoser",    "speex",
    "adpcm_swf",  "mp1",           "libopus",      "subrip",        "ass",
    "mov_text",   "webvtt",        "text",         "gif",           "apng",
    "magicyuv",   "hap",           "dirac",        "zmbv",          "flashsv",
    "flashsv2",   "lagarith",      "fraps",        "msvideo1",      "wavpack",
    "tta",        "ape",           "wmalossless",  "g726",          "g722",
    "g726le",     "gsm_ms",        "adpcm_yamaha", "adpcm_ima_dk3", "adpcm_ima_dk4",
    "adpcm_ct",   "adpcm_ima_amv", "ilbc",         "qcelp",         "evrc",
    "mace3",      "mace6",         "qdm2",         "g723_1",        "libzvbi_teletextdec",
};

static const AVCodec *find_decoder(enum AVCodecID id)
{
    void *it = NULL;
    const AVCodec *c;

    while ((c = av_codec_iterate(&it)))
        if (av_codec_is_decoder(c) && c->id == id)
            for (size_t i = 0; i < sizeof(decoders) / sizeof(*decoders); i++)
                if (strcmp(c->name, decoders[i]) == 0)
                    return c;
    return NULL;
}

int media_decodes(enum AVCodecID id)
{
    return find_decoder(id) != NULL;
}

static int refuse_open(AVFormatContext *s, AVIOContext **pb, const char *url, int flags,
                       AVDictionary **options)
{
    (void)s, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EACCES);
}

/* Text has no zero bytes, media has some in its first 4 kB. */
static int looks_like_text(struct inside *in)
{
    uint8_t buf[4096];
    size_t n = 0;

    if (inside_read(in, 0, buf, sizeof(buf), &n, NULL) < 0 || n == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (buf[i] == 0x7f || (buf[i] < ' ' && !strchr("\t\n\r\f\033", buf[i])) || buf[i] == 0)
            return 0;
    return 1;
}

/* What people upload by mistake, by its first bytes. */
static const char *known_other(struct inside *in)
{
    static const struct {
        const char *bytes;
        size_t n, at;
        const char *name;
    } kinds[] = {
        {"\xff\xd8\xff",        3, 0, "a JPEG picture"                     },
        { "\x89PNG\r\n\x1a\n",  8, 0, "a PNG picture"                      },
        { "WEBP",               4, 8, "a WebP picture"                     },
        { "ftypheic",           8, 4, "a HEIF picture"                     },
        { "ftypmif1",           8, 4, "a HEIF picture"                     },
        { "ftypavif",           8, 4, "an AVIF picture"                    },
        { "II*\0",              4, 0, "a TIFF or camera raw picture"       },
        { "MM\0*",              4, 0, "a TIFF or camera raw picture"       },
        { "8BPS",               4, 0, "a Photoshop document"               },
        { "%PDF-",              5, 0, "a PDF document"                     },
        { "PK\x03\x04",         4, 0, "a ZIP archive or an office document"},
        { "Rar!\x1a\x07",       6, 0, "a RAR archive"                      },
        { "7z\xbc\xaf\x27\x1c", 6, 0, "a 7z archive"                       },
        { "\x1f\x8b\x08",       3, 0, "a gzip archive"                     },
        { "MThd",               4, 0, "a MIDI file"                        },
        { "FWS",                3, 0, "a Flash animation"                  },
        { "CWS",                3, 0, "a Flash animation"                  },
    };
    char head[16] = { 0 };
    size_t n = 0;

    if (inside_read(in, 0, head, sizeof(head), &n, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (kinds[i].at + kinds[i].n <= n &&
            memcmp(head + kinds[i].at, kinds[i].bytes, kinds[i].n) == 0)
            return kinds[i].name;
    return NULL;
}

static int explain(struct inside *in, const struct media_io *io, int r, struct err *err)
{
    const struct err *e = media_io_error(io);

    if (e->cls != ERR_NONE)
        return err_set(err, -EIO, e->cls, "%s", e->text);
    if (r == AVERROR(ENOMEM))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while opening the source");
    const char *other = known_other(in);
    if (other)
        return err_set(err, -EINVAL, ERR_INPUT, "the source is %s, not a video", other);
    if (looks_like_text(in))
        return err_set(err, -EINVAL, ERR_INPUT, "the source is text, not a video");
    /* EINVAL: what no demuxer wants is at last taken for MP3. */
    if (r == AVERROR_INVALIDDATA || r == AVERROR_EOF || r == AVERROR(EINVAL))
        return err_set(err, -EINVAL, ERR_INPUT,
                       "the source is not a video in a known format, or its index is missing: it "
                       "may be cut off (%llu bytes); upload it again",
                       (unsigned long long)inside_source_size(in));
    return err_set(err, -EINVAL, ERR_INPUT, "the source can't be opened: %s", av_err2str(r));
}

static AVFormatContext *new_context(struct media_io *io, int flags)
{
    AVFormatContext *f = avformat_alloc_context();

    if (!f)
        return NULL;
    f->pb = media_io_avio(io);
    f->io_open = refuse_open;
    f->flags |= AVFMT_FLAG_CUSTOM_IO;
    f->max_streams = MEDIA_STREAMS_MAX;
    f->format_whitelist = av_strdup(demuxers);
    f->protocol_whitelist = av_strdup("none");
    /* Timestamps that wrap are unwrapped by one rule, ours. */
    f->correct_ts_overflow = 0;
    if (!(flags & MEDIA_OPEN_DETAILS))
        f->max_analyze_duration = 0;
    return f;
}

/* Where a demuxer knows its streams only after reading on (MPEG-TS, PS,
 * FLV, bare streams), both planning and encoding read on. */
static int needs_details(const AVFormatContext *f)
{
    for (unsigned i = 0; i < f->nb_streams; i++) /* bare AAC, AC-3 … */
        if (f->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO &&
            f->streams[i]->codecpar->sample_rate <= 0)
            return 1;
    return f->ctx_flags & AVFMTCTX_NOHEADER || f->nb_streams == 0;
}

static int open_stream(struct inside *in, int flags, struct media_source *s, struct err *err)
{
    s->io = media_io_new(in);
    s->fmt = s->io ? new_context(s->io, flags) : NULL;
    if (!s->fmt)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while opening the source");
    AVDictionary *opts = NULL;
    int r = flags & MEDIA_OPEN_UNEDITED ? av_dict_set(&opts, "ignore_editlist", "1", 0) : 0;
    if (r >= 0)
        r = avformat_open_input(&s->fmt, NULL, NULL, &opts);
    av_dict_free(&opts);
    if (r < 0)
        return explain(in, s->io, r, err);
    if (media_is_mov(s) && !(flags & MEDIA_OPEN_DETAILS))
        s->fmt->flags |= AVFMT_FLAG_NOPARSE; /* samples are whole frames already */
    if (flags & MEDIA_OPEN_DETAILS || needs_details(s->fmt)) {
        s->fmt->max_analyze_duration = 5 * AV_TIME_BASE;
        r = avformat_find_stream_info(s->fmt, NULL);
    }
    if (r < 0)
        return explain(in, s->io, r, err);
    if (flags & MEDIA_OPEN_INDEX && media_is_mov(s)) {
        r = media_io_skip_mdat(s->io, err);
        if (r < 0 && r != -EINVAL)
            return r;
    }
    return text_kinds_learn(in, s, err);
}

int media_open(struct inside *in, int flags, struct media_source *ret, struct err *err)
{
    struct media_source s = { .selected = -1 };

    if (inside_source_size(in) == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "the source is empty (0 bytes)");
    int r = open_stream(in, flags, &s, err);
    for (unsigned i = 0; r >= 0 && i < s.fmt->nb_streams && !s.unpack; i++) {
        s.unpacked = (int)i;
        if (unpack_open(s.fmt, s.fmt->streams[i], &s.unpack) < 0)
            r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while opening the source");
    }
    if (r < 0) {
        media_close(&s);
        return r;
    }
    *ret = s;
    return 0;
}

int media_flags_for(const struct media_info *info, int stream)
{
    return media_is_edited(info, stream) ? MEDIA_OPEN_UNEDITED : 0;
}

void media_close(struct media_source *s)
{
    av_bsf_free(&s->unpack);
    avformat_close_input(&s->fmt);
    media_io_free(s->io);
    *s = (struct media_source){ 0 };
}

/* A demuxer gives the last packets of a stream when the next one of the same PID comes, or at the
 * end. Where a stream goes on in another, the source ends for a moment. */
static uint64_t next_cut(const struct media_source *s, int64_t pos)
{
    uint64_t cut = UINT64_MAX;

    for (size_t k = 0; k < s->n_joins; k++)
        if (s->joins[k].stream >= 0 && s->joins[k].stream == s->selected && s->joins[k].pos > pos &&
            (uint64_t)s->joins[k].pos < cut)
            cut = (uint64_t)s->joins[k].pos;
    return cut;
}

int media_seek(struct media_source *s, int stream, int64_t to, int flags)
{
    if (s->unpack)
        av_bsf_flush(s->unpack);
    if (s->n_joins > 0)
        media_io_set_end(s->io, next_cut(s, to));
    return av_seek_frame(s->fmt, stream, to, flags);
}

int media_is_mov(const struct media_source *s)
{
    return strncmp(s->fmt->iformat->name, "mov,", 4) == 0;
}

int media_has_one_clock(const struct media_source *s)
{
    return strcmp(s->fmt->iformat->name, "mpegts") == 0 ||
           strcmp(s->fmt->iformat->name, "mpeg") == 0;
}

/* Of a stream that goes on in others, these are its own. */
static int is_part_of(const struct media_source *s, const AVStream *st, int stream)
{
    for (size_t k = 0; stream >= 0 && k < s->n_joins; k++)
        if (s->joins[k].id == st->id && s->joins[k].stream == stream)
            return 1;
    return st->index == stream;
}

void media_want(struct media_source *s, int stream)
{
    for (unsigned i = 0; i < s->fmt->nb_streams; i++)
        if (is_part_of(s, s->fmt->streams[i], stream))
            s->fmt->streams[i]->discard = AVDISCARD_DEFAULT;
}

void media_select(struct media_source *s, int stream)
{
    for (unsigned i = 0; i < s->fmt->nb_streams; i++)
        s->fmt->streams[i]->discard = AVDISCARD_ALL;
    media_want(s, stream);
    s->selected = stream;
    if (s->n_joins > 0)
        (void)media_seek(s, -1, 0, AVSEEK_FLAG_BYTE);
}

int media_decoder(const struct media_source *s, int stream, AVCodecContext **ret, struct err *err)
{
    return media_decoder_of(s, stream, s->fmt->streams[stream]->codecpar->codec_id, NULL, ret, err);
}

int media_decoder_of(const struct media_source *s, int stream, enum AVCodecID id,
                     AVDictionary **options, AVCodecContext **ret, struct err *err)
{
    const AVStream *st = s->fmt->streams[stream];
    const AVCodec *codec = find_decoder(id);

    if (!codec)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "%s is not decoded here",
                       avcodec_get_name(id));
    AVCodecContext *c = avcodec_alloc_context3(codec);
    int r = c ? avcodec_parameters_to_context(c, st->codecpar) : AVERROR(ENOMEM);
    if (r >= 0) {
        c->codec_id = id;
        c->codec_type = codec->type;
        c->pkt_timebase = st->time_base;
        c->thread_count = 1;
        c->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
        c->max_pixels = MEDIA_PIXELS_MAX;
        r = avcodec_open2(c, codec, options);
    }
    if (r < 0) {
        avcodec_free_context(&c);
        return err_set(err, -EINVAL, ERR_INPUT, "the %s stream can't be decoded: %s", codec->name,
                       av_err2str(r));
    }
    *ret = c;
    return 0;
}

/* A packet without a place of its own (one of several frames that came in
 * one PES packet) lies where the one before it did. */
static void shift_times(struct media_source *s, AVPacket *pkt)
{
    int64_t offset = 0;

    for (size_t i = 0; i < s->n_splices && s->splices[i].pos <= s->last_pos; i++)
        offset = s->splices[i].offset;
    if (pkt->pts != AV_NOPTS_VALUE)
        pkt->pts += offset;
    if (pkt->dts != AV_NOPTS_VALUE)
        pkt->dts += offset;
}

/* What it counts as, and when. */
static void place_packet(struct media_source *s, AVPacket *pkt)
{
    if (s->presence)
        presence_note(s->presence, s, pkt);
    if (pkt->pos >= 0)
        s->last_pos = pkt->pos;
    s->raw = pkt->stream_index;
    if (s->n_joins > 0)
        pkt->stream_index = media_joined_stream(s, pkt);
    if (s->n_splices > 0)
        shift_times(s, pkt);
}

int media_refuse_encrypted(struct err *err)
{
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                   "the source is encrypted (DRM), and can't be decoded without its key; upload it "
                   "without encryption");
}

/* Damaged MPEG-TS makes a demuxer give up for now, and go on when asked again. */
static int demux_packet(struct media_source *s, AVPacket *pkt)
{
    int r, tries = 0;

    do
        r = av_read_frame(s->fmt, pkt);
    while (r == AVERROR(EAGAIN) && ++tries < AGAIN_MAX);
    return r;
}

static int demux_picture(struct media_source *s, AVPacket *pkt)
{
    for (;;) {
        int r = demux_packet(s, pkt);
        if (r < 0 || !s->unpack || pkt->stream_index != s->unpacked)
            return r;
        r = unpack_packet(s->unpack, pkt);
        if (r != 0)
            return r;
    }
}

/* Over the places where the source seems to end. */
static int demux_on(struct media_source *s, AVPacket *pkt)
{
    for (;;) {
        uint64_t cut = media_io_end(s->io);
        int r = demux_picture(s, pkt);
        if (r >= 0 || cut == UINT64_MAX || media_io_error(s->io)->cls != ERR_NONE ||
            media_seek(s, -1, (int64_t)cut, AVSEEK_FLAG_BYTE) < 0)
            return r;
    }
}

int media_read(struct media_source *s, AVPacket *pkt, struct err *err)
{
    int r = demux_on(s, pkt);
    const struct err *e = media_io_error(s->io);

    if (r < 0 && e->cls != ERR_NONE)
        return err_set(err, -EIO, e->cls, "%s", e->text);
    /* Common Encryption (ISO/IEC 23001-7): a decoder would make noise of it. */
    if (r >= 0 && av_packet_get_side_data(pkt, AV_PKT_DATA_ENCRYPTION_INFO, NULL)) {
        av_packet_unref(pkt);
        return media_refuse_encrypted(err);
    }
    if (r == AVERROR(ENOMEM))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a packet");
    if (r >= 0)
        place_packet(s, pkt);
    /* A damaged end is an end: what was read so far counts. */
    return r < 0 ? AVERROR_EOF : 0;
}

int64_t media_unwrap(int64_t ts, int64_t near, int bits)
{
    if (ts == AV_NOPTS_VALUE || near == AV_NOPTS_VALUE || bits <= 0 || bits >= 63)
        return ts;
    int64_t span = INT64_C(1) << bits;
    int64_t d = (ts - near) % span;
    if (d > span / 2)
        d -= span;
    if (d < -span / 2)
        d += span;
    return near + d;
}
