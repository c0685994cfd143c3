/* joined.h - streams of an MPEG-TS that go on in another one: a programme whose streams move to
 * other PIDs, recordings with other PIDs end to end.
 *
 * The rule (docs/inputs.md): a stream goes on in a later one of its kind that no table names
 * together with it, and beside which it has no packet. It begins there at a keyframe. Sound may
 * have another codec then; of pictures of two codecs the fewer count for nothing.
 */
#ifndef GOPMILL_VERIFY_JOINED_H
#define GOPMILL_VERIFY_JOINED_H

#include <libavcodec/packet.h>
#include <libavformat/avformat.h>

enum { JOINED_STREAMS_MAX = 64, JOINED_PARTS_MAX = 256 };

struct joined_part { /* from that byte on, `whole` is in the packets of `stream` */
    int whole, stream;
    int64_t from;
};

struct joined {
    int whole[JOINED_STREAMS_MAX]; /* of each stream, plus 1: what it is part of; 0: of itself; -1:
                                    * of nothing */
    struct joined_part parts[JOINED_PARTS_MAX]; /* by rising `from` */
    size_t n;
};

/* All packets of a source, to be shown one after the other. */
struct joined_scan;
struct joined_scan *joined_scan_new(void);
void joined_scan_free(struct joined_scan *s); /* NULL is a no-op */
/* 0 or -ENOMEM. */
int joined_scan_packet(struct joined_scan *s, const AVFormatContext *f, const AVPacket *pkt);
void joined_scan_end(struct joined_scan *s, const AVFormatContext *f, struct joined *ret);

/* Whether a stream is part of another one, or of nothing. */
int joined_is_part(const struct joined *j, unsigned stream);
/* Let the demuxer give what is part of `stream`, too. */
void joined_want(const struct joined *j, AVFormatContext *f, int stream);

/* Reading: as many times as a stream has parts, since the last packets of one come at the end of
 * the file. Zeroed at first. */
struct joined_reader {
    size_t pass;
    int stream; /* that the last packet came in */
    int64_t pos[JOINED_STREAMS_MAX];
};

/* av_read_frame(), the packets of each stream in order. */
int joined_read(const struct joined *j, struct joined_reader *r, AVFormatContext *f, AVPacket *pkt);

#endif
