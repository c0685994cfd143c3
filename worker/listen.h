/* listen.h - the sound of a task's track, decoded from its first packet to
 * its last, given to any number of lines (sound.h). Runs in a child.
 */
#ifndef GOPMILL_WORKER_LISTEN_H
#define GOPMILL_WORKER_LISTEN_H

#include "../common/media/open.h"
#include "../common/wire/task.h"

struct err;
struct inside;
struct sound;

struct listener {
    const struct task *t; /* borrowed */
    struct media_source src;
    AVCodecContext *dec;
    int raw; /* stream that `dec` is for: a track may go on in another one */
    AVPacket *pkt;
    AVFrame *frame;
    int64_t near; /* of the last packet, for timestamps that wrap */
    uint64_t damaged;
    int64_t stamp, since; /* the last frame with a time: it, and the samples from there on */
    int rate;             /* of `since` */
};

/* Where the frame just decoded begins, in the stream's time, in 1/`scale` s. A packet may hold
 * several frames (ADPCM, AMR in 3GP, E-AC-3 of fewer blocks), of which the first has a time: the
 * others follow. INT64_MIN: nothing had a time yet. */
int64_t listener_place(struct listener *l, int scale);

/* On failure, too, to be closed. */
int listener_open(struct listener *l, struct inside *in, const struct task *t, struct err *err);
/* To the end; how often the decoder found damage is in l->damaged then. */
int listener_run(struct listener *l, struct sound *const *sounds, size_t n, struct err *err);
/* The same of a track whose edit list is applied here (listen_edits.c), which listener_run() calls:
 * each edit's samples stand where it says, to the sample; silence lies between. */
int listener_run_edits(struct listener *l, struct sound *const *sounds, size_t n, struct err *err);
void listener_close(struct listener *l); /* leaves it zeroed */

#endif
