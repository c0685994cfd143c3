#include "field.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"

enum field_type {
    T_NAME,
    T_CODEC,
    T_ENCODER,
    T_INT,
    T_NUM,
    T_LEVEL, /* a number that may be below 0 */
    T_RATE,
    T_FPS,
    T_WORD,
    T_RANGE,
    T_COPY,
    T_PARAMS
};

struct field {
    const char *key;
    enum field_type type;
    size_t offset;
    double least, most;
    const char *unit;
    int own; /* 1: not in defaults */
};

#define AT(member) offsetof(struct rung, member)

static const struct field video_fields[] = {
    {"name",     T_NAME, 0, 0, 0, "", 1 },
    { "codec",         T_CODEC, 0, 0, 0, "", 1 },
    { "encoder",         T_ENCODER, 0, 0, 0, "", 0 },
    { "size",         T_INT, AT(size), 64, 4320, " pixel", 1 },
    { "max_fps",   T_FPS, AT(max_fps), 1, 240, " frames/s", 0 },
    { "crf",         T_NUM, AT(crf), 0, 63, "", 0 },
    { "maxrate",         T_RATE, AT(maxrate), 100e3, 400e6, "", 0 },
    { "bufsize",         T_RATE, AT(bufsize), 50e3, 2000e6, "", 0 },
    { "preset", T_WORD, AT(preset), 0, 0, "", 0 },
    { "profile",         T_WORD, AT(profile), 0, 0, "", 0 },
    { "bit_depth",         T_INT, AT(bit_depth), 8, 10, " bit", 0 },
    { "range",         T_RANGE, AT(range), 0, 0, "", 0 },
    { "copy",    T_COPY, AT(copy), 0, 0, "", 0 },
    { "params",  T_PARAMS, 0, 0, 0, "", 0 },
    { 0     },
};

static const struct field audio_fields[] = {
    {"name",   T_NAME, 0, 0, 0, "", 1 },
    { "codec",       T_CODEC, 0, 0, 0, "", 1 },
    { "bitrate",       T_RATE, AT(bitrate), 16e3, 640e3, "", 0 },
    { "channels",       T_INT, AT(channels), 1, 8, "", 0 },
    { "sample_rate", T_INT, AT(sample_rate), 16000, 48000, " Hz", 0 },
    { "loudness",       T_LEVEL, AT(loudness), -31, -8, " LUFS", 0 },
    { "true_peak",       T_LEVEL, AT(true_peak), -9, 0, " dB", 0 },
    { 0      },
};

/* ---- values ---- */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits, at most 12 of them, with one point; *end is what follows. */
static int decimal_prefix(const char *s, double *ret, const char **end)
{
    double v = 0, scale = 1;
    int digits = 0, point = 0;
    for (; is_digit(*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = 1;
            continue;
        }
        if (++digits > 12)
            return -EINVAL;
        v = v * 10 + (*s - '0');
        scale *= point ? 10 : 1;
    }
    if (digits == 0 || s[-1] == '.')
        return -EINVAL;
    *ret = v / scale;
    *end = s;
    return 0;
}

int field_decimal(const char *s, double *ret)
{
    const char *end;
    double v;
    if (decimal_prefix(s, &v, &end) < 0 || *end)
        return -EINVAL;
    *ret = v;
    return 0;
}

/* "400 kb/s", "6 Mb/s": how people say rates. */
static const char *rate_text(double v, char buf[32])
{
    if (v >= 1e6)
        (void)snprintf(buf, 32, "%g Mb/s", v / 1e6);
    else
        (void)snprintf(buf, 32, "%g kb/s", v / 1e3);
    return buf;
}

static int out_of_range(struct yaml_in *in, const yaml_node_t *n, const char *key, const char *text,
                        int below, const char *limit)
{
    return yaml_in_fail(in, yaml_in_line(n), "%s %.32s is %s the %s %s", key, text,
                        below ? "below" : "above", limit, below ? "minimum" : "maximum");
}

static int check_range(struct yaml_in *in, const yaml_node_t *n, const char *key, const char *text,
                       double v, double least, double most, const char *unit)
{
    char limit[48];
    if (v >= least && v <= most)
        return 0;
    (void)snprintf(limit, sizeof(limit), "%g%s", v < least ? least : most, unit);
    return out_of_range(in, n, key, text, v < least, limit);
}

int field_number(struct yaml_in *in, const yaml_node_t *n, const char *key, double least,
                 double most, const char *unit, double *ret)
{
    double v;
    const char *s = yaml_in_scalar(in, n, key);
    if (!s)
        return -EINVAL;
    if (field_decimal(s, &v) < 0)
        return yaml_in_fail(in, yaml_in_line(n), "%s %.32s is not a number like 6 or 2.5", key, s);
    int r = check_range(in, n, key, s, v, least, most, unit);
    if (r == 0)
        *ret = v;
    return r;
}

static int read_level(struct yaml_in *in, const yaml_node_t *n, const struct field *f, double *ret)
{
    const char *s = yaml_in_scalar(in, n, f->key);
    double v;
    if (!s)
        return -EINVAL;
    if (field_decimal(*s == '-' ? s + 1 : s, &v) < 0)
        return yaml_in_fail(in, yaml_in_line(n), "%s %.32s is not a level like -16 or -1.5", f->key,
                            s);
    if (*s == '-')
        v = -v;
    int r = check_range(in, n, f->key, s, v, f->least, f->most, f->unit);
    if (r == 0)
        *ret = v;
    return r;
}

static int read_int(struct yaml_in *in, const yaml_node_t *n, const struct field *f, int *ret)
{
    double v;
    int r = field_number(in, n, f->key, f->least, f->most, f->unit, &v);
    if (r < 0)
        return r;
    if (v != (int)v)
        return yaml_in_fail(in, yaml_in_line(n), "%s %g is not a whole number", f->key, v);
    *ret = (int)v;
    return 0;
}

/* bit/s, or with k or M behind the number. */
static int read_rate(struct yaml_in *in, const yaml_node_t *n, const struct field *f, int64_t *ret)
{
    double v;
    const char *end, *s = yaml_in_scalar(in, n, f->key);
    if (!s)
        return -EINVAL;
    int r = decimal_prefix(s, &v, &end);
    if (r == 0 && (*end == 'k' || *end == 'M'))
        v *= *end++ == 'k' ? 1e3 : 1e6;
    if (r < 0 || *end)
        return yaml_in_fail(in, yaml_in_line(n), "%s %.32s is not a rate like 4500k or 6M", f->key,
                            s);
    char limit[32];
    if (v < f->least || v > f->most)
        return out_of_range(in, n, f->key, s, v < f->least,
                            rate_text(v < f->least ? f->least : f->most, limit));
    *ret = (int64_t)(v + 0.5);
    return 0;
}

/* Broadcast rates are written rounded but mean N*1000/1001. */
static AVRational fps_rational(double v)
{
    static const struct {
        double text;
        AVRational rate;
    } ntsc[] = {
        {23.976,  { 24000, 1001 } },
        { 23.98,  { 24000, 1001 } },
        { 29.97,  { 30000, 1001 } },
        { 59.94,  { 60000, 1001 } },
        { 119.88, { 120000, 1001 }},
    };
    for (size_t i = 0; i < sizeof(ntsc) / sizeof(ntsc[0]); i++)
        if (v > ntsc[i].text - 0.0005 && v < ntsc[i].text + 0.0005)
            return ntsc[i].rate;
    AVRational r;
    (void)av_reduce(&r.num, &r.den, (int64_t)(v * 1000 + 0.5), 1000, 1000000);
    return r;
}

static int read_fps(struct yaml_in *in, const yaml_node_t *n, const struct field *f,
                    AVRational *ret)
{
    double num, den = 1;
    const char *end, *s = yaml_in_scalar(in, n, f->key);
    if (!s)
        return -EINVAL;
    int r = decimal_prefix(s, &num, &end), ratio = 0;
    if (r == 0 && *end == '/') {
        ratio = 1;
        r = field_decimal(end + 1, &den);
    } else if (r == 0 && *end)
        r = -EINVAL;
    if (r == 0 && ratio)
        r = num == (int)num && den == (int)den && den >= 1 && den <= 1e6 && num <= 1e9 ? 0
                                                                                       : -EINVAL;
    if (r < 0)
        return yaml_in_fail(in, yaml_in_line(n),
                            "%s %.32s is not a frame rate like 30, 29.97 or 30000/1001", f->key, s);
    r = check_range(in, n, f->key, s, num / den, f->least, f->most, f->unit);
    if (r == 0)
        *ret = ratio ? av_make_q((int)num, (int)den) : fps_rational(num);
    return r;
}

static int is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static int read_name(struct yaml_in *in, const yaml_node_t *n, struct rung *g)
{
    const char *s = yaml_in_scalar(in, n, "name");
    if (!s)
        return -EINVAL;
    size_t len = strlen(s);
    for (size_t i = 0; i < len; i++)
        if (!is_digit(s[i]) && !is_lower(s[i]) && (s[i] != '-' || i == 0))
            return yaml_in_fail(in, yaml_in_line(n),
                                "name %.40s has more than lower-case letters, digits and inner "
                                "hyphens (it becomes a folder)",
                                s);
    if (len > RUNG_NAME_MAX)
        return yaml_in_fail(in, yaml_in_line(n), "name %.40s… has %zu characters, more than %d", s,
                            len, RUNG_NAME_MAX);
    memcpy(g->name, s, len + 1);
    return 0;
}

static int read_encoder(struct yaml_in *in, const yaml_node_t *n, struct rung *g)
{
    const char *s = yaml_in_scalar(in, n, "encoder");
    if (!s)
        return -EINVAL;
    const struct encoder *e = encoder_find(s);
    if (e && e->codec == g->codec) {
        g->encoder = e;
        return 0;
    }
    char names[128];
    encoder_names(g->codec, names, sizeof(names));
    return yaml_in_fail(in, yaml_in_line(n), "encoder %.32s is not one for %s: %s", s,
                        codec_name(g->codec), names);
}

static int read_range(struct yaml_in *in, const yaml_node_t *n, enum rung_range *ret)
{
    static const char *const words[] = { "sdr", "hdr", "source" };
    const char *s = yaml_in_scalar(in, n, "range");
    if (!s)
        return -EINVAL;
    for (enum rung_range i = RUNG_SDR; i <= RUNG_SOURCE; i++)
        if (!strcmp(s, words[i])) {
            *ret = i;
            return 0;
        }
    return yaml_in_fail(in, yaml_in_line(n), "range %.32s is not one of sdr, hdr, source", s);
}

static int read_copy(struct yaml_in *in, const yaml_node_t *n, int *ret)
{
    const char *s = yaml_in_scalar(in, n, "copy");
    if (!s)
        return -EINVAL;
    *ret = strcmp(s, "when-compatible") == 0;
    if (*ret || strcmp(s, "never") == 0)
        return 0;
    return yaml_in_fail(in, yaml_in_line(n), "copy %.32s is not one of never, when-compatible", s);
}

static int read_word(struct yaml_in *in, const yaml_node_t *n, const char *key, char ret[16])
{
    const char *s = yaml_in_scalar(in, n, key);
    if (!s)
        return -EINVAL;
    if (strlen(s) > 15)
        return yaml_in_fail(in, yaml_in_line(n), "%s %.32s… has more than 15 characters", key, s);
    memcpy(ret, s, strlen(s) + 1);
    return 0;
}

/* ---- params ---- */

static int text_made_of(const char *s, const char *others)
{
    for (; *s; s++)
        if (!is_digit(*s) && !is_lower(*s) && !(*s >= 'A' && *s <= 'Z') && !strchr(others, *s))
            return 0;
    return 1;
}

/* ':' and '=' would end an entry of the encoder's list early, '/' a folder. */
static int read_param(struct yaml_in *in, const yaml_node_t *kn, const yaml_node_t *vn,
                      struct rung *g)
{
    const char *key = (const char *)kn->data.scalar.value; /* checked by yaml_in_check_keys() */
    int line = yaml_in_line(kn);
    if (strlen(key) > RUNG_PARAM_KEY_MAX || !text_made_of(key, "-_"))
        return yaml_in_fail(in, line, "params: %.64s is not an encoder parameter's name", key);
    const char *value = yaml_in_scalar(in, vn, key);
    if (!value)
        return -EINVAL;
    if (strlen(value) > RUNG_PARAM_VALUE_MAX || !text_made_of(value, ".,+-_"))
        return yaml_in_fail(in, line,
                            "params: %s: a value has at most %d letters, digits and . , + - _", key,
                            RUNG_PARAM_VALUE_MAX);
    if (g->n_params >= RUNG_PARAMS_MAX)
        return yaml_in_fail(in, line, "params: more than %d entries", RUNG_PARAMS_MAX);
    return rung_param_set(g, key, value, line);
}

static int read_params(struct yaml_in *in, const yaml_node_t *n, struct rung *g)
{
    if (n->type != YAML_MAPPING_NODE)
        return yaml_in_fail(in, yaml_in_line(n), "params is not a mapping from parameter to value");
    const yaml_node_pair_t *p = n->data.mapping.pairs.start, *top = n->data.mapping.pairs.top;
    if (top - p > RUNG_PARAMS_MAX)
        return yaml_in_fail(in, yaml_in_line(n), "params has %td entries, more than %d", top - p,
                            RUNG_PARAMS_MAX);
    int r = yaml_in_check_keys(in, n, NULL);
    for (; r == 0 && p < top; p++)
        r = read_param(in, yaml_in_node(in, p->key), yaml_in_node(in, p->value), g);
    return r;
}

/* ---- a mapping ---- */

static int read_field(struct yaml_in *in, const struct field *f, const yaml_node_t *n,
                      struct rung *g)
{
    void *at = (char *)g + f->offset;
    switch (f->type) {
    case T_NAME:
        return read_name(in, n, g);
    case T_CODEC:
        return 0; /* read before, it chose the defaults */
    case T_ENCODER:
        return read_encoder(in, n, g);
    case T_INT:
        return read_int(in, n, f, at);
    case T_NUM:
        return field_number(in, n, f->key, f->least, f->most, f->unit, at);
    case T_LEVEL:
        return read_level(in, n, f, at);
    case T_RATE:
        return read_rate(in, n, f, at);
    case T_FPS:
        return read_fps(in, n, f, at);
    case T_WORD:
        return read_word(in, n, f->key, at);
    case T_RANGE:
        return read_range(in, n, at);
    case T_COPY:
        return read_copy(in, n, at);
    case T_PARAMS:
        return read_params(in, n, g);
    }
    return -EINVAL;
}

int fields_read(struct yaml_in *in, const yaml_node_t *map, int as_defaults, struct rung *g)
{
    const struct field *fields = codec_kind(g->codec) == MEDIA_VIDEO ? video_fields : audio_fields;
    const char *known[sizeof(video_fields) / sizeof(video_fields[0])];
    size_t n = 0;
    if (map->type != YAML_MAPPING_NODE)
        return yaml_in_fail(in, yaml_in_line(map), "not a mapping of keys like crf: and maxrate:");
    for (const struct field *f = fields; f->key; f++)
        if (!as_defaults || !f->own)
            known[n++] = f->key;
    known[n] = NULL;

    int r = yaml_in_check_keys(in, map, known);
    for (const struct field *f = fields; r == 0 && f->key; f++) {
        const yaml_node_t *v = yaml_in_get(in, map, f->key);
        if (v)
            r = read_field(in, f, v, g);
    }
    return r;
}

/* ---- what belongs together ---- */

/* The line of `key` in this entry, or of the entry if a default said it. */
static int line_of(struct yaml_in *in, const yaml_node_t *map, const char *key)
{
    const yaml_node_t *n = yaml_in_get(in, map, key);
    return yaml_in_line(n ? n : map);
}

static int check_preset(struct yaml_in *in, const yaml_node_t *map, const struct rung *g)
{
    if (encoder_preset(g->encoder, g->preset))
        return 0;
    char list[200] = "";
    size_t n = 0;
    for (const struct preset *p = g->encoder->presets; p->name && n < sizeof(list); p++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", p->name);
    return yaml_in_fail(in, line_of(in, map, "preset"), "preset %s is not one of %s: %s", g->preset,
                        g->encoder->name, list);
}

static int check_profile(struct yaml_in *in, const yaml_node_t *map, const struct rung *g, int ten)
{
    static const struct {
        enum codec_id codec;
        int ten; /* 2: both depths */
        const char *name;
    } rows[] = {
        {CODEC_H264,  0, "baseline"},
        { CODEC_H264, 0, "main"    },
        { CODEC_H264, 0, "high"    },
        { CODEC_H264, 1, "high10"  },
        { CODEC_HEVC, 0, "main"    },
        { CODEC_HEVC, 1, "main10"  },
        { CODEC_AV1,  2, "main"    },
    };
    char list[64] = "";
    size_t n = 0;
    if (!*g->profile)
        return 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].codec != g->codec || (rows[i].ten != 2 && rows[i].ten != ten))
            continue;
        if (!strcmp(rows[i].name, g->profile))
            return 0;
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", rows[i].name);
    }
    return yaml_in_fail(in, line_of(in, map, "profile"),
                        "profile %s is not one of %s at %d bit: %s", g->profile,
                        codec_name(g->codec), ten ? 10 : 8, list);
}

static int check_depth(struct yaml_in *in, const yaml_node_t *map, const struct rung *g)
{
    if (g->bit_depth == 9)
        return yaml_in_fail(in, line_of(in, map, "bit_depth"), "bit_depth 9 is neither 8 nor 10");
    if (g->range == RUNG_SDR)
        return 0;
    if (g->codec == CODEC_H264)
        return yaml_in_fail(in, line_of(in, map, "range"),
                            "range %s needs hevc or av1: players don't expect HDR in h264",
                            g->range == RUNG_HDR ? "hdr" : "source");
    if (g->bit_depth == 8)
        return yaml_in_fail(in, line_of(in, map, "bit_depth"),
                            "bit_depth 8 can't hold HDR; leave it out or say range: sdr");
    return 0;
}

static int check_crf(struct yaml_in *in, const yaml_node_t *map, const struct rung *g)
{
    const struct encoder *e = g->encoder;
    if (g->crf < 0)
        return 0;
    int line = line_of(in, map, "crf");
    if (g->crf < e->crf_min || g->crf > e->crf_max)
        return yaml_in_fail(in, line, "crf %g is outside %g to %g of %s", g->crf, e->crf_min,
                            e->crf_max, e->name);
    if (e->crf_integer && g->crf != (int)g->crf)
        return yaml_in_fail(in, line, "crf %g: %s takes whole numbers only", g->crf, e->name);
    return 0;
}

static int check_rates(struct yaml_in *in, const yaml_node_t *map, const struct rung *g)
{
    if (g->maxrate == 0)
        return yaml_in_fail(in, yaml_in_line(map),
                            "maxrate is missing; the cap in bit/s, like 4500k or 6M");
    if (g->bufsize == 0)
        return 0;
    int line = line_of(in, map, "bufsize");
    if (g->bufsize < g->maxrate / 2)
        return yaml_in_fail(in, line, "bufsize holds less than half a second at maxrate");
    if (g->bufsize > g->maxrate * 10)
        return yaml_in_fail(in, line, "bufsize holds more than ten seconds at maxrate");
    return 0;
}

static int check_params(struct yaml_in *in, const struct rung *g)
{
    for (size_t i = 0; i < g->n_params; i++)
        for (const char *const *k = g->encoder->reserved; *k; k++) {
            const char *a = g->params[i].key, *b = *k;
            /* x264 takes '_' for '-' and "no-" before any switch. */
            if (!strncmp(a, "no-", 3) || !strncmp(a, "no_", 3))
                a += 3;
            for (; *a && (*a == '_' ? '-' : *a) == *b; a++)
                b++;
            if (!*a && !*b)
                return yaml_in_fail(
                    in, g->param_lines[i],
                    "params: %s is not a ladder's to set (docs/ladders.md says why)",
                    g->params[i].key);
        }
    return 0;
}

static int finish_video(struct yaml_in *in, const yaml_node_t *map, struct rung *g)
{
    if (g->size == 0)
        return yaml_in_fail(in, yaml_in_line(map), "size is missing; the short side in pixels");
    if (g->size % 2)
        return yaml_in_fail(in, line_of(in, map, "size"),
                            "size %d is odd; encoders need even sizes", g->size);
    if (!*g->name)
        (void)snprintf(g->name, sizeof(g->name), "%dp", g->size);
    int ten = g->bit_depth == 10 || g->range == RUNG_HDR;
    int r = check_preset(in, map, g);
    if (r == 0)
        r = check_depth(in, map, g);
    if (r == 0)
        r = check_profile(in, map, g, ten);
    if (r == 0 && g->range == RUNG_SOURCE && *g->profile && g->codec == CODEC_HEVC)
        r = yaml_in_fail(in, line_of(in, map, "profile"),
                         "range source decides the profile by the source; leave profile out");
    if (r == 0)
        r = check_crf(in, map, g);
    if (r == 0)
        r = check_rates(in, map, g);
    return r == 0 ? check_params(in, g) : r;
}

static int finish_audio(struct yaml_in *in, const yaml_node_t *map, struct rung *g)
{
    if (!*g->name)
        (void)snprintf(g->name, sizeof(g->name), "%s-%dk", codec_name(g->codec),
                       (int)(g->bitrate / 1000));
    if (g->channels != 1 && g->channels != 2 && g->channels != 6 && g->channels != 8)
        return yaml_in_fail(in, line_of(in, map, "channels"),
                            "channels %d is not one of 1, 2, 6 (5.1), 8 (7.1)", g->channels);
    int hz = g->sample_rate;
    if (g->codec == CODEC_OPUS && hz && hz != 48000)
        return yaml_in_fail(in, line_of(in, map, "sample_rate"), "opus is always 48000 Hz");
    if (hz && hz != 48000 && hz != 44100 && hz != 32000 && hz != 24000 && hz != 22050 &&
        hz != 16000)
        return yaml_in_fail(in, line_of(in, map, "sample_rate"),
                            "sample_rate %d is not one of 16000, 22050, 24000, 32000, 44100, 48000",
                            hz);
    if (g->true_peak <= 0 && g->loudness == 0)
        return yaml_in_fail(in, line_of(in, map, "true_peak"),
                            "true_peak says nothing without loudness");
    int64_t most = g->channels * INT64_C(256000);
    if (g->bitrate > most)
        return yaml_in_fail(in, line_of(in, map, "bitrate"),
                            "bitrate %lld is above %lld for %d channel%s", (long long)g->bitrate,
                            (long long)most, g->channels, g->channels > 1 ? "s" : "");
    return 0;
}

int fields_finish(struct yaml_in *in, const yaml_node_t *map, struct rung *g)
{
    return codec_kind(g->codec) == MEDIA_VIDEO ? finish_video(in, map, g)
                                               : finish_audio(in, map, g);
}
