/* encoder.h - what gopmill knows about each encoder of libavcodec.
 *
 * Static facts: ranges, defaults, which parameters it must not be given by
 * a ladder because the planner owns them, what it costs. No codec library
 * is linked for that; ladder_check_encoders() puts the facts to the test.
 */
#ifndef GOPMILL_LADDERS_ENCODER_H
#define GOPMILL_LADDERS_ENCODER_H

#include "rung.h"

enum { ENCODER_PRESETS_MAX = 14 };

struct encoder {
    const char *name; /* libavcodec's */
    enum codec_id codec;
    const char *params_key; /* the AVOption that `params:` goes into; NULL: takes none */
    int crf_integer;        /* 1: whole numbers only */
    double crf_min, crf_max, crf_default;
    const char *preset_default;
    /* Smallest width and height that it encodes, even. */
    int min_size;
    /* Threads that still give the same bytes twice; SVT-AV1's don't. */
    int max_threads;

    /* Slowest first; ends with a NULL name. ns_per_pixel: of one core for a
     * pixel of one frame, lookahead and all. Resident need: base_bytes +
     * frames_held x bytes of a 4:2:0 frame. Measured for the presets that
     * shipped ladders use, in proportion to them for the rest. */
    struct preset {
        const char *name;
        double ns_per_pixel, frames_held;
    } presets[ENCODER_PRESETS_MAX + 1];
    uint64_t base_bytes;

    /* Parameters that gopmill sets or that would read or write files. */
    const char *const *reserved;

    /* The encoder's own part of rendition.params: everything but `params:`,
     * which `own` (a "key=value:…" string for params_key) is put before. */
    int (*add)(const struct rung *g, struct rendition *r, int64_t bufsize);
};

/* NULL where gopmill doesn't know it. */
const struct encoder *encoder_find(const char *name);
/* The one used where a ladder names none. */
const struct encoder *encoder_default(enum codec_id c);
/* Names of all encoders of `c`, "libaom-av1, libsvtav1", into buf. */
void encoder_names(enum codec_id c, char *buf, size_t len);

const struct preset *encoder_preset(const struct encoder *e, const char *name);

/* Append to r->params. 0 or -ENOMEM. */
int rendition_param_add(struct rendition *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
