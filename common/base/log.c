#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "redact.h"
#include "utf8.h"

enum { STR_MAX = 4096 }; /* bytes of one value; the rest is cut */

/* Set before the first thread starts and only read from then on. */
static enum log_format log_format = LOG_FORMAT_TEXT;
static enum log_level log_least = LOG_INFO;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

void log_init(enum log_format format, enum log_level least)
{
    log_format = format;
    log_least = least;
}

/* The value's bytes as valid UTF-8 of bounded length, URLs without secrets; NULL: out of memory. */
static char *clean_str(const char *s)
{
    char *c = s ? strndup(s, utf8_cut(s, STR_MAX)) : strdup("");
    if (c) {
        utf8_mend(c);
        redact_urls(c);
    }
    return c;
}

static void print_text_str(FILE *f, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.:/+%@,~";
    _cleanup_free_ char *c = clean_str(s);

    if (!c)
        return;
    if (c[0] && c[strspn(c, plain)] == '\0') {
        (void)fputs(c, f);
        return;
    }
    (void)fputc('"', f);
    for (const char *p = c; *p; p++) {
        if (*p == '"' || *p == '\\')
            (void)fprintf(f, "\\%c", *p);
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            (void)fprintf(f, "\\x%02x", (unsigned)*p); /* a terminal must not obey a log line */
        else
            (void)fputc(*p, f);
    }
    (void)fputc('"', f);
}

static void print_text(FILE *f, enum log_level level, const char *event, va_list ap)
{
    int64_t now = clock_system.wall_ms(&clock_system);
    time_t s = (time_t)(now / 1000);
    struct tm tm;

    (void)localtime_r(&s, &tm);
    (void)fprintf(f, "%02d:%02d:%02d.%03d %s %s", tm.tm_hour, tm.tm_min, tm.tm_sec,
                  (int)(now % 1000), level_names[level], event);
    for (const struct log_field *fd; (fd = va_arg(ap, const struct log_field *));) {
        (void)fprintf(f, " %s=", fd->key);
        if (fd->type == LOG_F_STR)
            print_text_str(f, fd->str);
        else if (fd->type == LOG_F_INT)
            (void)fprintf(f, "%lld", (long long)fd->num);
        else
            (void)fprintf(f, "%.6g", fd->dbl);
    }
    (void)fputc('\n', f);
}

static json_t *field_json(const struct log_field *fd)
{
    if (fd->type == LOG_F_INT)
        return json_integer(fd->num);
    if (fd->type == LOG_F_DBL) {
        json_t *j = json_real(fd->dbl); /* NULL for what JSON can't hold */
        return j ? j : json_null();
    }
    _cleanup_free_ char *c = clean_str(fd->str);
    return c ? json_string(c) : json_null();
}

static void print_json(FILE *f, enum log_level level, const char *event, va_list ap)
{
    int64_t now = clock_system.wall_ms(&clock_system);
    time_t s = (time_t)(now / 1000);
    struct tm tm;
    char t[64];
    json_t *o = json_object();

    (void)gmtime_r(&s, &tm);
    (void)snprintf(t, sizeof(t), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now % 1000));
    (void)json_object_set_new(o, "t", json_string(t));
    (void)json_object_set_new(o, "level", json_string(level_names[level]));
    (void)json_object_set_new(o, "event", json_string(event));
    for (const struct log_field *fd; (fd = va_arg(ap, const struct log_field *));)
        (void)json_object_set_new(o, fd->key, field_json(fd));
    if (json_dumpf(o, f, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0)
        (void)fputc('\n', f);
    json_decref(o);
}

static void write_line(const char *line, size_t n)
{
    while (n > 0) {
        ssize_t w = write(STDERR_FILENO, line, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return; /* nobody to tell */
        line += w;
        n -= (size_t)w;
    }
}

void log_event_(enum log_level level, const char *event, ...)
{
    char *line = NULL;
    size_t n = 0;
    va_list ap;

    if (level < log_least || level >= LOG_OFF)
        return;
    int saved = errno;
    FILE *f = open_memstream(&line, &n);
    if (f) {
        va_start(ap, event);
        if (log_format == LOG_FORMAT_JSON)
            print_json(f, level, event, ap);
        else
            print_text(f, level, event, ap);
        va_end(ap);
        if (fclose(f) == 0)
            write_line(line, n);
        free(line);
    }
    errno = saved;
}
