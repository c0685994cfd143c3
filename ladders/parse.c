/* parse.c - from YAML to struct ladder. The format is docs/ladders.md. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "encoder.h"
#include "extras.h"
#include "field.h"
#include "ladder.h"
#include "yaml_in.h"

static const char *const top_keys[] = { "name",         "description", "segment_seconds",
                                        "gop_seconds",  "defaults",    "video",
                                        "audio_tracks", "audio",       "subtitles",
                                        "poster",       "storyboard",  NULL };

struct parse {
    struct yaml_in in;
    struct ladder *l;
    struct rung defaults[CODEC_MAX];
};

/* ---- the top ---- */

static int copy_top_text(struct parse *p, const yaml_node_t *root, const char *key, char **ret)
{
    const yaml_node_t *n = yaml_in_get(&p->in, root, key);
    if (!n)
        return 0;
    const char *s = yaml_in_scalar(&p->in, n, key);
    if (!s)
        return -EINVAL;
    if (strlen(s) > LADDER_TEXT_MAX)
        return yaml_in_fail(&p->in, yaml_in_line(n), "%s has %zu characters, more than %d", key,
                            strlen(s), LADDER_TEXT_MAX);
    *ret = strdup(s);
    return *ret ? 0 : -ENOMEM;
}

static int read_seconds(struct parse *p, const yaml_node_t *root, const char *key, double least,
                        double most, double *ret)
{
    const yaml_node_t *n = yaml_in_get(&p->in, root, key);
    return n ? field_number(&p->in, n, key, least, most, " s", ret) : 0;
}

static int read_tracks(struct parse *p, const yaml_node_t *root, int *ret_default)
{
    const yaml_node_t *n = yaml_in_get(&p->in, root, "audio_tracks");
    if (!n)
        return 0;
    const char *s = yaml_in_scalar(&p->in, n, "audio_tracks");
    if (!s)
        return -EINVAL;
    if (strcmp(s, "all") != 0 && strcmp(s, "default") != 0)
        return yaml_in_fail(&p->in, yaml_in_line(n),
                            "audio_tracks %.32s is not one of all, default", s);
    *ret_default = strcmp(s, "default") == 0;
    return 0;
}

static int parse_top(struct parse *p, const yaml_node_t *root)
{
    struct ladder *l = p->l;
    int r = yaml_in_check_keys(&p->in, root, top_keys);
    if (r == 0)
        r = copy_top_text(p, root, "name", &l->name);
    if (r == 0)
        r = copy_top_text(p, root, "description", &l->description);
    if (r == 0)
        r = read_seconds(p, root, "segment_seconds", 1, 30, &l->segment_seconds);
    if (r == 0)
        r = read_seconds(p, root, "gop_seconds", 0.5, 10, &l->gop_seconds);
    if (r == 0)
        r = read_tracks(p, root, &l->default_track);
    if (r < 0)
        return r;
    if (l->gop_seconds > l->segment_seconds) {
        const yaml_node_t *n = yaml_in_get(&p->in, root, "gop_seconds");
        if (!n)
            n = yaml_in_get(&p->in, root, "segment_seconds");
        return yaml_in_fail(&p->in, n ? yaml_in_line(n) : 1,
                            "gop_seconds %g is more than segment_seconds %g", l->gop_seconds,
                            l->segment_seconds);
    }
    return 0;
}

static void rung_init(struct rung *g, enum codec_id c)
{
    *g = (struct rung){
        .codec = c,
        .encoder = encoder_default(c),
        .max_fps = {60, 1},
        .crf = -1,
        .range = RUNG_SDR,
        .bitrate = 128000,
        .channels = 2,
        .true_peak = 1
    };
}

static int parse_defaults(struct parse *p, const yaml_node_t *root)
{
    static const char *const codecs[] = { "h264", "hevc", "av1", "aac", "opus", NULL };
    const yaml_node_t *n = yaml_in_get(&p->in, root, "defaults");
    if (!n)
        return 0;
    if (n->type != YAML_MAPPING_NODE)
        return yaml_in_fail(&p->in, yaml_in_line(n),
                            "defaults is not a mapping from codec to keys");
    int r = yaml_in_check_keys(&p->in, n, codecs);
    for (enum codec_id c = 0; r == 0 && c < CODEC_MAX; c++) {
        const yaml_node_t *m = yaml_in_get(&p->in, n, codec_name(c));
        if (!m)
            continue;
        (void)snprintf(p->in.item, sizeof(p->in.item), "defaults for %s: ", codec_name(c));
        r = fields_read(&p->in, m, 1, &p->defaults[c]);
        p->in.item[0] = '\0';
    }
    return r;
}

/* ---- renditions ---- */

/* Complaints about an entry name it as its author did, or by its number. */
static void name_item(struct parse *p, const yaml_node_t *map, unsigned number)
{
    const yaml_node_t *n = yaml_in_get(&p->in, map, "name");
    if (n && n->type == YAML_SCALAR_NODE && n->data.scalar.length > 0)
        (void)snprintf(p->in.item, sizeof(p->in.item), "rendition %.*s: ", RUNG_NAME_MAX,
                       (const char *)n->data.scalar.value);
    else
        (void)snprintf(p->in.item, sizeof(p->in.item), "rendition #%u: ", number);
}

static int read_codec(struct parse *p, const yaml_node_t *map, enum media_kind kind,
                      enum codec_id *ret)
{
    const char *choices = kind == MEDIA_VIDEO ? "h264, hevc, av1" : "aac, opus";
    const yaml_node_t *n = yaml_in_get(&p->in, map, "codec");
    if (!n)
        return yaml_in_fail(&p->in, yaml_in_line(map), "codec is missing; one of %s", choices);
    const char *s = yaml_in_scalar(&p->in, n, "codec");
    if (!s)
        return -EINVAL;
    for (enum codec_id c = 0; c < CODEC_MAX; c++)
        if (codec_kind(c) == kind && !strcmp(s, codec_name(c))) {
            *ret = c;
            return 0;
        }
    return yaml_in_fail(&p->in, yaml_in_line(n), "codec %.32s is not one of %s", s, choices);
}

static int check_name_free(struct parse *p, const struct rung *g)
{
    for (size_t i = 0; i < p->l->n_rungs; i++)
        if (!strcmp(p->l->rungs[i].name, g->name))
            return yaml_in_fail(&p->in, g->line, "the name %s is taken by the rendition in line %d",
                                g->name, p->l->rungs[i].line);
    return 0;
}

static int parse_rung(struct parse *p, yaml_node_t *map, enum media_kind kind)
{
    enum codec_id c = CODEC_MAX;
    if (map->type != YAML_MAPPING_NODE)
        return yaml_in_fail(&p->in, yaml_in_line(map),
                            "not a mapping of keys like name: and codec:");
    name_item(p, map, (unsigned)p->l->n_rungs + 1);
    int r = read_codec(p, map, kind, &c);
    if (r < 0)
        return r;

    struct rung *g = &p->l->rungs[p->l->n_rungs];
    r = rung_copy(&p->defaults[c], g);
    if (r < 0)
        return r;
    g->line = yaml_in_line(map);
    r = fields_read(&p->in, map, 0, g);
    if (r == 0)
        r = fields_finish(&p->in, map, g);
    if (r == 0)
        r = check_name_free(p, g);
    if (r < 0)
        rung_release(g);
    else
        p->l->n_rungs++;
    p->in.item[0] = '\0';
    return r;
}

static int parse_rungs(struct parse *p, const yaml_node_t *root, const char *key,
                       enum media_kind kind)
{
    const yaml_node_t *list = yaml_in_get(&p->in, root, key);
    if (!list)
        return 0;
    if (list->type != YAML_SEQUENCE_NODE)
        return yaml_in_fail(&p->in, yaml_in_line(list), "%s is not a list of renditions", key);
    const yaml_node_item_t *i = list->data.sequence.items.start;
    for (; i < list->data.sequence.items.top; i++) {
        yaml_node_t *n = yaml_in_node(&p->in, *i);
        if (p->l->n_rungs == LADDER_RUNGS_MAX)
            return yaml_in_fail(&p->in, yaml_in_line(n), "more than %d renditions",
                                LADDER_RUNGS_MAX);
        int r = parse_rung(p, n, kind);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_document(struct parse *p)
{
    const yaml_node_t *root = yaml_in_root(&p->in);
    struct ladder *l = p->l;
    l->rungs = calloc(LADDER_RUNGS_MAX, sizeof(*l->rungs));
    if (!l->rungs)
        return -ENOMEM;
    int r = parse_top(p, root);
    if (r == 0)
        r = parse_defaults(p, root);
    if (r == 0)
        r = parse_rungs(p, root, "video", MEDIA_VIDEO);
    l->n_video = l->n_rungs;
    if (r == 0)
        r = parse_rungs(p, root, "audio", MEDIA_AUDIO);
    if (r == 0)
        r = extras_read(&p->in, root, l);
    if (r == 0 && l->n_rungs == 0)
        r = yaml_in_fail(&p->in, yaml_in_line(root),
                         "no renditions; list at least one under video: or audio:");
    return r;
}

/* ---- the whole ---- */

static int digest(const char *text, size_t len, char ret[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(text, len, md, &n, EVP_sha256(), NULL))
        return -ENOMEM;
    for (unsigned i = 0; i < n && i < 32; i++)
        (void)snprintf(ret + 2 * (size_t)i, 3, "%02x", md[i]);
    return 0;
}

static void copy_stem(const char *where, char **ret)
{
    const char *base = strrchr(where, '/') ? strrchr(where, '/') + 1 : where;
    size_t n = strlen(base);
    if (n > 5 && !strcmp(base + n - 5, ".yaml"))
        n -= 5;
    *ret = strndup(base, n);
}

static struct ladder *ladder_new(const char *text, size_t len, const char *where)
{
    struct ladder *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->segment_seconds = 6;
    l->gop_seconds = 2;
    l->extras.subtitles = 1;
    l->where = strdup(where);
    l->text = malloc(len + 1);
    if (!l->where || !l->text || digest(text, len, l->digest) < 0) {
        ladder_free(l);
        return NULL;
    }
    memcpy(l->text, text, len);
    l->text[len] = '\0';
    return l;
}

/* What the file left out. */
static int fill_texts(struct ladder *l)
{
    if (!l->name)
        copy_stem(l->where, &l->name);
    if (!l->description)
        l->description = strdup("");
    return l->name && l->description ? 0 : -ENOMEM;
}

static int parse_into(struct ladder *l, size_t len, struct err *err)
{
    struct parse p = { .l = l };
    int r = yaml_in_open(&p.in, l->text, len, l->where, err);
    if (r < 0)
        return r;
    for (enum codec_id c = 0; c < CODEC_MAX; c++)
        rung_init(&p.defaults[c], c);
    r = parse_document(&p);
    for (enum codec_id c = 0; c < CODEC_MAX; c++)
        rung_release(&p.defaults[c]);
    yaml_in_close(&p.in);
    return r == 0 ? fill_texts(l) : r;
}

DEFINE_CLEANUP(struct ladder *, ladder_free);

int ladder_parse(const char *yaml, size_t len, const char *where, struct ladder **ret,
                 struct err *err)
{
    if (len > LADDER_BYTES_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%s: %zu bytes, more than the %d of a ladder",
                       where, len, LADDER_BYTES_MAX);
    const char *nul = memchr(yaml, '\0', len);
    if (nul)
        return err_set(err, -EINVAL, ERR_USAGE, "%s: not YAML: a NUL character at byte %zu", where,
                       (size_t)(nul - yaml));
    _cleanup_(ladder_freep) struct ladder *l = ladder_new(yaml, len, where);
    int r = l ? parse_into(l, len, err) : -ENOMEM;
    if (r == -ENOMEM)
        return err_set(err, r, ERR_RESOURCE, "%s: out of memory", where);
    if (r < 0)
        return r;
    *ret = take_ptr(l);
    return 0;
}

void ladder_free(struct ladder *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_rungs; i++)
        rung_release(&l->rungs[i]);
    free(l->rungs);
    free(l->where);
    free(l->text);
    free(l->name);
    free(l->description);
    free(l);
}

const char *ladder_name(const struct ladder *l)
{
    return l->name;
}

const char *ladder_description(const struct ladder *l)
{
    return l->description;
}

const char *ladder_text(const struct ladder *l)
{
    return l->text;
}

const char *ladder_digest(const struct ladder *l)
{
    return l->digest;
}

double ladder_segment_seconds(const struct ladder *l)
{
    return l->segment_seconds;
}

double ladder_gop_seconds(const struct ladder *l)
{
    return l->gop_seconds;
}

int ladder_default_track(const struct ladder *l)
{
    return l->default_track;
}
