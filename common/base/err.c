#include "err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "redact.h"
#include "utf8.h"

static const char *const class_names[ERR_CLASS_MAX] = {
    [ERR_NONE] = "none",       [ERR_INPUT] = "input",       [ERR_UNSUPPORTED] = "unsupported",
    [ERR_CRASH] = "crash",     [ERR_TIMEOUT] = "timeout",   [ERR_RESOURCE] = "resource",
    [ERR_STORAGE] = "storage", [ERR_INTERNAL] = "internal", [ERR_CANCELED] = "canceled",
    [ERR_USAGE] = "usage",
};

static const unsigned char class_retried[ERR_CLASS_MAX] = {
    [ERR_CRASH] = 1, [ERR_TIMEOUT] = 1, [ERR_RESOURCE] = 1, [ERR_STORAGE] = 1, [ERR_INTERNAL] = 1,
};

/* `text` is never e->text itself: that may be among the arguments. It is
 * mended, since it may quote a child, or a file, and URLs lose their secrets:
 * no caller can forget it. */
static void set_text(struct err *e, char *text)
{
    utf8_mend(text);
    redact_urls(text);
    size_t n = utf8_cut(text, sizeof(e->text) - 1);
    memcpy(e->text, text, n);
    e->text[n] = '\0';
}

int err_set(struct err *e, int r, enum err_class cls, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX + 4]; /* room for the character that is cut off */
    va_list ap;

    assert(r < 0);
    if (!e)
        return r;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    e->cls = cls;
    set_text(e, text);
    return r;
}

int err_prefix(struct err *e, int r, const char *fmt, ...)
{
    char text[2 * ERR_TEXT_MAX];
    va_list ap;

    if (!e)
        return r;
    va_start(ap, fmt);
    int n = vsnprintf(text, ERR_TEXT_MAX, fmt, ap);
    va_end(ap);
    if (n < 0)
        return r;
    size_t at = strlen(text);
    (void)snprintf(text + at, sizeof(text) - at, ": %s", e->text);
    set_text(e, text);
    return r;
}

const char *err_class_name(enum err_class cls)
{
    if ((unsigned)cls >= ERR_CLASS_MAX)
        return class_names[ERR_INTERNAL];
    return class_names[cls];
}

enum err_class err_class_parse(const char *name)
{
    for (int i = 0; name && i < ERR_CLASS_MAX; i++)
        if (strcmp(name, class_names[i]) == 0)
            return (enum err_class)i;
    return ERR_INTERNAL;
}

int err_class_retried(enum err_class cls)
{
    return (unsigned)cls < ERR_CLASS_MAX && class_retried[cls];
}
