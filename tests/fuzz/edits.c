/* Edit lists: the reader of their boxes, and the pictures that lists show. */
#include "fuzz.h"
#include "parent.h"

#include "common/base/err.h"
#include "common/child/inside.h"
#include "common/media/edit_boxes.h"
#include "common/media/edit_frames.h"
#include "common/wire/media_info.h"

enum { PICTURES = 50, TICKS_MAX = 1 << 20 };

/* What of a list edits.c would let pass, of few pictures. */
static void show(const struct edit_track *t, uint32_t scale)
{
    struct index_packet packets[PICTURES];
    struct media_index idx = { packets, PICTURES };
    struct edit edits[EDITS_MAX];
    struct media_info info = { .edits = edits, .edit_scale = scale };
    struct edit_frame *f;
    size_t n;
    int64_t at = 0, end;

    info.video.tb = (AVRational){ 1, 12800 };
    for (int i = 0; i < PICTURES; i++)
        packets[i] = (struct index_packet){ .pts = 512 * (i ^ 1), .dts = 512 * i, .duration = 512 };
    for (size_t i = 0; i < t->n_edits; i++) {
        const struct raw_edit *e = &t->edits[i];
        int64_t length = (int64_t)(e->length % TICKS_MAX);
        if (e->media >= 0 && length > 0 && e->rate >= 0)
            edits[info.n_edits++] = (struct edit){ 0, at, length, e->media >> 3, e->rate };
        at += length;
    }
    if (edit_frames(&info, &idx, &f, &n, &end) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        fuzz_must(f[i].packet < PICTURES && (i == 0 || f[i].pts > f[i - 1].pts));
    free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inside in = { data, size };
    struct edit_tracks t;
    struct err err = { 0 };

    if (edit_boxes_read(&in, &t, &err) < 0)
        return 0;
    fuzz_must(t.n_tracks <= EDIT_TRACKS_MAX);
    for (size_t i = 0; i < t.n_tracks; i++) {
        fuzz_must(t.tracks[i].n_edits <= EDITS_MAX);
        if (t.scale >= 1000 && t.scale <= INT32_MAX)
            show(&t.tracks[i], t.scale);
    }
    edit_boxes_release(&t);
    return 0;
}
