/* utf8.h - the little that texts from outside need before they may be cut,
 * logged or used as a key. Pure functions.
 */
#ifndef GOPMILL_BASE_UTF8_H
#define GOPMILL_BASE_UTF8_H

#include <stddef.h>

/* Bytes (1-4) of the character at `s`, of which `len` bytes are there; 0 if
 * it isn't well-formed UTF-8 (overlong forms, surrogates, cut off). */
size_t utf8_char(const char *s, size_t len);

/* 1 if all `len` bytes are well-formed. */
int utf8_valid(const char *s, size_t len);

/* The longest prefix of `s`, at most `max` bytes, that ends between two
 * characters. */
size_t utf8_cut(const char *s, size_t max);

/* Make `s` well-formed in place: each bad byte becomes '?'. */
void utf8_mend(char *s);

#endif
