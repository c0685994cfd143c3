/* canvas.h - lines on stderr that are drawn again and again in the same
 * place. Lines are cut to the terminal: one that wraps would be drawn
 * elsewhere every time. One thread.
 */
#ifndef GOPMILL_CLI_CANVAS_H
#define GOPMILL_CLI_CANVAS_H

/* The bytes that give the cursor back, for a signal's last moment. */
#define CANVAS_CURSOR_ON "\033[?25h"

struct canvas {
    unsigned lines; /* drawn below the cursor's home */
    unsigned rows, columns;
};

void canvas_begin(struct canvas *c); /* a new picture, over the old one */
void canvas_line(struct canvas *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void canvas_bar(struct canvas *c, const char *name, double part); /* part in [0, 1] */
void canvas_show(struct canvas *c); /* and what is left of the old one goes */

/* Back to where the picture began, so that what is printed next takes its
 * place, a line at a time. */
void canvas_home(struct canvas *c);

/* Clear what is drawn, give the cursor back. */
void canvas_end(struct canvas *c);

#endif
