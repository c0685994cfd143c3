#include "unkept.h"

#include "../base/err.h"
#include "open.h"
#include "probe.h"

#include <errno.h>
#include <libavutil/spherical.h>
#include <libavutil/stereo3d.h>

static const char *what_of(const AVStream *st)
{
    if (av_stream_get_side_data(st, AV_PKT_DATA_SPHERICAL, NULL))
        return "spherical: players show them flat";
    size_t n = 0;
    const AVStereo3D *views = (const void *)av_stream_get_side_data(st, AV_PKT_DATA_STEREO3D, &n);

    if (views && n >= sizeof(*views) && views->type != AV_STEREO3D_2D)
        return "of two views: players show both as one";
    return NULL;
}

int unkept_tell(const struct media_source *s, struct media_info *i, struct err *err)
{
    int r = 0;

    if (i->video.stream < 0)
        return 0;
    const char *what = what_of(s->fmt->streams[i->video.stream]);
    if (what)
        r = probe_warn(i, "the pictures are %s, for the package doesn't say so", what);
    return r == -ENOMEM ? err_set(err, r, ERR_RESOURCE, "out of memory while probing") : r;
}
