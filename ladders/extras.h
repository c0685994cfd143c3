/* extras.h - what a ladder says of a package's extras: subtitles, poster and
 * storyboard. Internal to ladders/. */
#ifndef GOPMILL_LADDERS_EXTRAS_H
#define GOPMILL_LADDERS_EXTRAS_H

#include "rung.h"
#include "yaml_in.h"

/* Read the top's keys of extras into l->extras, which holds the defaults. */
int extras_read(struct yaml_in *in, const yaml_node_t *root, struct ladder *l);

#endif
