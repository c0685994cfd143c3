/* yaml_in.h - a YAML document whose every complaint names file and line.
 *
 * A thin cover over libyaml's document API. Aliases are harmless: the
 * document shares nodes instead of copying them, and readers here descend
 * only as deep as the format goes. Nesting is limited by libyaml.
 */
#ifndef GOPMILL_LADDERS_YAML_IN_H
#define GOPMILL_LADDERS_YAML_IN_H

#include <stdint.h>
#include <yaml.h>

struct err;
struct rung;

struct yaml_in {
    yaml_document_t doc;
    const char *where; /* borrowed */
    struct err *err;   /* borrowed, may be NULL */
    char item[64];     /* "rendition 1080p: ", put before every complaint; may be "" */
};

/* Parse one document whose root is a mapping. On failure nothing is held. */
int yaml_in_open(struct yaml_in *in, const char *text, size_t len, const char *where,
                 struct err *err);
void yaml_in_close(struct yaml_in *in);

yaml_node_t *yaml_in_root(struct yaml_in *in);
yaml_node_t *yaml_in_node(struct yaml_in *in, int id);
int yaml_in_line(const yaml_node_t *n);

/* Set `err` to "where:line: item: text"; returns -EINVAL. */
int yaml_in_fail(struct yaml_in *in, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The text of a scalar, or NULL with the error set. `key` names it. */
const char *yaml_in_scalar(struct yaml_in *in, const yaml_node_t *n, const char *key);

/* The value of `key` in mapping `map`, or NULL. No complaint. */
yaml_node_t *yaml_in_get(struct yaml_in *in, const yaml_node_t *map, const char *key);

/* Each key is a scalar, known and there once. `known` ends with NULL; NULL
 * instead: any key. */
int yaml_in_check_keys(struct yaml_in *in, const yaml_node_t *map, const char *const *known);

#endif
