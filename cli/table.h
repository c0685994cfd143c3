/* table.h - rows under headings, aligned; columns that are empty in every
 * row are left out. Numbers go to the right. On a terminal, the last column
 * is cut to what is left of the line. One thread.
 */
#ifndef GOPMILL_CLI_TABLE_H
#define GOPMILL_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

/* `headings`: separated by '|', at most TABLE_COLUMNS_MAX; one that begins
 * with '>' is of numbers. NULL: out of memory. */
enum { TABLE_COLUMNS_MAX = 16 };
struct table *table_new(const char *headings);
void table_free(struct table *t); /* NULL is a no-op */

/* A new row; then its cells from left to right, copied. A cell beyond the
 * last column is left out. Out of memory is kept until table_print(). */
void table_row(struct table *t);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

size_t table_rows(const struct table *t);

/* `columns`: of the terminal, 0: as wide as it gets. 0 or -ENOMEM. */
int table_print(const struct table *t, FILE *f, int columns);

/* Columns of stdout's terminal; 0 where it is none. */
int table_terminal(void);

#endif
