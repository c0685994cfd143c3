#include "canvas.h"
#include "format.h"
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CURSOR_OFF  "\033[?25l"
#define CLEAR_LINE  "\033[K"
#define CLEAR_BELOW "\033[J"

enum {
    COLUMNS_MAX = 200,
    BAR_MAX = 40,
    NAME_COLUMNS = 20,
};

static void look_at_size(struct canvas *c)
{
    struct winsize w;

    c->rows = 24;
    c->columns = 80;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col) {
        c->rows = w.ws_row;
        c->columns = w.ws_col < COLUMNS_MAX ? w.ws_col : COLUMNS_MAX;
    }
}

void canvas_home(struct canvas *c)
{
    if (c->lines)
        (void)fprintf(stderr, "\033[%uA\r", c->lines);
    c->lines = 0;
}

void canvas_begin(struct canvas *c)
{
    look_at_size(c);
    (void)fputs(CURSOR_OFF, stderr);
    canvas_home(c);
}

void canvas_line(struct canvas *c, const char *fmt, ...)
{
    char line[4 * COLUMNS_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "%.*s" CLEAR_LINE "\n", fmt_fit(line, (int)c->columns - 1), line);
    c->lines++;
}

void canvas_bar(struct canvas *c, const char *name, double part)
{
    char bar[BAR_MAX + 1];
    int width = (int)c->columns - NAME_COLUMNS - 12;
    int fit = fmt_fit(name, NAME_COLUMNS);

    width = width > BAR_MAX ? BAR_MAX : width < 4 ? 4 : width;
    int full = (int)(part * width);
    for (int i = 0; i < width; i++)
        bar[i] = i < full ? '#' : '.';
    bar[width] = '\0';
    int columns = fmt_columns(name);
    canvas_line(c, "  %.*s%*s [%s] %3d%%", fit, name,
                columns < NAME_COLUMNS ? NAME_COLUMNS - columns : 0, "", bar, (int)(part * 100));
}

void canvas_show(struct canvas *c)
{
    (void)c;
    (void)fputs(CLEAR_BELOW, stderr);
    (void)fflush(stderr);
}

void canvas_end(struct canvas *c)
{
    canvas_home(c);
    (void)fputs(CLEAR_BELOW CANVAS_CURSOR_ON, stderr);
    (void)fflush(stderr);
}
