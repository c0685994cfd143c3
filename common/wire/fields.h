/* fields.h - reading and writing the fields of messages; private to wire/.
 *
 * Reading is sticky: the first thing that is wrong is remembered with its
 * path ("task.chunk.gops[3]: …"), every later read gives 0 or NULL, and the
 * decoder looks once, at its end, at in_state.r. Loops over counts that
 * in_array() gave are safe after a failure: it gives 0.
 *
 * Writing is sticky too: a value that couldn't be made leaves out.bad set
 * and out_done() NULL.
 */
#ifndef GOPMILL_WIRE_FIELDS_H
#define GOPMILL_WIRE_FIELDS_H

#include "../base/err.h"
#include <jansson.h>
#include <libavutil/rational.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_VERSION = 1,
    WIRE_TEXT_MAX = 8 << 20, /* bytes of a message */
    PARAMS_MAX = 128,
    CHUNKS_MAX = 100000,
    ARRAY_MAX = 1000000, /* runs, GOPs, segments, audio cuts */
    WARNINGS_MAX = 256,
    NAME_LEN_MAX = 64,
    TEXT_LEN_MAX = 4096,
    URL_LEN_MAX = 16384,
};

/* Times and ticks stay so far from the ends of int64_t that their sums and
 * differences don't overflow. */
#define TIME_LIMIT  (INT64_C(1) << 60)
#define SIZE_LIMIT  INT64_MAX
#define COUNT_LIMIT (INT64_C(1) << 40)
#define NO_TIME     INT64_MIN /* null on the wire */

struct in_state {
    int r; /* 0 so far, else what the decoder returns */
    struct err *err;
};

/* A value of a message and how it was reached. Lives on the stack, no longer
 * than `up`. */
struct in {
    struct in_state *state;
    const struct in *up;
    const char *name; /* NULL: element `index` of an array */
    size_t index;
    const json_t *j; /* NULL: not there, or null; borrowed */
};

/* What the characters of a string may be. */
enum in_chars {
    CHARS_TEXT,  /* anything but control characters */
    CHARS_NAME,  /* [a-z0-9-]+ */
    CHARS_TOKEN, /* [A-Za-z0-9_.:-]+ */
    CHARS_HEX,   /* [0-9a-f]+ */
};

/* Remember that `v` is wrong (only the first time). */
void in_fail(const struct in *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void in_oom(const struct in *v);
static inline int in_ok(const struct in *v)
{
    return v->state->r == 0;
}

/* The message itself, which must be an object. `state` is reset. */
struct in in_top(struct in_state *state, const char *name, const json_t *j, struct err *err);
/* Refuses a missing `v` and one above WIRE_VERSION. */
void in_version(const struct in *top);

/* A field (there or not), a field that must be an object, an element. */
struct in in_field(const struct in *o, const char *name);
struct in in_object(const struct in *o, const char *name);
struct in in_at(const struct in *array, size_t i);
void in_is_object(const struct in *v);

/* A field that must be an array of at most `max`; *ret_n is 0 on failure. */
struct in in_array(const struct in *o, const char *name, size_t max, size_t *ret_n);

/* calloc that fails into the state; NULL also for n == 0. */
void *in_calloc(const struct in *v, size_t n, size_t size);

/* Of a value. */
int64_t in_number(const struct in *v, int64_t min, int64_t max);
int64_t in_time_at(const struct in *v); /* null: NO_TIME */
char *in_text_at(const struct in *v, size_t max, enum in_chars chars);

/* Of a field. */
int64_t in_int(const struct in *o, const char *name, int64_t min, int64_t max);
int in_flag(const struct in *o, const char *name); /* 0 or 1 */
int64_t in_time(const struct in *o, const char *name);
int64_t in_time_or_none(const struct in *o, const char *name);
double in_double(const struct in *o, const char *name, double min, double max);
AVRational in_ratio(const struct in *o, const char *name, int min_num);
char *in_text(const struct in *o, const char *name, size_t max, enum in_chars chars);
/* Into a buffer; "" is allowed for CHARS_TEXT only. */
void in_buf(const struct in *o, const char *name, char *ret, size_t size, enum in_chars chars);
/* Index of the field's string in `names`, which has `n`. */
int in_enum(const struct in *o, const char *name, const char *const *names, size_t n);
/* An array of times that rise strictly. */
int64_t *in_rising(const struct in *o, const char *name, size_t *ret_n);
char **in_texts(const struct in *o, const char *name, size_t *ret_n);
void texts_free(char **texts, size_t n);

struct out {
    json_t *o;
    int bad;
};

struct out out_new(void);
/* `value` is taken, also on failure; NULL marks the object as bad. */
void out_put(struct out *o, const char *name, json_t *value);
void out_int(struct out *o, const char *name, int64_t value);
void out_time(struct out *o, const char *name, int64_t value); /* NO_TIME: null */
void out_double(struct out *o, const char *name, double value);
void out_ratio(struct out *o, const char *name, AVRational q);
/* Control characters become spaces and what isn't UTF-8 '?': names and
 * warnings come out of uploads. NULL is left out. */
void out_text(struct out *o, const char *name, const char *text);
void out_texts(struct out *o, const char *name, char *const *texts, size_t n);
void out_times(struct out *o, const char *name, const int64_t *times, size_t n);
/* An array made of to_json(base + i * size). */
void out_list(struct out *o, const char *name, const void *base, size_t n, size_t size,
              json_t *(*to_json)(const void *));
/* A new reference; NULL where anything failed. */
json_t *out_done(struct out *o);
/* The same as compact text, which is the caller's. */
char *out_text_done(struct out *o);

/* Parse a message's text. -EINVAL, ERR_INTERNAL, naming the line. */
int wire_parse(const char *what, const char *text, size_t len, json_t **ret, struct err *err);

#endif
