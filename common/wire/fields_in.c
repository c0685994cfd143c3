#include "fields.h"

#include "json_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Write the path of `v` into `buf`; returns the length so far. */
static size_t path_write(const struct in *v, char *buf, size_t size)
{
    size_t at = v->up ? path_write(v->up, buf, size) : 0;
    int n;

    if (v->name)
        n = snprintf(buf + at, size - at, "%s%s", v->up ? "." : "", v->name);
    else
        n = snprintf(buf + at, size - at, "[%zu]", v->index);
    if (n < 0)
        return at;
    at += (size_t)n;
    return at < size ? at : size - 1;
}

void in_fail(const struct in *v, const char *fmt, ...)
{
    char path[256] = "", text[256];
    va_list ap;

    if (v->state->r < 0)
        return;
    path_write(v, path, sizeof(path));
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    v->state->r = err_set(v->state->err, -EINVAL, ERR_INTERNAL, "%s: %s", path, text);
}

void in_oom(const struct in *v)
{
    if (v->state->r == 0)
        v->state->r = err_set(v->state->err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

void in_is_object(const struct in *v)
{
    if (!v->j)
        in_fail(v, "is missing");
    else if (!json_is_object(v->j))
        in_fail(v, "must be an object");
}

struct in in_top(struct in_state *state, const char *name, const json_t *j, struct err *err)
{
    struct in v = { .state = state, .name = name, .j = j };

    state->r = 0;
    state->err = err;
    in_is_object(&v);
    return v;
}

void in_version(const struct in *top)
{
    struct in v = in_field(top, "v");

    if (in_ok(top) && json_is_integer(v.j) && json_integer_value(v.j) > WIRE_VERSION)
        in_fail(&v,
                "version %" JSON_INTEGER_FORMAT " is newer than this program, which knows up to %d",
                json_integer_value(v.j), WIRE_VERSION);
    in_number(&v, 1, WIRE_VERSION);
}

static struct in in_child(const struct in *up, const char *name, size_t index, const json_t *j)
{
    struct in v = { .state = up->state, .up = up, .name = name, .index = index };

    if (in_ok(up) && !json_is_null(j))
        v.j = j;
    return v;
}

struct in in_field(const struct in *o, const char *name)
{
    return in_child(o, name, 0, json_object_get(o->j, name));
}

struct in in_object(const struct in *o, const char *name)
{
    struct in v = in_field(o, name);

    in_is_object(&v);
    return v;
}

struct in in_at(const struct in *array, size_t i)
{
    return in_child(array, NULL, i, json_array_get(array->j, i));
}

struct in in_array(const struct in *o, const char *name, size_t max, size_t *ret_n)
{
    struct in v = in_field(o, name);

    *ret_n = 0;
    if (!v.j)
        in_fail(&v, "is missing");
    else if (!json_is_array(v.j))
        in_fail(&v, "must be an array");
    else if (json_array_size(v.j) > max)
        in_fail(&v, "has %zu entries, at most %zu are allowed", json_array_size(v.j), max);
    if (in_ok(o))
        *ret_n = json_array_size(v.j);
    return v;
}

void *in_calloc(const struct in *v, size_t n, size_t size)
{
    void *p;

    if (!in_ok(v) || n == 0)
        return NULL;
    p = calloc(n, size);
    if (!p)
        in_oom(v);
    return p;
}

int64_t in_number(const struct in *v, int64_t min, int64_t max)
{
    int64_t n;

    if (!v->j)
        in_fail(v, "is missing");
    else if (!json_is_integer(v->j))
        in_fail(v, "must be an integer");
    if (!in_ok(v))
        return 0;
    n = json_integer_value(v->j);
    if (n < min || n > max) {
        in_fail(v, "%" PRId64 " is outside %" PRId64 " to %" PRId64, n, min, max);
        return 0;
    }
    return n;
}

int64_t in_time_at(const struct in *v)
{
    return v->j ? in_number(v, -TIME_LIMIT, TIME_LIMIT) : NO_TIME;
}

int64_t in_int(const struct in *o, const char *name, int64_t min, int64_t max)
{
    struct in v = in_field(o, name);

    return in_number(&v, min, max);
}

int in_flag(const struct in *o, const char *name)
{
    return (int)in_int(o, name, 0, 1);
}

int64_t in_time(const struct in *o, const char *name)
{
    return in_int(o, name, -TIME_LIMIT, TIME_LIMIT);
}

int64_t in_time_or_none(const struct in *o, const char *name)
{
    struct in v = in_field(o, name);

    return in_ok(o) ? in_time_at(&v) : 0;
}

double in_double(const struct in *o, const char *name, double min, double max)
{
    struct in v = in_field(o, name);
    double d;

    if (!v.j)
        in_fail(&v, "is missing");
    else if (!json_is_number(v.j))
        in_fail(&v, "must be a number");
    if (!in_ok(o))
        return 0;
    d = json_number_value(v.j);
    if (!(d >= min && d <= max)) {
        in_fail(&v, "%g is outside %g to %g", d, min, max);
        return 0;
    }
    return d;
}

AVRational in_ratio(const struct in *o, const char *name, int min_num)
{
    size_t n;
    struct in v = in_array(o, name, 2, &n);
    AVRational q = { 0, 1 };

    if (n != 2) {
        in_fail(&v, "must be [numerator, denominator]");
        return q;
    }
    struct in num = in_at(&v, 0), den = in_at(&v, 1);
    q.num = (int)in_number(&num, min_num, INT32_MAX);
    q.den = (int)in_number(&den, 1, INT32_MAX);
    if (!in_ok(o))
        q = (AVRational){ 0, 1 };
    return q;
}

static int char_allowed(unsigned char c, enum in_chars chars)
{
    int digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';

    switch (chars) {
    case CHARS_NAME:
        return digit || lower || c == '-';
    case CHARS_TOKEN:
        return digit || lower || upper || (c && strchr("_.:-", c));
    case CHARS_HEX:
        return digit || (c >= 'a' && c <= 'f');
    case CHARS_TEXT:
        break;
    }
    return c >= ' ' && c != 127;
}

/* The checked string of a value, borrowed from it; NULL on failure. */
static const char *in_checked(const struct in *v, size_t max, enum in_chars chars)
{
    static const char *const what[] = { "no control characters", "a-z, 0-9 and - only",
                                        "letters, digits and _.:- only", "0-9 and a-f only" };

    if (!v->j)
        in_fail(v, "is missing");
    else if (!json_is_string(v->j))
        in_fail(v, "must be a string");
    if (!in_ok(v))
        return NULL;

    const char *s = json_string_value(v->j);
    size_t len = json_string_length(v->j);
    if (len > max)
        in_fail(v, "is %zu bytes long, at most %zu are allowed", len, max);
    else if (len == 0 && chars != CHARS_TEXT)
        in_fail(v, "must not be empty");
    for (size_t i = 0; in_ok(v) && i < len; i++)
        if (!char_allowed((unsigned char)s[i], chars))
            in_fail(v, "must have %s", what[chars]);
    return in_ok(v) ? s : NULL;
}

char *in_text_at(const struct in *v, size_t max, enum in_chars chars)
{
    const char *s = in_checked(v, max, chars);
    char *copy = s ? strdup(s) : NULL;

    if (s && !copy)
        in_oom(v);
    return copy;
}

char *in_text(const struct in *o, const char *name, size_t max, enum in_chars chars)
{
    struct in v = in_field(o, name);

    return in_text_at(&v, max, chars);
}

void in_buf(const struct in *o, const char *name, char *ret, size_t size, enum in_chars chars)
{
    struct in v = in_field(o, name);
    const char *s = in_checked(&v, size - 1, chars);

    if (s)
        memcpy(ret, s, strlen(s) + 1);
}

int in_enum(const struct in *o, const char *name, const char *const *names, size_t n)
{
    struct in v = in_field(o, name);
    const char *s = in_checked(&v, NAME_LEN_MAX, CHARS_TEXT);

    for (size_t i = 0; s && i < n; i++)
        if (strcmp(s, names[i]) == 0)
            return (int)i;
    in_fail(&v, "'%.64s' is not known here", s ? s : "");
    return 0;
}

int64_t *in_rising(const struct in *o, const char *name, size_t *ret_n)
{
    size_t n;
    struct in v = in_array(o, name, ARRAY_MAX, &n);
    int64_t *times = in_calloc(&v, n, sizeof(*times));

    *ret_n = 0;
    for (size_t i = 0; times && i < n && in_ok(o); i++) {
        struct in e = in_at(&v, i);
        times[i] = in_number(&e, -TIME_LIMIT, TIME_LIMIT);
        if (i > 0 && times[i] <= times[i - 1])
            in_fail(&e, "%" PRId64 " does not come after %" PRId64, times[i], times[i - 1]);
    }
    if (!in_ok(o)) {
        free(times);
        return NULL;
    }
    *ret_n = n;
    return times;
}

char **in_texts(const struct in *o, const char *name, size_t *ret_n)
{
    size_t n;
    struct in v = in_array(o, name, WARNINGS_MAX, &n);
    char **texts = in_calloc(&v, n, sizeof(*texts));

    *ret_n = 0;
    for (size_t i = 0; texts && i < n; i++) {
        struct in e = in_at(&v, i);
        texts[i] = in_text_at(&e, TEXT_LEN_MAX, CHARS_TEXT);
    }
    if (!in_ok(o)) {
        texts_free(texts, n);
        return NULL;
    }
    *ret_n = n;
    return texts;
}

void texts_free(char **texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
}

int wire_parse(const char *what, const char *text, size_t len, json_t **ret, struct err *err)
{
    struct err why = { 0 };

    if (len > WIRE_TEXT_MAX)
        return err_set(err, -EINVAL, ERR_INTERNAL, "%s: is %zu bytes long, at most %d are allowed",
                       what, len, WIRE_TEXT_MAX);
    int r = json_text_read(text, len, ERR_INTERNAL, ret, &why);
    return r < 0 ? err_set(err, r, why.cls, "%s: %s", what, why.text) : 0;
}
