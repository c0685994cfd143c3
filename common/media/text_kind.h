/* text_kind.h - which streams are text, and how their packets say it. For probing and for
 * encoding alike.
 */
#ifndef GOPMILL_MEDIA_TEXT_KIND_H
#define GOPMILL_MEDIA_TEXT_KIND_H

#include <libavformat/avformat.h>

struct err;
struct inside;
struct media_source;

enum text_kind {
    TEXT_KIND_NONE,    /* no text, or of a kind that isn't read here */
    TEXT_KIND_DECODED, /* libavcodec makes text of it */
    /* WebVTT of Matroska as a cue's payload (S_TEXT/WEBVTT); its settings are a BlockAddition. */
    TEXT_KIND_WEBVTT,
    TEXT_KIND_WEBVTT_SAMPLE, /* boxes of cues (wvtt, ISO/IEC 14496-30, 7) */
    TEXT_KIND_TTML,          /* documents, each with times of its own */
    TEXT_KIND_TELETEXT,      /* lines of pages (ETSI EN 300 472) */
};

enum text_kind text_kind(const struct media_source *s, int stream);

/* What people call it: "subrip", "webvtt"; where libavformat has no name, the container's. `in`
 * may be asked for the header of a Matroska file. 0 or negative. */
int text_kind_name(struct inside *in, const struct media_source *s, int stream, char *ret,
                   size_t size, struct err *err);

/* For media_open() only: sets s->webvtt. libavformat (5.1) gives tracks of S_TEXT/WEBVTT no codec,
 * so their CodecID is read here (RFC 9559, 5.1.4.1.21). 0 or negative. */
int text_kinds_learn(struct inside *in, struct media_source *s, struct err *err);

#endif
