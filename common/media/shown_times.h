/* shown_times.h - when the pictures of a stream are shown, those of which the source says so and
 * those whose time is made of the others' (picture_times.h): as the index has them, for who reads
 * all packets of H.264 or HEVC in MPEG-TS or PS once more.
 *
 * Runs in a child.
 */
#ifndef GOPMILL_MEDIA_SHOWN_TIMES_H
#define GOPMILL_MEDIA_SHOWN_TIMES_H

#include <libavformat/avformat.h>

struct shown_times;

enum { SHOWN_TIMES_MAX = 10000000 }; /* pictures: two days */

/* `st` is borrowed for its life. NULL: out of memory. */
struct shown_times *shown_times_new(const AVStream *st);
void shown_times_free(struct shown_times *t); /* NULL is a no-op */

/* The next packet, with its times on the plan's line or AV_NOPTS_VALUE. 0, -E2BIG, -ENOMEM. */
int shown_times_add(struct shown_times *t, const AVPacket *pkt, int64_t pts, int64_t dts);

/* After the last one. 0 or -ENOMEM. */
int shown_times_settle(struct shown_times *t);

/* Of a packet by its number, from 0; of a second field that of its first one. AV_NOPTS_VALUE:
 * nobody knows. */
int64_t shown_times_of(const struct shown_times *t, size_t packet);

#endif
