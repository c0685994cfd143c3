#include "table.h"
#include "format.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, LAST_MIN = 8 };

struct row {
    char *cells[TABLE_COLUMNS_MAX]; /* NULL: empty */
};

struct table {
    char *headings; /* cut into names at '|' */
    const char *names[TABLE_COLUMNS_MAX];
    int numbers[TABLE_COLUMNS_MAX];
    size_t n_columns;
    struct row *rows;
    size_t n_rows, room, cell;
    int broken; /* -ENOMEM: a row or a cell is missing */
};

struct table *table_new(const char *headings)
{
    struct table *t = calloc(1, sizeof(*t));
    char *rest, *name;

    if (!t || !(t->headings = strdup(headings))) {
        free(t);
        return NULL;
    }
    for (rest = t->headings; (name = strsep(&rest, "|")) && t->n_columns < TABLE_COLUMNS_MAX;) {
        t->numbers[t->n_columns] = *name == '>';
        t->names[t->n_columns++] = name + (*name == '>');
    }
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t c = 0; c < t->n_columns; c++)
            free(t->rows[i].cells[c]);
    free(t->rows);
    free(t->headings);
    free(t);
}

void table_row(struct table *t)
{
    if (t->n_rows == t->room) {
        size_t room = t->room ? 2 * t->room : 32;
        struct row *rows = reallocarray(t->rows, room, sizeof(*rows));

        if (!rows) {
            t->broken = -ENOMEM;
            t->cell = TABLE_COLUMNS_MAX;
            return;
        }
        t->rows = rows;
        t->room = room;
    }
    t->rows[t->n_rows++] = (struct row){ 0 };
    t->cell = 0;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    va_list ap;
    char *text;

    if (t->n_rows == 0 || t->cell >= t->n_columns)
        return;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        t->broken = -ENOMEM;
    else
        t->rows[t->n_rows - 1].cells[t->cell] = text;
    t->cell++;
}

size_t table_rows(const struct table *t)
{
    return t->n_rows;
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
    const char *s = t->rows[row].cells[column];

    return s ? s : "";
}

/* Of the widest cell or the heading; 0 where all cells are empty. */
static int width(const struct table *t, size_t column)
{
    int most = 0;

    for (size_t i = 0; i < t->n_rows; i++) {
        int w = fmt_columns(cell(t, i, column));

        most = w > most ? w : most;
    }
    int heading = fmt_columns(t->names[column]);
    return most == 0 ? 0 : most > heading ? most : heading;
}

/* `limit`: of columns that the text may take. */
static void put(FILE *f, const char *text, int wide, int number, int last, int limit)
{
    int taken = fmt_columns(text), pad = wide > taken ? wide - taken : 0;

    if (last && taken > limit)
        (void)fprintf(f, "%.*s…", fmt_fit(text, limit - 1), text);
    else if (number)
        (void)fprintf(f, "%*s%s", pad, "", text);
    else
        (void)fprintf(f, "%s%*s", text, last ? 0 : pad, "");
    (void)fprintf(f, "%*s", last ? 0 : GAP, "");
}

int table_print(const struct table *t, FILE *f, int columns)
{
    int wide[TABLE_COLUMNS_MAX], before = 0;
    size_t last = 0;

    if (t->broken < 0)
        return t->broken;
    for (size_t c = 0; c < t->n_columns; c++)
        if ((wide[c] = width(t, c)) > 0)
            last = c;
    for (size_t c = 0; c < last; c++)
        before += wide[c] ? wide[c] + GAP : 0;

    int limit = columns <= 0                  ? wide[last]
                : columns - before > LAST_MIN ? columns - before
                                              : LAST_MIN;
    for (size_t i = 0; t->n_rows && i <= t->n_rows; i++) {
        for (size_t c = 0; c <= last; c++)
            if (wide[c])
                put(f, i == 0 ? t->names[c] : cell(t, i - 1, c), wide[c], t->numbers[c], c == last,
                    limit);
        (void)fputc('\n', f);
    }
    return 0;
}

int table_terminal(void)
{
    struct winsize w;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}
