#include "text.h"
#include "../common/base/cleanup.h"
#include "../common/base/utf8.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint32_t code_point(const unsigned char *s, size_t n)
{
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (s[i] & 0x3fu);
    return c;
}

static int harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) ||       /* C0, DEL, C1 */
           c == 0x061c || c == 0x200e || c == 0x200f || /* marks of direction */
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

char *text_clean(char *s)
{
    char *in, *out;

    utf8_mend(s);
    for (in = out = s; *in;) {
        size_t n = utf8_char(in, strnlen(in, 4));
        uint32_t c = code_point((unsigned char *)in, n);

        if (harmful(c)) {
            *out++ = c == '\n' || c == '\r' || c == '\t' ? ' ' : '?';
        } else {
            memmove(out, in, n);
            out += n;
        }
        in += n;
    }
    *out = '\0';
    return s;
}

char *text_dup(const char *s)
{
    char *copy = strdup(s ? s : "");

    return copy ? text_clean(copy) : NULL;
}

void text_put(FILE *f, const char *s)
{
    _cleanup_free_ char *copy = text_dup(s);

    if (copy)
        (void)fputs(copy, f);
}
