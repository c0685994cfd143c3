/* err.h - why something failed, in words for a person and a class for
 * the scheduler.
 *
 * Functions return 0 or a negative errno. Where a person needs the reason,
 * the last parameter is a `struct err *`: borrowed, may be NULL, written
 * only on failure. The text says what, where, and the limit; it never ends
 * in a period or a newline and never holds a secret.
 */
#ifndef GOPMILL_BASE_ERR_H
#define GOPMILL_BASE_ERR_H

#include <stddef.h>

/* What a scheduler may do about an error; docs/architecture.md has the
 * retry rule of each. The names on the wire are err_class_name(). */
enum err_class {
    ERR_NONE,
    ERR_INPUT,       /* the upload can't be used: never retried */
    ERR_UNSUPPORTED, /* this build can't do that: never retried */
    ERR_CRASH,       /* a child died by a signal: retried */
    ERR_TIMEOUT,     /* no progress for too long: retried */
    ERR_RESOURCE,    /* memory, disk or processes ran short: retried */
    ERR_STORAGE,     /* a store or a file can't be read or written: retried */
    ERR_INTERNAL,    /* our bug, or a promise broken by a library: retried */
    ERR_CANCELED,    /* somebody asked for it: never retried */
    ERR_USAGE,       /* the caller's words are wrong: never retried */
    ERR_CLASS_MAX
};

enum { ERR_TEXT_MAX = 768 };

struct err {
    enum err_class cls;
    char text[ERR_TEXT_MAX]; /* UTF-8, cut at a character if too long */
};

/* Write class and text into `e` (NULL is a no-op) and return `r`, so that
 * a failing path is one line: `return err_set(err, -EINVAL, ERR_INPUT, …)`.
 * `r` must be negative. */
int err_set(struct err *e, int r, enum err_class cls, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put `fmt: ` before the text that `e` already holds. Returns `r`. */
int err_prefix(struct err *e, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "input", "crash", …; never NULL. */
const char *err_class_name(enum err_class cls);

/* The class of that name, or ERR_INTERNAL for one that nobody knows: an
 * unknown reason must not be taken for a harmless one. */
enum err_class err_class_parse(const char *name);

/* Whether a failed attempt of this class is worth another one. */
int err_class_retried(enum err_class cls);

#endif
