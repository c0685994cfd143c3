/* format.h - numbers as people read them. Each writes into `buf` (made for
 * it: FMT_MAX bytes), cuts what doesn't fit, and returns `buf`. */
#ifndef GOPMILL_CLI_FORMAT_H
#define GOPMILL_CLI_FORMAT_H

#include <libavutil/rational.h>
#include <stdint.h>

enum { FMT_MAX = 48 };

const char *fmt_bytes(char buf[FMT_MAX], uint64_t n);      /* "812 B", "1.4 MB", "23.1 GB" */
const char *fmt_bit_rate(char buf[FMT_MAX], double bit_s); /* "96 kb/s", "4.21 Mb/s" */
const char *fmt_seconds(char buf[FMT_MAX], double s);    /* "0.42 s", "12.3 s", "3:07", "2:01:30" */
const char *fmt_rate(char buf[FMT_MAX], AVRational fps); /* "25", "23.976" */
const char *fmt_rational(char buf[FMT_MAX], AVRational q); /* "30000/1001" */

/* Columns that `text` takes, and how many bytes fit into `columns`: a
 * character of UTF-8 is taken as one column. */
int fmt_columns(const char *text);
int fmt_fit(const char *text, int columns);

#endif
