/* config_file.c - settings and rules for uploads in YAML. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../ladders/yaml_in.h"
#include "../engine.h"
#include "config.h"

enum { FILE_MAX = 1 << 20 };

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int read_whole(const char *path, char **ret, size_t *ret_len, struct err *err)
{
    _cleanup_file_ FILE *f = fopen(path, "re");

    if (!f)
        return err_set(err, -errno, ERR_USAGE, "%.300s: %s", path, strerror(errno));
    _cleanup_free_ char *buf = malloc(FILE_MAX + 1);
    if (!buf)
        return no_memory(err);
    size_t n = fread(buf, 1, FILE_MAX + 1, f);
    if (ferror(f))
        return err_set(err, -EIO, ERR_USAGE, "%.300s: can't be read", path);
    if (n > FILE_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%.300s: is longer than %d bytes", path, FILE_MAX);
    *ret = take_ptr(buf);
    *ret_len = n;
    return 0;
}

/* ---- rules for uploads ---- */

static const char *const rule_keys[] = { "bucket", "prefix", "suffix",   "ladder", "output",
                                         "tenant", "notify", "priority", NULL };

static int rule_text(struct yaml_in *in, const yaml_node_t *map, const char *key, char **ret)
{
    const yaml_node_t *n = yaml_in_get(in, map, key);

    if (!n)
        return 0;
    const char *s = yaml_in_scalar(in, n, key);
    if (!s)
        return -EINVAL;
    *ret = strdup(s);
    return *ret ? 0 : no_memory(in->err);
}

static int rule_priority(struct yaml_in *in, const yaml_node_t *map, unsigned *ret)
{
    const yaml_node_t *n = yaml_in_get(in, map, "priority");

    *ret = JOB_PRIORITY_DEFAULT;
    if (!n)
        return 0;
    const char *s = yaml_in_scalar(in, n, "priority");
    if (!s)
        return -EINVAL;
    if (s[0] < '0' || s[0] > '9' || s[1])
        return yaml_in_fail(in, yaml_in_line(n), "priority '%.20s' is not a number from 0 to %d", s,
                            JOB_PRIORITY_MAX);
    *ret = (unsigned)(s[0] - '0');
    return 0;
}

static int read_rule(struct yaml_in *in, const yaml_node_t *map, struct upload_rules *rules)
{
    struct upload_rule rule = { 0 };

    if (map->type != YAML_MAPPING_NODE)
        return yaml_in_fail(in, yaml_in_line(map), "a rule for uploads is a mapping");
    int r = yaml_in_check_keys(in, map, rule_keys);
    if (r == 0)
        r = rule_text(in, map, "bucket", &rule.bucket);
    if (r == 0)
        r = rule_text(in, map, "prefix", &rule.prefix);
    if (r == 0)
        r = rule_text(in, map, "suffix", &rule.suffix);
    if (r == 0)
        r = rule_text(in, map, "ladder", &rule.ladder);
    if (r == 0)
        r = rule_text(in, map, "output", &rule.output);
    if (r == 0)
        r = rule_text(in, map, "tenant", &rule.tenant);
    if (r == 0)
        r = rule_text(in, map, "notify", &rule.notify);
    if (r == 0)
        r = rule_priority(in, map, &rule.priority);
    if (r == 0 && upload_rules_add(rules, &rule, in->err) < 0)
        r = err_prefix(in->err, -EINVAL, "%s:%d", in->where, yaml_in_line(map));
    upload_rule_release(&rule);
    return r;
}

static int read_rules(struct yaml_in *in, const yaml_node_t *n, struct upload_rules *rules)
{
    int r = 0;

    if (n->type != YAML_SEQUENCE_NODE)
        return yaml_in_fail(in, yaml_in_line(n), "uploads is a list of rules");
    for (const yaml_node_item_t *i = n->data.sequence.items.start;
         i < n->data.sequence.items.top && r == 0; i++)
        r = read_rule(in, yaml_in_node(in, *i), rules);
    return r;
}

static int read_keys(struct yaml_in *in, const yaml_node_t *n, struct upload_rules *rules)
{
    const char *s = yaml_in_scalar(in, n, "upload-keys");

    if (!s)
        return -EINVAL;
    if (strcmp(s, "plain") != 0 && strcmp(s, "encoded") != 0)
        return yaml_in_fail(in, yaml_in_line(n), "upload-keys is encoded or plain");
    rules->plain_keys = strcmp(s, "plain") == 0;
    return 0;
}

/* ---- settings ---- */

struct reading {
    struct yaml_in *in;
    struct config_reader *r;
    struct upload_rules *uploads;
};

static int set_one(const struct reading *x, const char *key, const yaml_node_t *n)
{
    char where[400];
    const char *s = yaml_in_scalar(x->in, n, key);

    if (!s)
        return -EINVAL;
    if (strcmp(s, "true") == 0 || strcmp(s, "yes") == 0)
        s = "1";
    if (strcmp(s, "false") == 0 || strcmp(s, "no") == 0)
        s = "0";
    (void)snprintf(where, sizeof(where), "%.300s:%d", x->in->where, yaml_in_line(n));
    return config_set(x->r, key, s, CONFIG_FILE, where, x->in->err);
}

static int set_list(const struct reading *x, const char *key, const yaml_node_t *n)
{
    int r = 0;

    if (strncmp(key, "allow-", 6) != 0 && strcmp(key, "ladders") != 0)
        return yaml_in_fail(x->in, yaml_in_line(n), "%s is one value, not a list", key);
    for (const yaml_node_item_t *i = n->data.sequence.items.start;
         i < n->data.sequence.items.top && r == 0; i++)
        r = set_one(x, key, yaml_in_node(x->in, *i));
    return r;
}

static int read_pair(const struct reading *x, const yaml_node_pair_t *p)
{
    const yaml_node_t *k = yaml_in_node(x->in, p->key), *n = yaml_in_node(x->in, p->value);
    const char *key = yaml_in_scalar(x->in, k, "a key");

    if (!key)
        return -EINVAL;
    if (strcmp(key, "uploads") == 0)
        return read_rules(x->in, n, x->uploads);
    if (strcmp(key, "upload-keys") == 0)
        return read_keys(x->in, n, x->uploads);
    return n->type == YAML_SEQUENCE_NODE ? set_list(x, key, n) : set_one(x, key, n);
}

int config_read_file(struct config_reader *r, struct upload_rules *uploads, const char *path,
                     struct err *err)
{
    _cleanup_free_ char *text = NULL;
    const char *keys[CONFIG_KEYS_MAX];
    size_t len = 0;
    struct yaml_in in;
    int e = read_whole(path, &text, &len, err);

    if (e == 0)
        e = yaml_in_open(&in, text, len, path, err);
    if (e < 0)
        return e;
    const struct reading x = { &in, r, uploads };
    const yaml_node_t *root = yaml_in_root(&in);
    config_file_keys(keys);
    e = yaml_in_check_keys(&in, root, keys);
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start;
         p < root->data.mapping.pairs.top && e == 0; p++)
        e = read_pair(&x, p);
    yaml_in_close(&in);
    return e;
}
