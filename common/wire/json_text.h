/* json_text.h - JSON from outside: parsed where it is neither deep nor of too many values.
 *
 * Parsers, printers and walkers of JSON call themselves for each level, on stacks of threads
 * that are small, and each value costs some hundred bytes wherever it takes two in the text.
 * Both are counted in the text before anything is parsed. */
#ifndef GOPMILL_WIRE_JSON_TEXT_H
#define GOPMILL_WIRE_JSON_TEXT_H

#include "../base/err.h"

#include <jansson.h>
#include <stddef.h>

enum {
    JSON_LEVELS_MAX = 32,      /* of arrays and objects in each other */
    JSON_VALUES_MAX = 4 << 20, /* a plan of ten hours at an uneven 60 fps has half */
};

/* How deep arrays and objects lie in each other; 0: there are none. */
size_t json_text_levels(const char *text, size_t len);

/* The array or object that `text` is; the caller owns it. No object has a name twice.
 * -EINVAL with `fault` as the class: no JSON, or more of it than that; -ENOMEM. */
int json_text_read(const char *text, size_t len, enum err_class fault, json_t **ret,
                   struct err *err);

#endif
