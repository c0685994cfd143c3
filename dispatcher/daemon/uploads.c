#include "uploads.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../common/base/utf8.h"
#include "../../common/wire/job.h"
#include "../../common/wire/json_text.h"
#include "admit.h"

enum { TEXT_MAX = 1 << 20, BUCKET_MAX = 255, KEY_MAX = 1024 };

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- rules ---- */

void upload_rule_release(struct upload_rule *r)
{
    free(r->bucket);
    free(r->prefix);
    free(r->suffix);
    free(r->ladder);
    free(r->output);
    free(r->tenant);
    free(r->notify);
    *r = (struct upload_rule){ 0 };
}

void upload_rules_release(struct upload_rules *r)
{
    for (size_t i = 0; i < r->n; i++)
        upload_rule_release(&r->v[i]);
    free(r->v);
    *r = (struct upload_rules){ 0 };
}

static const struct place {
    const char *name;
    size_t len;
} places[] = {
    {"{bucket}", 8},
    { "{key}",   5},
    { "{stem}",  6},
    { "{id}",    4},
};

static int place_at(const char *s)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (strncmp(s, places[i].name, places[i].len) == 0)
            return (int)i;
    return -1;
}

/* Two uploads into one folder would be a mess: the template has to tell them apart. */
static int check_template(const char *s, struct err *err)
{
    int apart = 0;

    for (const char *p = s; *p; p++) {
        int k = *p == '{' ? place_at(p) : 0;
        if (k < 0)
            return err_set(err, -EINVAL, ERR_USAGE,
                           "output: %.200s: after '{' come bucket, key, stem or id and '}'", s);
        if (*p == '{' && k > 0)
            apart = 1;
    }
    if (!apart)
        return err_set(err, -EINVAL, ERR_USAGE,
                       "output: %.200s has none of {key}, {stem} and {id}: all uploads would go "
                       "to one place",
                       s);
    return 0;
}

int upload_rules_add(struct upload_rules *r, struct upload_rule *rule, struct err *err)
{
    if (!rule->bucket || !rule->output)
        return err_set(err, -EINVAL, ERR_USAGE, "uploads: a rule needs bucket and output");
    int c = check_template(rule->output, err);
    if (c < 0)
        return c;
    if (r->n == UPLOAD_RULES_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "uploads: more than %d rules", UPLOAD_RULES_MAX);
    struct upload_rule *v = reallocarray(r->v, r->n + 1, sizeof(*v));
    if (!v)
        return no_memory(err);
    r->v = v;
    r->v[r->n++] = *rule;
    *rule = (struct upload_rule){ 0 };
    return 0;
}

static int fits(const struct upload_rule *r, const char *bucket, const char *key)
{
    size_t n = strlen(key), p = r->prefix ? strlen(r->prefix) : 0;
    size_t s = r->suffix ? strlen(r->suffix) : 0;

    return strcmp(r->bucket, bucket) == 0 && n >= p + s &&
           (p == 0 || memcmp(key, r->prefix, p) == 0) &&
           (s == 0 || strcasecmp(key + n - s, r->suffix) == 0);
}

static const struct upload_rule *rule_for(const struct upload_rules *rules, const char *bucket,
                                          const char *key)
{
    for (size_t i = 0; i < rules->n; i++)
        if (fits(&rules->v[i], bucket, key))
            return &rules->v[i];
    return NULL;
}

/* ---- keys and URLs ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As forms are: '+' is a blank. In place. -EPROTO for a broken escape or a NUL. */
static int form_decode(char *s)
{
    char *out = s;

    for (; *s; s++, out++) {
        *out = *s == '+' ? ' ' : *s;
        if (*s != '%')
            continue;
        int h = hex(s[1]), l = h < 0 ? -1 : hex(s[2]);
        if (l < 0 || (h == 0 && l == 0))
            return -EPROTO;
        *out = (char)(h << 4 | l);
        s += 2;
    }
    *out = '\0';
    return 0;
}

static void put_key(FILE *f, const char *s, size_t n, int raw)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.~/";

    for (size_t i = 0; i < n; i++) {
        if (raw || strchr(plain, s[i]))
            (void)fputc(s[i], f);
        else
            (void)fprintf(f, "%%%02X", (unsigned)(unsigned char)s[i]);
    }
}

static size_t stem_length(const char *key)
{
    const char *slash = strrchr(key, '/'), *dot = strrchr(key, '.');
    const char *name = slash ? slash + 1 : key;

    return dot && dot > name ? (size_t)(dot - key) : strlen(key);
}

struct object {
    const char *bucket, *etag, *sequencer;
    char *key; /* decoded */
    char id[40];
};

static void put_place(FILE *f, int place, const struct object *o, int raw)
{
    switch (place) {
    case 0:
        (void)fputs(o->bucket, f);
        break;
    case 1:
        put_key(f, o->key, strlen(o->key), raw);
        break;
    case 2:
        put_key(f, o->key, stem_length(o->key), raw);
        break;
    default:
        (void)fputs(o->id, f);
    }
}

/* NULL: out of memory. */
static char *expand(const char *template, const struct object *o)
{
    char *s = NULL;
    size_t n;
    FILE *f = open_memstream(&s, &n);

    if (!f)
        return NULL;
    for (const char *p = template; *p; p++) {
        int k = *p == '{' ? place_at(p) : -1;
        if (k < 0) {
            (void)fputc(*p, f);
            continue;
        }
        put_place(f, k, o, strncmp(template, "s3://", 5) == 0);
        p += places[k].len - 1;
    }
    int bad = ferror(f);
    if ((fclose(f) != 0) | bad) {
        free(s);
        return NULL;
    }
    return s;
}

/* ---- a record ---- */

static int copy(const char *s, char **ret)
{
    *ret = s ? strdup(s) : NULL;
    return s && !*ret ? -ENOMEM : 0;
}

static int message_of(const struct upload_rule *rule, const struct object *o,
                      struct job_message *ret)
{
    /* The same key again is a new version of the same thing. */
    struct job_message m = { .priority = rule->priority, .replace = REPLACE_SAME_SOURCE };
    json_t *meta = json_pack("{s:{s:s,s:s,s:s}}", "upload", "bucket", o->bucket, "key", o->key,
                             "etag", o->etag);

    if (asprintf(&m.source, "s3://%s/%s", o->bucket, o->key) < 0)
        m.source = NULL;
    m.metadata = meta ? json_dumps(meta, JSON_COMPACT) : NULL;
    json_decref(meta);
    m.output = expand(rule->output, o);
    int r = copy(o->id, &m.id);
    r |= copy(rule->ladder, &m.ladder);
    r |= copy(rule->tenant, &m.tenant);
    r |= copy(rule->notify, &m.notify);
    if (r < 0 || !m.source || !m.output || !m.metadata) {
        job_message_release(&m);
        return -ENOMEM;
    }
    *ret = m;
    return 0;
}

static int give_id(struct object *o)
{
    _cleanup_free_ char *all = NULL;
    char hash[27];

    if (asprintf(&all, "%s\n%s\n%s\n%s", o->bucket, o->key, o->etag, o->sequencer) < 0) {
        all = NULL;
        return -ENOMEM;
    }
    if (admit_id_of(all, hash) < 0)
        return -ENOMEM;
    (void)snprintf(o->id, sizeof(o->id), "upload-%s", hash);
    return 0;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

static int bucket_ok(const char *s)
{
    size_t n = strnlen(s, BUCKET_MAX + 1);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-_";

    return n > 0 && n <= BUCKET_MAX && s[strspn(s, allowed)] == '\0';
}

static int wrong(size_t i, const char *what, struct err *err)
{
    return err_set(err, -EPROTO, ERR_USAGE, "notification: Records[%zu].%s", i, what);
}

static int is_new_object(const json_t *record)
{
    const char *name = text_of(record, "eventName");

    if (strncmp(name, "s3:", 3) == 0)
        name += 3;
    return strncmp(name, "ObjectCreated", 13) == 0;
}

/* 1: a job, 0: nobody's, or -errno. */
static int read_record(const struct upload_rules *rules, const json_t *record, size_t i,
                       struct job_message *ret, struct err *err)
{
    const json_t *s3 = json_object_get(record, "s3"), *object = json_object_get(s3, "object");
    struct object o = { .bucket = text_of(json_object_get(s3, "bucket"), "name"),
                        .etag = text_of(object, "eTag"),
                        .sequencer = text_of(object, "sequencer") };

    if (!json_is_object(record))
        return wrong(i, "must be an object", err);
    if (!is_new_object(record))
        return 0;
    if (!bucket_ok(o.bucket))
        return wrong(i, "s3.bucket.name is not a bucket's name", err);
    _cleanup_free_ char *key = strdup(text_of(object, "key"));
    if (!key)
        return no_memory(err);
    if (strnlen(key, 3 * KEY_MAX + 1) > 3 * KEY_MAX || (!rules->plain_keys && form_decode(key) < 0))
        return wrong(i, "s3.object.key is not a URL-encoded key of at most 1024 bytes", err);
    if (!*key || strlen(key) > KEY_MAX || !utf8_valid(key, strlen(key)))
        return wrong(i, "s3.object.key is not UTF-8 of 1 to 1024 bytes", err);
    if (strlen(o.etag) > 256 || strlen(o.sequencer) > 256)
        return wrong(i, "s3.object: eTag and sequencer have at most 256 bytes", err);
    const struct upload_rule *rule = rule_for(rules, o.bucket, key);
    if (!rule)
        return 0;
    o.key = key;
    if (give_id(&o) < 0 || message_of(rule, &o, ret) < 0)
        return no_memory(err);
    return 1;
}

static int read_records(const struct upload_rules *rules, const json_t *records,
                        struct job_message *v, size_t *ret_n, struct err *err)
{
    for (size_t i = 0; i < json_array_size(records); i++) {
        int r = read_record(rules, json_array_get(records, i), i, &v[*ret_n], err);
        if (r < 0)
            return r;
        *ret_n += (size_t)r;
    }
    return 0;
}

static int read_message(const struct upload_rules *rules, const json_t *j, struct job_message **ret,
                        size_t *ret_n, struct err *err)
{
    const json_t *records = json_object_get(j, "Records");
    size_t n = 0, max = json_array_size(records);

    if (!json_is_object(j) || (records && !json_is_array(records)))
        return err_set(err, -EPROTO, ERR_USAGE, "notification: not an S3 event");
    if (max > UPLOAD_RECORDS_MAX)
        return err_set(err, -EPROTO, ERR_USAGE, "notification: %zu Records, at most %d are allowed",
                       max, UPLOAD_RECORDS_MAX);
    struct job_message *v = calloc(max + 1, sizeof(*v));
    if (!v)
        return no_memory(err);
    int r = read_records(rules, records, v, &n, err);
    if (r < 0) {
        for (size_t i = 0; i < n; i++)
            job_message_release(&v[i]);
        free(v);
        return r;
    }
    *ret = v;
    *ret_n = n;
    return 0;
}

int uploads_read(const struct upload_rules *rules, const char *text, size_t len,
                 struct job_message **ret, size_t *ret_n, struct err *err)
{
    json_t *j;

    if (len > TEXT_MAX)
        return err_set(err, -EMSGSIZE, ERR_USAGE,
                       "notification: has %zu bytes, at most %d are allowed", len, TEXT_MAX);
    int r = json_text_read(text, len, ERR_USAGE, &j, err);
    if (r < 0)
        return err_prefix(err, r == -ENOMEM ? r : -EPROTO, "notification");
    r = read_message(rules, j, ret, ret_n, err);
    json_decref(j);
    return r;
}
