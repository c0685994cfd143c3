/* log.h - one event a line, as JSON or as text.
 *
 * A line has a level, an event name ("task.done") and named fields; text
 * goes to stderr like `12:03:04.123 info task.done job=… task=…`, JSON like
 * `{"t":"…Z","level":"info","event":"task.done","job":"…"}`. Lines are
 * written by one write(2), so that lines of several threads don't mix.
 * Any thread may log; log_init() comes before the first thread.
 */
#ifndef GOPMILL_BASE_LOG_H
#define GOPMILL_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Process-wide; before any thread is started. */
void log_init(enum log_format format, enum log_level least);

/* Fields come in pairs made by the macros below and end with LOG_END.
 * Values are copied; strings are escaped; a NULL string is logged as "". */
struct log_field {
    const char *key;
    enum { LOG_F_STR, LOG_F_INT, LOG_F_DBL } type;
    const char *str;
    int64_t num;
    double dbl;
};
#define LSTR(k, v) (&(const struct log_field){ .key = (k), .type = LOG_F_STR, .str = (v) })
#define LINT(k, v) (&(const struct log_field){ .key = (k), .type = LOG_F_INT, .num = (v) })
#define LDBL(k, v) (&(const struct log_field){ .key = (k), .type = LOG_F_DBL, .dbl = (v) })

/* log_event(LOG_INFO, "task.done", LSTR("job", id), LINT("frames", n)); */
#define log_event(level, event, ...) \
    log_event_((level), (event), ##__VA_ARGS__, (const struct log_field *)0)
void log_event_(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
