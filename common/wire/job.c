#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "json_text.h"

enum {
    PRIORITY_MAX = 9,
    PRIORITY_DEFAULT = 5,
    LADDER_NAME_MAX = 64,
};

/* As the command line has them; 0 leaves the choice to planner and ladder. */
static const double chunk_seconds_max = 3600, segment_seconds_max = 30, gop_seconds_max = 10;

void job_message_release(struct job_message *m)
{
    free(m->id);
    free(m->source);
    free(m->output);
    free(m->ladder);
    free(m->ladder_text);
    free(m->tenant);
    free(m->notify);
    free(m->metadata);
    *m = (struct job_message){ 0 };
}

/* ---- reading ---- */

static int id_like(const char *s, size_t max)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._:-";
    size_t n = strnlen(s, max + 1);

    return n > 0 && n <= max && s[0] != '.' && s[strspn(s, allowed)] == '\0';
}

int job_id_check(const char *id, struct err *err)
{
    if (id && id_like(id, JOB_ID_MAX))
        return 0;
    return err_set(err, -EINVAL, ERR_USAGE,
                   "a job id has 1 to %d characters of A-Z, a-z, 0-9, '.', '_', ':' and '-', and "
                   "doesn't begin with '.'",
                   JOB_ID_MAX);
}

/* NULL where the field isn't there, or on failure. */
static char *read_text(const struct in *o, const char *name, size_t max)
{
    struct in v = in_field(o, name);

    if (!v.j)
        return NULL;
    char *s = in_text_at(&v, max, CHARS_TEXT);
    if (s && !*s)
        in_fail(&v, "must not be empty");
    return s;
}

static char *read_needed(const struct in *o, const char *name, size_t max)
{
    struct in v = in_field(o, name);

    if (!v.j)
        in_fail(&v, "is missing");
    return read_text(o, name, max);
}

static char *read_id(const struct in *o, const char *name, size_t max)
{
    char *s = read_text(o, name, max);

    if (s && !id_like(s, max)) {
        struct in v = in_field(o, name);
        in_fail(&v, "'%.128s' must have letters, digits and ._:- only, and not '.' first", s);
    }
    return s;
}

/* A name, never a path: ladders are only looked for in their folders. */
static char *read_ladder_name(const struct in *v)
{
    char *s = in_text_at(v, LADDER_NAME_MAX, CHARS_TOKEN);
    size_t n = s ? strlen(s) : 0;

    if (s && (*s == '.' || (n > 5 && strcmp(s + n - 5, ".yaml") == 0)))
        in_fail(v, "'%s' is a file's name; a ladder is named like web-h264", s);
    return s;
}

static void read_ladder(const struct in *o, struct job_message *m)
{
    struct in v = in_field(o, "ladder");

    if (!v.j)
        return;
    if (json_is_string(v.j)) {
        m->ladder = read_ladder_name(&v);
        return;
    }
    in_is_object(&v);
    struct in y = in_field(&v, "yaml");
    if (!y.j)
        in_fail(&y, "is missing; a ladder is a name or {\"yaml\":\"…\"}");
    else if (!json_is_string(y.j) || json_string_length(y.j) == 0)
        in_fail(&y, "must be a ladder's text");
    else if (memchr(json_string_value(y.j), 0, json_string_length(y.j)))
        in_fail(&y, "holds a NUL character");
    if (!in_ok(o))
        return;
    m->ladder_text = strdup(json_string_value(y.j));
    if (!m->ladder_text)
        in_oom(&y);
}

static void read_metadata(const struct in *o, struct job_message *m)
{
    struct in v = in_field(o, "metadata");

    if (!v.j)
        return;
    in_is_object(&v);
    if (!in_ok(o))
        return;
    m->metadata = json_dumps(v.j, JSON_COMPACT);
    if (!m->metadata)
        in_oom(&v);
    else if (strlen(m->metadata) > JOB_METADATA_MAX)
        in_fail(&v, "has %zu bytes, at most %d are allowed", strlen(m->metadata), JOB_METADATA_MAX);
    else if (json_text_levels(m->metadata, strlen(m->metadata)) > JOB_METADATA_LEVELS_MAX)
        in_fail(&v, "has more than %d levels of arrays and objects", JOB_METADATA_LEVELS_MAX);
}

static double read_seconds(const struct in *o, const char *name, double max)
{
    struct in v = in_field(o, name);

    return v.j ? in_double(o, name, 0, max) : 0;
}

static void read_options(const struct in *top, struct job_message *m)
{
    struct in o = in_field(top, "options");

    if (!o.j)
        return;
    in_is_object(&o);
    m->chunk_seconds = read_seconds(&o, "chunk_seconds", chunk_seconds_max);
    m->segment_seconds = read_seconds(&o, "segment_seconds", segment_seconds_max);
    m->gop_seconds = read_seconds(&o, "gop_seconds", gop_seconds_max);
    struct in n = in_field(&o, "chunk_count");
    if (n.j)
        m->chunk_count = (unsigned)in_number(&n, 0, CHUNKS_MAX);
}

/* null is as good as absent. */
static int read_bool(const struct in *o, const char *name)
{
    struct in v = in_field(o, name);

    if (v.j && !json_is_boolean(v.j))
        in_fail(&v, "must be true or false");
    return json_is_true(v.j);
}

static void read_all(const struct in *top, struct job_message *m)
{
    struct in v = in_field(top, "v"), priority = in_field(top, "priority");

    if (v.j)
        in_version(top);
    m->id = read_id(top, "id", JOB_ID_MAX);
    m->source = read_needed(top, "source", JOB_URL_MAX);
    m->output = read_needed(top, "output", JOB_URL_MAX);
    read_ladder(top, m);
    m->tenant = read_id(top, "tenant", JOB_TENANT_MAX);
    m->notify = read_text(top, "notify", JOB_URL_MAX);
    m->priority = PRIORITY_DEFAULT;
    if (priority.j)
        m->priority = (unsigned)in_number(&priority, 0, PRIORITY_MAX);
    m->replace = read_bool(top, "replace") ? REPLACE_ANY : REPLACE_NOTHING;
    read_metadata(top, m);
    read_options(top, m);
}

int job_message_from_text(const char *text, size_t len, struct job_message *ret, struct err *err)
{
    struct err why = { 0 };
    struct job_message m = { 0 };
    struct in_state state;
    json_t *j = NULL;

    if (len > JOB_TEXT_MAX)
        return err_set(err, -EMSGSIZE, ERR_USAGE, "job: has %zu bytes, at most %d are allowed", len,
                       JOB_TEXT_MAX);
    int r = wire_parse("job", text, len, &j, &why);
    if (r == 0) {
        struct in top = in_top(&state, "job", j, &why);
        read_all(&top, &m);
        r = state.r;
        json_decref(j);
    }
    if (r < 0) {
        job_message_release(&m);
        if (r == -ENOMEM)
            return err_set(err, r, ERR_RESOURCE, "%s", why.text);
        return err_set(err, -EPROTO, ERR_USAGE, "%s", why.text);
    }
    *ret = m;
    return 0;
}

/* ---- writing ---- */

static void put_raw(struct out *o, const char *name, const char *text)
{
    if (text)
        out_put(o, name, json_string(text));
}

static json_t *options_json(const struct job_message *m)
{
    struct out o = out_new();

    if (m->chunk_seconds > 0)
        out_double(&o, "chunk_seconds", m->chunk_seconds);
    if (m->segment_seconds > 0)
        out_double(&o, "segment_seconds", m->segment_seconds);
    if (m->gop_seconds > 0)
        out_double(&o, "gop_seconds", m->gop_seconds);
    if (m->chunk_count > 0)
        out_int(&o, "chunk_count", m->chunk_count);
    return out_done(&o);
}

char *job_message_to_text(const struct job_message *m)
{
    struct out o = out_new();

    out_int(&o, "v", WIRE_VERSION);
    put_raw(&o, "id", m->id);
    put_raw(&o, "source", m->source);
    put_raw(&o, "output", m->output);
    put_raw(&o, "ladder", m->ladder);
    if (m->ladder_text)
        out_put(&o, "ladder", json_pack("{s:s}", "yaml", m->ladder_text));
    out_int(&o, "priority", m->priority);
    put_raw(&o, "tenant", m->tenant);
    put_raw(&o, "notify", m->notify);
    if (m->metadata)
        out_put(&o, "metadata", json_loads(m->metadata, 0, NULL));
    if (m->chunk_seconds > 0 || m->segment_seconds > 0 || m->gop_seconds > 0 || m->chunk_count > 0)
        out_put(&o, "options", options_json(m));
    if (m->replace == REPLACE_ANY)
        out_put(&o, "replace", json_true());
    return out_text_done(&o);
}
