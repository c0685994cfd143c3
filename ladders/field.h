/* field.h - the keys of a rendition: types, ranges, checks. */
#ifndef GOPMILL_LADDERS_FIELD_H
#define GOPMILL_LADDERS_FIELD_H

#include "rung.h"
#include "yaml_in.h"

/* Read the keys of `map` into *g, whose codec is set and which holds the
 * defaults. `as_defaults`: name, codec and size aren't allowed. */
int fields_read(struct yaml_in *in, const yaml_node_t *map, int as_defaults, struct rung *g);

/* What no key can tell alone: what is missing, what an encoder can't do.
 * Fills in the name where none was given. */
int fields_finish(struct yaml_in *in, const yaml_node_t *map, struct rung *g);

/* A decimal number in least..most; `unit` (" s") follows limits in errors. */
int field_number(struct yaml_in *in, const yaml_node_t *n, const char *key, double least,
                 double most, const char *unit, double *ret);

/* Text to number without the locale: "21", "22.5". 0 or -EINVAL. */
int field_decimal(const char *s, double *ret);

#endif
