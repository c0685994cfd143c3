/* params.c - a rung's parameters as each encoder takes them, complete:
 * chunks encoded with them anywhere join, and the encoder makes no keyframe
 * that wasn't asked for. docs/ladders.md lists what comes out. */
#include <errno.h>
#include <libavutil/pixfmt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder_parts.h"

/* A P picture or two: see rendition.warm_up. */
enum { WARM_UP_FRAMES = 5 };
/* Half of what x264 looks ahead: a third of the difference that a cut makes is left. x265 shows
 * none. See rendition.look_ahead. */
enum { LOOK_AHEAD_FRAMES = 20 };

int rendition_param_add(struct rendition *r, const char *key, const char *fmt, ...)
{
    struct param *p = realloc(r->params, (r->n_params + 1) * sizeof(*p));
    if (!p)
        return -ENOMEM;
    r->params = p;
    p[r->n_params] = (struct param){ strdup(key), NULL };
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&p[r->n_params].value, fmt, ap);
    va_end(ap);
    if (n >= 0 && p[r->n_params].key) {
        r->n_params++;
        return 0;
    }
    free(p[r->n_params].key);
    if (n >= 0)
        free(p[r->n_params].value);
    return -ENOMEM;
}

static const char *x264_profile(const struct rung *g, const struct rendition *r)
{
    if (*g->profile)
        return g->profile;
    return strstr(r->pix_fmt, "10") ? "high10" : "high";
}

static const char *preset_of(const struct rung *g)
{
    return *g->preset ? g->preset : g->encoder->preset_default;
}

static double crf_of(const struct rung *g)
{
    return g->crf >= 0 ? g->crf : g->encoder->crf_default;
}

/* maxrate and bufsize as AVCodecContext takes them. */
static int add_caps(const struct rung *g, struct rendition *r, int64_t bufsize)
{
    if (rendition_param_add(r, "maxrate", "%lld", (long long)g->maxrate) < 0)
        return -ENOMEM;
    return rendition_param_add(r, "bufsize", "%lld", (long long)bufsize);
}

/* "own:key=value:…" with what the ladder says last. */
static int add_private(const struct rung *g, struct rendition *r, const char *own)
{
    char *buf = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&buf, &len);
    if (!f)
        return -ENOMEM;
    const char *sep = "";
    if (*own) {
        fputs(own, f);
        sep = ":";
    }
    for (size_t i = 0; i < g->n_params; i++, sep = ":")
        fprintf(f, "%s%s=%s", sep, g->params[i].key, g->params[i].value);
    int e = fclose(f) ? -ENOMEM : 0;
    if (e == 0 && len > 0)
        e = rendition_param_add(r, g->encoder->params_key, "%s", buf);
    free(buf);
    return e;
}

/* min-keyint is what keeps x264 from making a scene cut an IDR: its largest
 * legal value is half of keyint, plus one. */
int encoder_params_x264(const struct rung *g, struct rendition *r, int64_t bufsize)
{
    r->warm_up = WARM_UP_FRAMES;
    r->look_ahead = LOOK_AHEAD_FRAMES;
    int e = rendition_param_add(r, "preset", "%s", preset_of(g));
    if (e == 0)
        e = rendition_param_add(r, "profile", "%s", x264_profile(g, r));
    if (e == 0)
        e = rendition_param_add(r, "crf", "%g", crf_of(g));
    if (e == 0)
        e = add_caps(g, r, bufsize);
    if (e == 0)
        e = rendition_param_add(r, "forced-idr", "1");
    if (e == 0)
        e = add_private(g, r, "keyint=infinite:min-keyint=536870912:open-gop=0");
    return e;
}

/* x265's own: ":hdr10=1:master-display=…:max-cll=…". What a display does with PQ depends on them;
 * HLG has them where a source of it had. */
static void x265_hdr(const struct rendition *r, char *ret, size_t size)
{
    const struct hdr_info *h = &r->hdr;
    int n = snprintf(ret, size, "%s",
                     r->color.transfer == AVCOL_TRC_SMPTE2084 ? ":hdr10-opt=1" : "");

    if (h->has_mastering || h->max_cll)
        n += snprintf(ret + n, size - (size_t)n, ":hdr10=1");
    if (h->has_mastering)
        n += snprintf(ret + n, size - (size_t)n,
                      ":master-display=G(%u,%u)B(%u,%u)R(%u,%u)WP(%u,%u)L(%u,%u)", h->green[0],
                      h->green[1], h->blue[0], h->blue[1], h->red[0], h->red[1], h->white[0],
                      h->white[1], h->max_luminance, h->min_luminance);
    if (h->max_cll)
        (void)snprintf(ret + n, size - (size_t)n, ":max-cll=%u,%u", h->max_cll, h->max_fall);
}

int encoder_params_x265(const struct rung *g, struct rendition *r, int64_t bufsize)
{
    char own[512], hdr[256];
    r->warm_up = WARM_UP_FRAMES;
    int e = rendition_param_add(r, "preset", "%s", preset_of(g));
    int ten = strstr(r->pix_fmt, "10") != NULL;
    if (e == 0)
        e = rendition_param_add(r, "profile", "%s",
                                *g->profile ? g->profile
                                : ten       ? "main10"
                                            : "main");
    if (e == 0)
        e = rendition_param_add(r, "crf", "%g", crf_of(g));
    if (e == 0)
        e = add_caps(g, r, bufsize);
    if (e == 0)
        e = rendition_param_add(r, "forced-idr", "1");
    x265_hdr(r, hdr, sizeof(hdr));
    (void)snprintf(own, sizeof(own),
                   "keyint=-1:min-keyint=1000000:open-gop=0:%s:frame-threads=1:repeat-headers=0:"
                   "info=0:log-level=error%s",
                   r->threads > 1 ? "pools=2:wpp=1" : "pools=none:wpp=0", hdr);
    return e < 0 ? e : add_private(g, r, own);
}

/* With crf and a bit rate libaom runs "constrained quality". Where a GOP's
 * keyframes are is up to the worker: see rendition.gop_reset. */
int encoder_params_aom(const struct rung *g, struct rendition *r, int64_t bufsize)
{
    const struct {
        const char *key, *value;
    } own[] = {
        {"usage",          "good"                        },
        { "cpu-used",      preset_of(g)                  },
        { "lag-in-frames", "25"                          },
        { "row-mt",        r->threads > 1 ? "1" : "0"    },
        { "tiles",         r->threads > 1 ? "2x1" : "1x1"},
    };
    r->gop_reset = 1;
    int e = rendition_param_add(r, "crf", "%g", crf_of(g));
    if (e == 0)
        e = rendition_param_add(r, "b", "%lld", (long long)g->maxrate);
    if (e == 0)
        e = rendition_param_add(r, "bufsize", "%lld", (long long)bufsize);
    for (size_t i = 0; e == 0 && i < sizeof(own) / sizeof(own[0]); i++)
        e = rendition_param_add(r, own[i].key, "%s", own[i].value);
    return e < 0 ? e : add_private(g, r, "");
}

/* SVT-AV1's own: ":mastering-display=…:content-light=…", in cd/m2 and parts of one. */
static void svt_hdr(const struct rendition *r, char *ret, size_t size)
{
    const struct hdr_info *h = &r->hdr;
    int n = 0;

    *ret = '\0';
    if (h->has_mastering)
        n = snprintf(ret, size,
                     ":mastering-display=G(%.5f,%.5f)B(%.5f,%.5f)R(%.5f,%.5f)WP(%.5f,%.5f)"
                     "L(%.4f,%.4f)",
                     h->green[0] / 5e4, h->green[1] / 5e4, h->blue[0] / 5e4, h->blue[1] / 5e4,
                     h->red[0] / 5e4, h->red[1] / 5e4, h->white[0] / 5e4, h->white[1] / 5e4,
                     h->max_luminance / 1e4, h->min_luminance / 1e4);
    if (h->max_cll)
        (void)snprintf(ret + n, size - (size_t)n, ":content-light=%u,%u", h->max_cll, h->max_fall);
}

int encoder_params_svt(const struct rung *g, struct rendition *r, int64_t bufsize)
{
    char own[512], hdr[256];
    int e = rendition_param_add(r, "preset", "%s", preset_of(g));
    if (e == 0)
        e = rendition_param_add(r, "crf", "%g", crf_of(g));
    if (e == 0)
        e = add_caps(g, r, bufsize);
    if (e == 0)
        e = rendition_param_add(r, "g", "9999");
    svt_hdr(r, hdr, sizeof(hdr));
    (void)snprintf(own, sizeof(own), "lp=%d:scd=0:enable-force-key-frames=1%s", r->threads, hdr);
    return e < 0 ? e : add_private(g, r, own);
}
