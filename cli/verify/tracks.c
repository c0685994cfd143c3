/* Loads one rendition: every byte is read once, hashed, parsed and given to
 * the checks that need bytes; what stays is times and places. */
#include "tracks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "codec.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

static int load_init(struct package *p, struct rendition *r)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *buf = NULL;
    size_t len;
    if (!r->media->map_uri)
        return 0; /* hls.media says so */
    if (path_join(r->playlist, r->media->map_uri, r->init_path) < 0) {
        r->init_path[0] = '\0';
        report_fail(p->report, CHECK_FILES_NAMED, "%s: EXT-X-MAP leaves the package", r->playlist);
        return 0;
    }
    int rc = package_read(p, r->init_path, SEGMENT_BYTES_MAX, &buf, &len, &err);
    if (rc < 0) {
        report_fail(p->report, CHECK_FILES_NAMED, "%s", err.text);
        return rc == -ENOMEM ? rc : 0;
    }
    r->init_size = len;
    if (digest("sha256", buf, len, r->init_sha256) < 0 || digest("md5", buf, len, r->init_md5) < 0)
        return -ENOMEM;
    rc = bmff_init_parse(buf, len, &r->init, &err);
    if (rc < 0) {
        report_fail(p->report, CHECK_INIT_BOXES, "%s: %s", r->init_path, err.text);
        return 0;
    }
    r->has_init = 1;
    r->kind = r->init.handler == FOURCC('s', 'o', 'u', 'n') ? KIND_AUDIO : KIND_VIDEO;
    /* Only a sane edit: longer ones fail init.edits and would hide the rest. */
    if (r->init.n_edits && r->init.edit_media_time > 0 &&
        r->init.edit_media_time <= (int64_t)r->init.timescale)
        r->priming = r->init.edit_media_time;
    check_init(p, r);
    return 0;
}

static int add_frames(struct rendition *r, const struct bmff_segment *b)
{
    if (r->n_frames + b->n_samples > r->frames_room) {
        size_t room = r->frames_room * 2 + b->n_samples + 256;
        struct frame *grown = realloc(r->frames, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        r->frames = grown;
        r->frames_room = room;
    }
    for (size_t i = 0; i < b->n_samples; i++)
        r->frames[r->n_frames++] = (struct frame){ .dts = b->samples[i].dts,
                                                   .pts = b->samples[i].pts,
                                                   .duration = b->samples[i].duration };
    return 0;
}

static int add_fragments(struct rendition *r, size_t segment, const struct bmff_segment *b)
{
    if (r->n_fragments + b->n_moofs > r->fragments_room) {
        size_t room = r->fragments_room * 2 + b->n_moofs + 16;
        struct fragment *grown = realloc(r->fragments, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        r->fragments = grown;
        r->fragments_room = room;
    }
    for (size_t i = 0; i < b->n_moofs; i++) {
        const struct bmff_moof *m = &b->moofs[i];
        const struct bmff_sample *first = m->n_samples ? &b->samples[m->first_sample] : NULL;
        r->fragments[r->n_fragments++] =
            (struct fragment){ .off = m->off,
                               .end = m->end,
                               .first_sample_end = first ? first->off + first->size : 0,
                               .tfdt = (int64_t)m->tfdt,
                               .stop = (int64_t)(m->tfdt + m->duration),
                               .segment = segment,
                               .first_frame = r->n_frames + m->first_sample,
                               .n_frames = m->n_samples };
    }
    return 0;
}

static int take_segment(struct rendition *r, size_t i, const struct bmff_segment *b)
{
    struct segment *s = &r->segments[i];
    s->first_fragment = r->n_fragments;
    s->n_fragments = b->n_moofs;
    int rc = add_fragments(r, i, b);
    if (!rc)
        rc = add_frames(r, b);
    if (rc < 0)
        return rc;
    s->start = r->fragments[s->first_fragment].tfdt;
    s->end = r->fragments[r->n_fragments - 1].stop;
    s->shown = s->start > r->priming ? s->start - r->priming : 0;
    s->until = s->end > r->priming ? s->end - r->priming : 0;
    s->readable = 1;
    return 0;
}

static int load_segment(struct package *p, struct rendition *r, size_t i)
{
    struct segment *s = &r->segments[i];
    const struct m3u8_segment *from = &r->media->segments[i];
    struct err err = { 0 };
    _cleanup_free_ uint8_t *buf = NULL;
    size_t len;
    s->extinf = from->extinf;
    s->line = from->line;
    if (path_join(r->playlist, from->uri, s->path) < 0) {
        s->path[0] = '\0';
        report_fail(p->report, CHECK_FILES_NAMED, "%s:%u: %s isn't a path inside the package",
                    r->playlist, from->line, from->uri);
        return 0;
    }
    int rc = package_read(p, s->path, SEGMENT_BYTES_MAX, &buf, &len, &err);
    if (rc < 0) {
        report_fail(p->report, CHECK_FILES_NAMED, "%s", err.text);
        return rc == -ENOMEM ? rc : 0;
    }
    s->size_bytes = len;
    if (digest("sha256", buf, len, s->sha256) < 0 || digest("md5", buf, len, s->md5) < 0)
        return -ENOMEM;
    if (!r->has_init)
        return 0;
    struct bmff_segment b = { 0 };
    rc = bmff_segment_parse(buf, len, &r->init, &b, &err);
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0) {
        report_fail(p->report, CHECK_SEG_BOXES, "%s: %s", s->path, err.text);
        return 0;
    }
    check_segment_bytes(p, r, s, buf, &b);
    r->segments[i].captions = r->kind == KIND_VIDEO && captions_are_in(buf, &b);
    rc = take_segment(r, i, &b);
    bmff_segment_release(&b);
    return rc;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int finish(struct rendition *r)
{
    r->whole = r->has_init && r->n_segments > 0;
    for (size_t i = 0; i < r->n_segments; i++)
        r->whole &= r->segments[i].readable;
    r->shown = calloc(r->n_frames + 1, sizeof(*r->shown));
    if (!r->shown)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_frames; i++)
        r->shown[i] = r->frames[i].pts;
    qsort(r->shown, r->n_frames, sizeof(*r->shown), by_time);
    return 0;
}

int package_load_rendition(struct package *p, struct rendition *r)
{
    report_ran(p->report, CHECK_FILES_NAMED);
    int rc = load_init(p, r);
    r->segments = calloc(r->media->n_segments + 1, sizeof(*r->segments));
    if (rc < 0 || !r->segments)
        return -ENOMEM;
    r->n_segments = r->media->n_segments;
    for (size_t i = 0; i < r->n_segments && rc >= 0; i++)
        rc = load_segment(p, r, i);
    return rc < 0 ? rc : finish(r);
}
