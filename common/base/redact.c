#include "redact.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How long the slash at `s` is: "/", or "\/" as JSON may have it; 0: none. */
static size_t slash(const char *s)
{
    return *s == '/' ? 1 : s[0] == '\\' && s[1] == '/' ? 2 : 0;
}

/* Behind the "://" that begins at `s`, or NULL. */
static char *behind_scheme(char *s)
{
    size_t first = *s == ':' ? slash(s + 1) : 0, second = first ? slash(s + 1 + first) : 0;

    return second ? s + 1 + first + second : NULL;
}

static int in_scheme(char c)
{
    return isalnum((unsigned char)c) || c == '+' || c == '.' || c == '-';
}

/* Where the scheme begins that ends before `colon`. */
static const char *scheme(const char *text, const char *colon)
{
    while (colon > text && in_scheme(colon[-1]))
        colon--;
    return colon;
}

/* Of what '?' and '#' are characters like others. */
static int has_keys(const char *from, const char *colon)
{
    size_t n = (size_t)(colon - from);

    return (n == 2 && strncasecmp(from, "s3", n) == 0) ||
           (n == 4 && strncasecmp(from, "file", n) == 0);
}

/* '\' goes on where it escapes a character in JSON that isn't the text's end. */
static int ends_url(const char *s)
{
    return (unsigned char)*s <= ' ' || *s == 0x7f || strchr("\"<>`", *s) ||
           (*s == '\\' && s[1] != '/' && s[1] != 'u');
}

/* A query may have a "'" in it: only the last one ends what one began. */
static char *url_end(char *s, int quoted)
{
    char *last = NULL;

    for (; !ends_url(s); s++)
        if (quoted && *s == '\'')
            last = s;
    return last ? last : s;
}

static char *first_of(char *s, const char *end, const char *set)
{
    while (s < end && !strchr(set, *s))
        s++;
    return s;
}

/* The "?" or "#" of the URL, as JSON may escape them too, or its end. */
static char *query(char *s, char *end)
{
    for (; s < end; s++)
        if (*s == '?' || *s == '#' || strncasecmp(s, "\\u003f", 6) == 0 ||
            strncmp(s, "\\u0023", 6) == 0)
            return s;
    return end;
}

static void take_out(char *from, const char *to)
{
    memmove(from, to, strlen(to) + 1);
}

/* From behind its "://"; returns where the URL now ends. */
static char *redact(char *url, char *end, int keys)
{
    char *cut = keys ? end : query(url, end), *host = url;

    for (char *c = url, *path = first_of(url, cut, "/\\"); c < path; c++)
        if (*c == '@')
            host = c + 1;
    size_t left = (size_t)(cut - host);
    take_out(cut, end);
    take_out(url, host);
    return url + left;
}

static void redact_from(char *text, int whole)
{
    for (char *s = text; *s; s++) {
        char *url = behind_scheme(s);
        if (!url || s == text || !in_scheme(s[-1]))
            continue;
        const char *from = scheme(text, s);
        char *end = whole ? url + strlen(url) : url_end(url, from > text && from[-1] == '\'');
        s = redact(url, end, has_keys(from, s)) - 1;
        if (whole)
            return;
    }
}

void redact_urls(char *text)
{
    redact_from(text, 0);
}

char *redacted_url(const char *url)
{
    char *copy = strdup(url);

    if (copy)
        redact_from(copy, 1);
    return copy;
}
