#include "cc_screen.h"

#include "../common/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPPER_HALF_Y = 128 }; /* of the 288 that cc_dec places rows in */

/* Every row begins with "{\an7}{\pos(X,Y)}", and with blanks where it is indented: a player
 * centres it. In place. Returns the Y of the lowest row, or -1. */
static int dialogue_unplace(char *s)
{
    static const char corner[] = "{\\an7}";
    char *to = s;
    int lowest = -1, y;

    while (*s) {
        if (sscanf(s, "{\\pos(%*d,%d)}", &y) == 1 && y > lowest)
            lowest = y;
        if (strncmp(s, corner, sizeof(corner) - 1) == 0)
            s += sizeof(corner) - 1;
        else if (s[0] == '\\' && s[1] == 'h')
            s += 2;
        else
            *to++ = *s++;
    }
    *to = '\0';
    return lowest;
}

/* *ret: NULL where nothing is seen. */
static int dialogue_text(const char *dialogue, char **ret, int *ret_top)
{
    _cleanup_free_ char *own = strdup(dialogue);
    char *text = NULL;
    int top, cut;

    if (!own)
        return -ENOMEM;
    int lowest = dialogue_unplace(own);
    if (webvtt_text(own, 0, &text, &top, &cut) < 0)
        return -ENOMEM;
    if (!*text) {
        free(text);
        text = NULL;
    }
    *ret = text;
    *ret_top = lowest >= 0 && lowest < UPPER_HALF_Y;
    return 0;
}

/* The next character that is read, without tags; '\0' at the end. */
static char next_read(const char **s)
{
    while (**s == '<') {
        const char *end = strchr(*s, '>');
        *s = end ? end + 1 : *s + strlen(*s);
    }
    return **s ? *(*s)++ : '\0';
}

static size_t read_length(const char *s)
{
    size_t n = 0;

    while (next_read(&s))
        n++;
    return n;
}

static int count_lines(const char *s)
{
    int n = 1;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

/* Whether `now` is `before` with more behind it. Letters with accents are sent twice: first
 * without, which the second one replaces (CEA-608-E, 6.4.2). */
static int has_grown(const char *before, const char *now)
{
    enum { LETTER_MAX = 4 }; /* bytes of one in UTF-8 */
    size_t length = read_length(before), same = 0;
    const char *a = before, *b = now;

    if (count_lines(before) != count_lines(now) || read_length(now) < length)
        return 0;
    while (same < length && next_read(&a) == next_read(&b))
        same++;
    return same + LETTER_MAX >= length && same > 0;
}

static int take_cue(struct cc_screen *s, int64_t at)
{
    struct cue c = { .start = s->since, .end = at, .text = s->text, .top = s->top };

    s->text = NULL;
    if (c.end <= c.start) {
        free(c.text);
        return 0;
    }
    s->bytes += strlen(c.text);
    if (cues_add(&s->cues, c) == 0)
        return 0;
    free(c.text);
    return -ENOMEM;
}

int cc_screen_show(struct cc_screen *s, const char *dialogue, int whole, int64_t at)
{
    char *text;
    int top, r = dialogue_text(dialogue, &text, &top);

    if (r < 0)
        return r;
    if (!whole && s->text && text && at - s->grown <= s->pause && has_grown(s->text, text)) {
        free(s->text);
    } else {
        if (s->text && text && strcmp(s->text, text) == 0 && s->top == top) {
            free(text);
            return 0;
        }
        r = s->text ? take_cue(s, at) : 0;
        s->since = at;
    }
    s->text = text;
    s->top = top;
    s->grown = at;
    return r;
}

int cc_screen_clear(struct cc_screen *s, int64_t at)
{
    return s->text ? take_cue(s, at) : 0;
}

void cc_screen_release(struct cc_screen *s)
{
    cues_release(&s->cues);
    free(s->text);
    *s = (struct cc_screen){ 0 };
}
