#include "fields.h"
#include "media_info.h"
#include "parts.h"
#include <string.h>

enum { CD_M2_MAX = 65535 };

/* x and y of a point, in 0.00002. */
static json_t *points_to_json(const struct hdr_info *h)
{
    return json_pack("[[i,i],[i,i],[i,i],[i,i]]", h->red[0], h->red[1], h->green[0], h->green[1],
                     h->blue[0], h->blue[1], h->white[0], h->white[1]);
}

void hdr_write(struct out *o, const struct hdr_info *h)
{
    struct out v;

    if (!h->has_mastering && !h->max_cll && !h->max_fall)
        return;
    v = out_new();
    if (h->has_mastering) {
        out_put(&v, "points", points_to_json(h));
        out_int(&v, "max_luminance", h->max_luminance);
        out_int(&v, "min_luminance", h->min_luminance);
    }
    out_int(&v, "max_cll", h->max_cll);
    out_int(&v, "max_fall", h->max_fall);
    out_put(o, "hdr", out_done(&v));
}

static void points_read(const struct in *v, struct hdr_info *h)
{
    uint16_t *const to[] = { h->red, h->green, h->blue, h->white };
    size_t n;
    struct in a = in_array(v, "points", 4, &n);

    if (n != 4)
        in_fail(&a, "must have red, green, blue and white");
    for (size_t i = 0; in_ok(v) && i < 4; i++) {
        struct in p = in_at(&a, i), x = { 0 }, y = { 0 };
        if (json_array_size(p.j) != 2) {
            in_fail(&p, "must have an x and a y");
            return;
        }
        x = in_at(&p, 0);
        y = in_at(&p, 1);
        to[i][0] = (uint16_t)in_number(&x, 0, UINT16_MAX);
        to[i][1] = (uint16_t)in_number(&y, 0, UINT16_MAX);
    }
}

void hdr_read(const struct in *o, struct hdr_info *ret)
{
    struct in v = in_field(o, "hdr");

    memset(ret, 0, sizeof(*ret));
    if (!v.j)
        return;
    in_is_object(&v);
    if (in_field(&v, "points").j) {
        ret->has_mastering = 1;
        points_read(&v, ret);
        ret->max_luminance = (uint32_t)in_int(&v, "max_luminance", 1, INT32_MAX);
        ret->min_luminance = (uint32_t)in_int(&v, "min_luminance", 0,
                                              (int64_t)ret->max_luminance - 1);
    }
    ret->max_cll = (unsigned)in_int(&v, "max_cll", 0, CD_M2_MAX);
    ret->max_fall = (unsigned)in_int(&v, "max_fall", 0, CD_M2_MAX);
}
