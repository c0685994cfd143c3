#include "texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

enum { TRACKS_MAX = 64 };
#define TEXT_BYTES_MAX (UINT64_C(64) << 20)

void texts_free(struct package *p)
{
    for (size_t i = 0; i < p->n_texts; i++) {
        struct text_track *t = &p->texts[i];
        for (size_t k = 0; k < t->n_segments; k++)
            vtt_free(t->segments[k].vtt);
        free(t->segments);
        vtt_free(t->all);
        m3u8_free(t->media);
    }
    free(p->texts);
}

int texts_add(struct package *p, const char *playlist)
{
    const char *slash = strrchr(playlist, '/');
    for (size_t i = 0; i < p->n_texts; i++)
        if (!strcmp(p->texts[i].playlist, playlist))
            return 0;
    if (p->n_texts == TRACKS_MAX || !slash || strlen(playlist) + 16 >= PATH_LEN_MAX) {
        report_fail(p->report, CHECK_TEXT_NAMED, "%s: a strange place, or more than %d tracks",
                    playlist, TRACKS_MAX);
        return 0;
    }
    struct text_track *grown = realloc(p->texts, (p->n_texts + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    p->texts = grown;
    struct text_track *t = &grown[p->n_texts++];
    *t = (struct text_track){ 0 };
    strcpy(t->playlist, playlist);
    memcpy(t->folder, playlist, (size_t)(slash - playlist));
    (void)path_join(playlist, "all.vtt", t->whole);
    return 0;
}

/* *ret_vtt NULL where it can't be read or isn't one. */
static int read_file(struct package *p, const char *path, struct vtt **ret_vtt, uint64_t *ret_size,
                     char ret_sha256[65], char ret_md5[33])
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *text = NULL;
    size_t len;
    int r = package_read(p, path, TEXT_BYTES_MAX, &text, &len, &err);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        report_fail(p->report, r == -ENOENT ? CHECK_FILES_NAMED : CHECK_TEXT_CUES, "%s", err.text);
        return 0;
    }
    *ret_size = len;
    if (digest("sha256", text, len, ret_sha256) < 0 || digest("md5", text, len, ret_md5) < 0)
        return -ENOMEM;
    r = vtt_parse((const char *)text, len, ret_vtt, &err);
    if (r < 0 && r != -ENOMEM)
        report_fail(p->report, CHECK_TEXT_CUES, "%s: %s", path, err.text);
    return r == -ENOMEM ? r : 0;
}

static int load_segments(struct package *p, struct text_track *t)
{
    t->segments = calloc(t->media->n_segments + 1, sizeof(*t->segments));
    if (!t->segments)
        return -ENOMEM;
    for (; t->n_segments < t->media->n_segments; t->n_segments++) {
        const struct m3u8_segment *m = &t->media->segments[t->n_segments];
        struct text_segment *s = &t->segments[t->n_segments];
        s->extinf = m->extinf;
        s->line = m->line;
        if (path_join(t->playlist, m->uri, s->path) < 0) {
            report_fail(p->report, CHECK_TEXT_NAMED, "%s:%u: %s isn't a path inside the package",
                        t->playlist, m->line, m->uri);
            continue;
        }
        int r = read_file(p, s->path, &s->vtt, &s->size_bytes, s->sha256, s->md5);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_playlist(struct package *p, struct text_track *t)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *text = NULL;
    size_t len;
    int r = package_read(p, t->playlist, PLAYLIST_BYTES_MAX, &text, &len, &err);
    if (!r)
        r = m3u8_parse((const char *)text, len, &t->media, &err);
    if (r < 0 && r != -ENOMEM)
        report_fail(p->report, CHECK_TEXT_NAMED, "%s: %s", t->playlist, err.text);
    return r == -ENOMEM ? r : 0;
}

int texts_load(struct package *p)
{
    for (size_t i = 0; i < p->n_texts; i++) {
        struct text_track *t = &p->texts[i];
        int r = load_playlist(p, t);
        if (!r && t->media)
            r = load_segments(p, t);
        if (!r)
            r = read_file(p, t->whole, &t->all, &t->whole_size, t->whole_sha256, t->whole_md5);
        if (r < 0)
            return r;
    }
    return 0;
}

int text_rates(const struct text_track *t, struct rates *ret)
{
    struct rate_span *s = calloc(t->n_segments + 1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    for (size_t i = 0; i < t->n_segments; i++)
        s[i] = (struct rate_span){ (double)t->segments[i].extinf.num /
                                       (double)t->segments[i].extinf.den,
                                   t->segments[i].size_bytes };
    *ret = rates_of(s, t->n_segments, t->media ? (double)t->media->target : 1);
    free(s);
    return 0;
}
