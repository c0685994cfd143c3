#include "json_text.h"

#include <errno.h>

struct count {
    size_t levels, deepest, values;
};

/* Behind the string that begins before `at`. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
    for (; at < len && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < len ? at + 1 : len;
}

/* Of any text: what isn't JSON is the parser's to say. A value ends at a comma or with what
 * it is in, so that none is left out. */
static struct count count_values(const char *text, size_t len)
{
    struct count c = { .values = 1 };

    for (size_t i = 0; i < len;) {
        char x = text[i++];
        if (x == '"')
            i = skip_string(text, len, i);
        c.values += x == ',' || x == '[' || x == '{';
        c.levels += x == '[' || x == '{';
        if ((x == ']' || x == '}') && c.levels > 0)
            c.levels--;
        if (c.levels > c.deepest)
            c.deepest = c.levels;
    }
    return c;
}

size_t json_text_levels(const char *text, size_t len)
{
    return count_values(text, len).deepest;
}

int json_text_read(const char *text, size_t len, enum err_class fault, json_t **ret,
                   struct err *err)
{
    struct count c = count_values(text, len);
    json_error_t why;

    *ret = NULL;
    if (c.deepest > JSON_LEVELS_MAX)
        return err_set(err, -EINVAL, fault, "%zu levels of arrays and objects, at most %d are read",
                       c.deepest, JSON_LEVELS_MAX);
    if (c.values > JSON_VALUES_MAX)
        return err_set(err, -EINVAL, fault, "%zu values, at most %d are read", c.values,
                       JSON_VALUES_MAX);
    *ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (*ret)
        return 0;
    if (json_error_code(&why) == json_error_out_of_memory)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "no memory for JSON of %zu bytes", len);
    return err_set(err, -EINVAL, fault, "not JSON: line %d, column %d: %s", why.line, why.column,
                   why.text);
}
