/* Settings of WebVTT's cues: what is passed on of them. */
#include "webvtt.h"

#include <string.h>

/* What may stand behind a name: one of `words`, or a number (with `signs` in it) that a comma and
 * one of `after` may follow. */
struct setting {
    const char *name;
    const char *words[5];
    const char *signs;
    const char *after[4];
};

static const struct setting known[] = {
    {"vertical",  { "rl", "lr" },                                NULL,  { NULL }                               },
    { "line",     { "auto" },                                    "-%.", { "start", "center", "end" }           },
    { "position", { "auto" },                                    "%.",  { "line-left", "center", "line-right" }},
    { "size",     { NULL },                                      "%.",  { NULL }                               },
    { "align",    { "start", "center", "end", "left", "right" }, NULL,  { NULL }                               },
};

static int is_one_of(const char *const *list, size_t max, const char *s, size_t n)
{
    for (size_t i = 0; i < max && list[i]; i++)
        if (strlen(list[i]) == n && memcmp(list[i], s, n) == 0)
            return 1;
    return 0;
}

/* "-1", "42.5%" */
static int is_number(const char *s, size_t n, const char *signs)
{
    size_t digits = 0;

    for (size_t i = 0; i < n; i++) {
        int digit = s[i] >= '0' && s[i] <= '9';
        digits += (size_t)digit;
        if (!digit && (!strchr(signs, s[i]) || (s[i] == '-' && i > 0) ||
                       (s[i] == '%' && i + 1 < n) || (s[i] == '.' && digits == 0)))
            return 0;
    }
    return digits > 0 && digits < 12;
}

static int is_value(const struct setting *k, const char *s, size_t n)
{
    const char *comma = memchr(s, ',', n);
    size_t head = comma ? (size_t)(comma - s) : n;

    if (is_one_of(k->words, 5, s, n))
        return 1;
    if (!k->signs || !is_number(s, head, k->signs))
        return 0;
    return !comma || is_one_of(k->after, 4, comma + 1, n - head - 1);
}

static const struct setting *setting_find(const char *s, size_t n, size_t *ret_name)
{
    const char *colon = memchr(s, ':', n);
    size_t name = colon ? (size_t)(colon - s) : n;

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (colon && strlen(known[i].name) == name && memcmp(known[i].name, s, name) == 0 &&
            is_value(&known[i], colon + 1, n - name - 1)) {
            *ret_name = name;
            return &known[i];
        }
    return NULL;
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\0';
}

void webvtt_settings(const char *s, size_t n, char ret[static CUE_SETTINGS_MAX])
{
    unsigned seen = 0;
    size_t at = 0, name = 0;

    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && !is_space(s[end]))
            end++;
        const struct setting *k = setting_find(s + i, end - i, &name);
        size_t len = end - i, gap = at > 0;
        if (k && !(seen & 1u << (k - known)) && at + gap + len < CUE_SETTINGS_MAX) {
            seen |= 1u << (k - known);
            if (gap)
                ret[at++] = ' ';
            memcpy(ret + at, s + i, len);
            at += len;
        }
        i = end + 1;
    }
    ret[at] = '\0';
}
