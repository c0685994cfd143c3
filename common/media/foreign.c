#include "foreign.h"

#include "../base/err.h"
#include "../child/inside.h"
#include "open.h"
#include "pmt.h"
#include "streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_BYTES = 1 << 20, USAC = 42, FLAC_STREAMINFO = 34 };

#define ENCRYPTED "encrypted (DRM)"
#define SCRAMBLED "scrambled (conditional access)"

/* What libavcodec learned to decode in a later version. */
#define USAC_SINCE   AV_VERSION_INT(61, 19, 0)
#define FLAC32_SINCE AV_VERSION_INT(60, 0, 0)

struct kind {
    enum AVMediaType type;
    const char *name;
};

#define VIDEO AVMEDIA_TYPE_VIDEO
#define AUDIO AVMEDIA_TYPE_AUDIO

/* Sample entries of MP4 and MOV; '?' stands for any. */
static const struct {
    const char *tag;
    struct kind kind;
} entries[] = {
    {"ac-4",  { AUDIO, "Dolby AC-4" }            },
    { "mha?", { AUDIO, "MPEG-H 3D Audio" }       },
    { "mhm?", { AUDIO, "MPEG-H 3D Audio" }       },
    { "iamf", { AUDIO, "IAMF" }                  },
    { "apac", { AUDIO, "Apple's APAC" }          },
    { "dtsx", { AUDIO, "DTS-UHD (DTS:X)" }       },
    { "dtsy", { AUDIO, "DTS-UHD (DTS:X)" }       },
    { "enca", { AUDIO, ENCRYPTED }               },
    { "drms", { AUDIO, ENCRYPTED }               },
    { "encv", { VIDEO, ENCRYPTED }               },
    { "drmi", { VIDEO, ENCRYPTED }               },
    { "vvc1", { VIDEO, "VVC (H.266)" }           },
    { "vvi1", { VIDEO, "VVC (H.266)" }           },
    { "vvcN", { VIDEO, "VVC (H.266)" }           },
    { "evc1", { VIDEO, "EVC (MPEG-5 part 1)" }   },
    { "lvc1", { VIDEO, "LCEVC (MPEG-5 part 2)" } },
    { "apv1", { VIDEO, "APV" }                   },
    { "avs3", { VIDEO, "AVS3" }                  },
    { "aprn", { VIDEO, "ProRes RAW" }            },
    { "aprh", { VIDEO, "ProRes RAW" }            },
    { "br??", { VIDEO, "Blackmagic RAW" }        },
    { "R3D?", { VIDEO, "REDCODE RAW" }           },
    { "CRAW", { VIDEO, "Canon Cinema RAW Light" }},
    { "crx?", { VIDEO, "Canon Cinema RAW Light" }},
    { "jxsm", { VIDEO, "JPEG XS" }               },
    { "jxs1", { VIDEO, "JPEG XS" }               },
};

/* Stream types of MPEG-TS. */
static const struct {
    uint8_t type;
    struct kind kind;
} types[] = {
    {0x2d,  { AUDIO, "MPEG-H 3D Audio" }      },
    { 0x2e, { AUDIO, "MPEG-H 3D Audio" }      },
    { 0x32, { VIDEO, "JPEG XS" }              },
    { 0x33, { VIDEO, "VVC (H.266)" }          },
    { 0x34, { VIDEO, "VVC (H.266)" }          },
    { 0x35, { VIDEO, "EVC (MPEG-5 part 1)" }  },
    { 0x36, { VIDEO, "LCEVC (MPEG-5 part 2)" }},
};

/* Extension descriptors of DVB (EN 300 468, table 109), and registered formats. */
static const struct {
    uint8_t extension;
    const char *format;
    struct kind kind;
} described[] = {
    {0x15,  "AC-4", { AUDIO, "Dolby AC-4" }     },
    { 0x21, "dtsx", { AUDIO, "DTS-UHD (DTS:X)" }},
    { 0,    "AV01", { VIDEO, "AV1 in MPEG-TS" } },
    { 0,    "avs3", { VIDEO, "AVS3" }           },
};

static int matches(const char *pattern, uint32_t tag)
{
    for (int i = 0; i < 4; i++)
        if (pattern[i] != '?' && (uint8_t)pattern[i] != (tag >> 8 * i & 0xff))
            return 0;
    return 1;
}

static const struct kind *kind_of_entry(const AVCodecParameters *p)
{
    for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
        if (entries[i].kind.type == p->codec_type && matches(entries[i].tag, p->codec_tag))
            return &entries[i].kind;
    return NULL;
}

static const struct kind *kind_of_pid(const struct pmt_stream *s)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (s->type == types[i].type)
            return &types[i].kind;
    for (size_t i = 0; i < sizeof(described) / sizeof(*described); i++)
        if ((s->extension && s->extension == described[i].extension) ||
            strcmp(s->format, described[i].format) == 0)
            return &described[i].kind;
    return NULL;
}

/* The object type of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). */
static unsigned object_type(const AVCodecParameters *p)
{
    if (p->extradata_size < 2)
        return 0;
    unsigned first = p->extradata[0] >> 3;
    return first == 31 ? 32 + ((p->extradata[0] & 7u) << 3 | p->extradata[1] >> 5) : first;
}

/* Bits a sample of a STREAMINFO (RFC 9639, 8.2). */
static unsigned flac_bits(const AVCodecParameters *p)
{
    const uint8_t *x = p->extradata;

    return p->extradata_size < FLAC_STREAMINFO ? 0 : ((x[12] & 1u) << 4 | x[13] >> 4) + 1;
}

/* Of a codec that is decoded here, what isn't. */
static const char *name_of_profile(const AVCodecParameters *p)
{
    if (p->codec_id == AV_CODEC_ID_AAC && object_type(p) == USAC && avcodec_version() < USAC_SINCE)
        return "xHE-AAC (USAC)";
    if (p->codec_id == AV_CODEC_ID_FLAC && flac_bits(p) > 24 && avcodec_version() < FLAC32_SINCE)
        return "FLAC of more than 24 bits";
    return NULL;
}

static const char *name_of_codec(const AVCodecParameters *p)
{
    const AVCodecDescriptor *d = avcodec_descriptor_get(p->codec_id);

    if (p->codec_id == AV_CODEC_ID_NONE || media_decodes(p->codec_id))
        return name_of_profile(p);
    return d && d->long_name ? d->long_name : avcodec_get_name(p->codec_id);
}

static const char *name_of(const struct media_source *s, const struct pmt *tables,
                           const AVStream *st, enum AVMediaType *ret_type)
{
    const struct pmt_stream *named = tables ? pmt_find(tables, st->id) : NULL;
    const AVCodecParameters *p = st->codecpar;
    const struct kind *k = media_is_mov(s) ? kind_of_entry(p) : named ? kind_of_pid(named) : NULL;

    *ret_type = k ? k->type : p->codec_type;
    if (*ret_type != VIDEO && *ret_type != AUDIO)
        return NULL;
    if (named && named->scrambled > named->clear)
        return SCRAMBLED;
    /* A table's word counts: what libavformat makes of unknown bytes is a guess. */
    if (k && p->codec_id != AV_CODEC_ID_AV1)
        return k->name;
    return name_of_codec(p);
}

/* Of MPEG-TS, the tables at the beginning. */
static int read_tables(struct inside *in, const struct media_source *s, struct pmt **ret,
                       struct err *err)
{
    size_t n = 0;

    if (strcmp(s->fmt->iformat->name, "mpegts") != 0)
        return 0;
    uint8_t *buf = malloc(LOOK_BYTES);
    *ret = calloc(1, sizeof(**ret));
    int r = buf && *ret ? inside_read(in, 0, buf, LOOK_BYTES, &n, err)
                        : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    if (r == 0)
        pmt_read(buf, n, *ret);
    free(buf);
    return r;
}

int foreign_find(struct inside *in, struct media_source *s, struct err *err)
{
    struct pmt *tables = NULL;
    int r = read_tables(in, s, &tables, err);

    for (unsigned k = 0; r == 0 && k < s->fmt->nb_streams && k < MEDIA_STREAMS_MAX; k++) {
        AVCodecParameters *p = s->fmt->streams[k]->codecpar;
        enum AVMediaType type;
        s->foreign[k] = name_of(s, tables, s->fmt->streams[k], &type);
        if (!s->foreign[k])
            continue;
        p->codec_type = type;
        p->codec_id = AV_CODEC_ID_NONE;
    }
    free(tables);
    return r;
}

/* Whether a stream of that name only lacks a key. */
static int is_locked(const char *name)
{
    return strcmp(name, ENCRYPTED) == 0 || strcmp(name, SCRAMBLED) == 0;
}

static int refuse(unsigned k, const char *what, const char *name, const char *to, struct err *err)
{
    if (is_locked(name))
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "the %s (stream %u) is %s, and can't be decoded without its key; upload it "
                       "without encryption",
                       what, k, name);
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                   "the %s (stream %u) is %s, which is not decoded here; convert it to %s", what, k,
                   name, to);
}

int foreign_refuse(const struct media_source *s, const struct media_info *i, struct err *err)
{
    for (unsigned k = 0; k < s->fmt->nb_streams && k < MEDIA_STREAMS_MAX; k++) {
        AVStream *st = s->fmt->streams[k];
        if (s->foreign[k] && streams_is_film(st) && i->video.stream < 0)
            return refuse(k, "video", s->foreign[k], "H.264, HEVC or AV1", err);
    }
    for (unsigned k = 0; k < s->fmt->nb_streams && k < MEDIA_STREAMS_MAX; k++)
        if (s->foreign[k] && s->fmt->streams[k]->codecpar->codec_type == AUDIO &&
            i->audio.stream < 0 && !streams_other_programme(s->fmt, i->video.stream, k))
            return refuse(k, "sound", s->foreign[k], "AAC, Opus or PCM", err);
    return 0;
}
