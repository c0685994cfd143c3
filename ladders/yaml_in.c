#include "yaml_in.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../common/base/err.h"

enum { WORD_MAX = 64, BRACKETS_MAX = 1000 };

int yaml_in_fail(struct yaml_in *in, int line, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(in->err, -EINVAL, ERR_USAGE, "%s:%d: %s%s", in->where, line, in->item, text);
}

static int syntax_fail(struct yaml_in *in, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(in->err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", in->where);
    const char *problem = p->problem ? p->problem : "this is not YAML";
    if (p->error == YAML_READER_ERROR)
        return err_set(in->err, -EINVAL, ERR_USAGE, "%s: not YAML: %s at byte %zu", in->where,
                       problem, p->problem_offset);
    int line = (int)p->problem_mark.line + 1;
    if (p->context && p->context_mark.line != p->problem_mark.line)
        return yaml_in_fail(in, line, "not YAML: %s (%s from line %zu)", problem, p->context,
                            p->context_mark.line + 1);
    return yaml_in_fail(in, line, "not YAML: %s", problem);
}

/* The stream must end after the document that was loaded. */
static int check_single(struct yaml_in *in, yaml_parser_t *p)
{
    yaml_document_t next;
    if (!yaml_parser_load(p, &next))
        return syntax_fail(in, p);
    const yaml_node_t *n = yaml_document_get_root_node(&next);
    int r = n ? yaml_in_fail(in, yaml_in_line(n), "a second document; a ladder is one") : 0;
    yaml_document_delete(&next);
    return r;
}

static int open_with(struct yaml_in *in, yaml_parser_t *p)
{
    if (!yaml_parser_load(p, &in->doc))
        return syntax_fail(in, p);
    const yaml_node_t *root = yaml_document_get_root_node(&in->doc);
    int r = 0;
    if (!root)
        r = yaml_in_fail(in, 1,
                         "empty; a ladder needs at least one rendition under video: or audio:");
    else if (root->type != YAML_MAPPING_NODE)
        r = yaml_in_fail(in, yaml_in_line(root),
                         "not a ladder: expected keys like name: and video:");
    else
        r = check_single(in, p);
    if (r < 0)
        yaml_document_delete(&in->doc);
    return r;
}

/* libyaml's time grows with the square of the depth of [ and {. */
static int check_brackets(struct yaml_in *in, const char *text, size_t len)
{
    unsigned n = 0;
    int line = 1;
    for (size_t i = 0; i < len; i++) {
        line += text[i] == '\n';
        if ((text[i] == '[' || text[i] == '{') && ++n > BRACKETS_MAX)
            return yaml_in_fail(in, line, "more than %d brackets; a ladder has no use for them",
                                BRACKETS_MAX);
    }
    return 0;
}

int yaml_in_open(struct yaml_in *in, const char *text, size_t len, const char *where,
                 struct err *err)
{
    *in = (struct yaml_in){ .where = where, .err = err };
    int r = check_brackets(in, text, len);
    if (r < 0)
        return r;
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "%s: out of memory", where);
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
    r = open_with(in, &p);
    yaml_parser_delete(&p);
    return r;
}

void yaml_in_close(struct yaml_in *in)
{
    yaml_document_delete(&in->doc);
}

yaml_node_t *yaml_in_root(struct yaml_in *in)
{
    return yaml_document_get_root_node(&in->doc);
}

yaml_node_t *yaml_in_node(struct yaml_in *in, int id)
{
    return yaml_document_get_node(&in->doc, id);
}

int yaml_in_line(const yaml_node_t *n)
{
    return (int)n->start_mark.line + 1;
}

const char *yaml_in_scalar(struct yaml_in *in, const yaml_node_t *n, const char *key)
{
    if (n->type != YAML_SCALAR_NODE) {
        (void)yaml_in_fail(in, yaml_in_line(n), "%s is a %s where a single value belongs", key,
                           n->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
        return NULL;
    }
    const char *s = (const char *)n->data.scalar.value;
    if (strlen(s) != n->data.scalar.length) {
        (void)yaml_in_fail(in, yaml_in_line(n), "%s holds a NUL character", key);
        return NULL;
    }
    if (!*s) {
        (void)yaml_in_fail(in, yaml_in_line(n), "%s has no value", key);
        return NULL;
    }
    return s;
}

static int key_is(struct yaml_in *in, const yaml_node_pair_t *p, const char *key)
{
    const yaml_node_t *k = yaml_document_get_node(&in->doc, p->key);
    return k && k->type == YAML_SCALAR_NODE && !strcmp((const char *)k->data.scalar.value, key);
}

yaml_node_t *yaml_in_get(struct yaml_in *in, const yaml_node_t *map, const char *key)
{
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++)
        if (key_is(in, p, key))
            return yaml_document_get_node(&in->doc, p->value);
    return NULL;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits between two short words (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1]; i++) {
        unsigned diag = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned up = row[j];
            row[j] = least(up + 1, row[j - 1] + 1, diag + (a[i - 1] != b[j - 1]));
            diag = up;
        }
    }
    return row[n];
}

static const char *nearest(const char *word, const char *const *known)
{
    const char *best = NULL;
    unsigned least_edits = 4;
    size_t len = strlen(word);
    if (len > WORD_MAX)
        return NULL;
    for (; *known; known++) {
        unsigned d = distance(word, *known);
        if (d < least_edits && d * 2 < len + 1) {
            least_edits = d;
            best = *known;
        }
    }
    return best;
}

static int known_or_fail(struct yaml_in *in, const char *key, int line, const char *const *known)
{
    for (const char *const *k = known; *k; k++)
        if (!strcmp(key, *k))
            return 0;
    const char *guess = nearest(key, known);
    if (guess)
        return yaml_in_fail(in, line, "unknown key %.64s; did you mean %s?", key, guess);
    char list[ERR_TEXT_MAX / 2] = "";
    size_t n = 0;
    for (const char *const *k = known; *k && n < sizeof(list); k++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", k == known ? "" : ", ", *k);
    return yaml_in_fail(in, line, "unknown key %.64s; known here: %s", key, list);
}

int yaml_in_check_keys(struct yaml_in *in, const yaml_node_t *map, const char *const *known)
{
    const yaml_node_pair_t *start = map->data.mapping.pairs.start;
    for (const yaml_node_pair_t *p = start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(&in->doc, p->key);
        const char *key = yaml_in_scalar(in, k, "a key");
        if (!key)
            return -EINVAL;
        int r = known ? known_or_fail(in, key, yaml_in_line(k), known) : 0;
        if (r < 0)
            return r;
        /* Without a table of known keys the caller has limited their number. */
        for (const yaml_node_pair_t *q = start; q < p; q++)
            if (key_is(in, q, key))
                return yaml_in_fail(in, yaml_in_line(k), "key %.64s is there twice", key);
    }
    return 0;
}
