/* open.h - a source opened for reading, the same way for planning and for
 * encoding, so that both see the same packets at the same times.
 *
 * Runs in a child. Only demuxers and decoders of an allow-list are ever
 * tried, and nothing that a file names is opened: there is no protocol
 * layer, only the AVIOContext of io.h.
 */
#ifndef GOPMILL_MEDIA_OPEN_H
#define GOPMILL_MEDIA_OPEN_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

struct err;
struct inside;
struct media_io;

struct splice;
struct stream_join;
struct presence;

enum { MEDIA_STREAMS_MAX = 128 };

struct media_source {
    struct media_io *io;
    AVFormatContext *fmt;
    const struct splice *splices; /* applied by media_read(); borrowed */
    size_t n_splices;
    const struct stream_join *joins; /* the same (arrivals.h) */
    size_t n_joins;
    int selected;              /* by media_select(); -1: none */
    int raw;                   /* the stream that the last packet came in, whichever it counts as */
    struct presence *presence; /* notes every packet; borrowed; NULL: none does */
    /* Names of those that nobody here decodes (foreign.h); static. */
    const char *foreign[MEDIA_STREAMS_MAX];
    int64_t last_pos;            /* of the last packet that has one */
    struct AVBSFContext *unpack; /* of the stream `unpacked` (unpack.h); NULL: none needs it */
    int unpacked;
    uint8_t webvtt[128]; /* by stream: S_TEXT/WEBVTT of Matroska (text_kind.h) */
};

enum { MEDIA_PIXELS_MAX = 8192 * 8192 }; /* of a picture; larger ones aren't decoded */

enum media_open_flags {
    MEDIA_OPEN_DETAILS = 1,  /* read on until every stream's parameters are known (probing) */
    MEDIA_OPEN_INDEX = 2,    /* sample data of MP4 isn't wanted (io.h) */
    MEDIA_OPEN_UNEDITED = 4, /* MP4's edit lists aren't applied: times are those of media */
};

/* -EINVAL with ERR_INPUT in words that tell an empty file from text, from a
 * truncated one and from a format that isn't known. */
int media_open(struct inside *in, int flags, struct media_source *ret, struct err *err);
void media_close(struct media_source *s); /* leaves it zeroed */

/* How a source is opened for that stream of it: without the demuxer's edits where they are ours. */
struct media_info;
int media_flags_for(const struct media_info *info, int stream);

/* Whether streams of this codec are decoded here. */
int media_decodes(enum AVCodecID id);

/* Whether it is the ISO BMFF demuxer, which has a complete index. */
int media_is_mov(const struct media_source *s);

/* Whether all streams share one clock, which may start over in the middle,
 * and bytes may be sought (MPEG-TS, PS). */
int media_has_one_clock(const struct media_source *s);

/* av_seek_frame(), and what was read before it is forgotten. Of a source with joins by byte only.
 */
int media_seek(struct media_source *s, int stream, int64_t to, int flags);

/* Let the demuxer keep that stream, and what goes on in it. */
void media_want(struct media_source *s, int stream);

/* Let the demuxer drop what belongs to other streams. */
void media_select(struct media_source *s, int stream);

/* A decoder for `stream` on one thread. -ENOTSUP with ERR_UNSUPPORTED where
 * it isn't on the list. */
int media_decoder(const struct media_source *s, int stream, AVCodecContext **ret, struct err *err);
/* The same for a codec other than the container says, with options of the decoder (taken; NULL:
 * none; one that it doesn't know is no error). */
int media_decoder_of(const struct media_source *s, int stream, enum AVCodecID id,
                     AVDictionary **options, AVCodecContext **ret, struct err *err);

/* The next packet, its times with the offset of its splice; the parent's
 * error rather than libav's EIO. AVERROR_EOF at the end. -ENOTSUP with
 * ERR_UNSUPPORTED where it is encrypted. */
int media_read(struct media_source *s, AVPacket *pkt, struct err *err);

/* Sets `err` to what media_read() says of encrypted packets, and returns its -ENOTSUP. */
int media_refuse_encrypted(struct err *err);

/* The timestamp congruent to `ts` modulo 2^bits that is nearest to `near`:
 * MPEG timestamps have 33 bits, plans have none to miss. Either may be
 * AV_NOPTS_VALUE: then `ts` as it is. */
int64_t media_unwrap(int64_t ts, int64_t near, int bits);

#endif
