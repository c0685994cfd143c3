/* become.h - going on as another program of this installation. */
#ifndef GOPMILL_CLI_BECOME_H
#define GOPMILL_CLI_BECOME_H

/* Become the first of `places` (relative to the folder that this program lies
 * in; NULL-terminated) that there is, or `name` in the folder for helpers.
 * Returns only where that can't be done: said already, CLI_FAILED. */
int become(const char *const *places, const char *name, char **argv);

#endif
