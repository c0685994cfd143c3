/* text.h - words of others made fit for a terminal. */
#ifndef GOPMILL_CLI_TEXT_H
#define GOPMILL_CLI_TEXT_H

#include <stdio.h>

/* In place: what would move a cursor, change a colour or turn the direction
 * of writing becomes '?', a line break or tab a blank, and a byte that is no
 * UTF-8 a '?'. Returns `s`. */
char *text_clean(char *s);

/* A copy of `s` so cleaned; "" for NULL. NULL: out of memory. */
char *text_dup(const char *s);

/* Writes `s` so cleaned; NULL and what memory is lacking for: nothing. */
void text_put(FILE *f, const char *s);

#endif
