/* picture_times.h - when the pictures that a decoder gives are shown, where not
 * each of them has a stamp.
 *
 * Pictures come in the order they are shown. Those without a stamp lie evenly
 * between the stamps around them; behind the last one they follow at the pace of
 * the ones before, or at the stream's rate.
 */
#ifndef GOPMILL_VERIFY_PICTURE_TIMES_H
#define GOPMILL_VERIFY_PICTURE_TIMES_H

#include <libavutil/rational.h>
#include <stddef.h>
#include <stdint.h>

struct AVFrame;
struct source;

struct picture_time {
    int64_t at; /* AV_NOPTS_VALUE: not known yet */
    int key, damaged;
};

struct picture_times {   /* {0} is an empty one */
    int stamps_only;     /* what a decoder guesses isn't wanted */
    AVRational tb, rate; /* rate: of the stream as it says, or 0/1 */
    struct picture_time *list;
    size_t n, room;
    int64_t *damage; /* times of packets that were refused */
    size_t n_damage, damage_room;
};

/* 0 or -ENOMEM. */
int picture_times_add(struct picture_times *t, const struct AVFrame *f, int damaged);
int picture_times_damage(struct picture_times *t, int64_t at);
/* Sets pictures, n and slack_s of `s`. 0 or -ENOMEM. */
int picture_times_settle(struct picture_times *t, struct source *s);
void picture_times_release(struct picture_times *t);

#endif
