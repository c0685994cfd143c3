#include "edit_list.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bmff.h"
#include "common/base/cleanup.h"
#include "cursor.h"
#include "sound.h"
#include "source.h"

enum { TRACKS_MAX = 256, EDITS_MAX = 65536 };
#define MOOV_BYTES_MAX (INT64_C(256) << 20)

/* ---- the boxes ---- */

static int read_at(int fd, int64_t off, uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = pread(fd, buf, len, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        buf += n;
        off += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The body of the file's moov; NULL: it has none that can be read. */
static uint8_t *moov_read(int fd, int64_t size, size_t *ret_len)
{
    for (int64_t at = 0; at >= 0 && at + 8 <= size;) {
        uint8_t head[16] = { 0 };
        if (read_at(fd, at, head, at + 16 <= size ? 16 : 8) < 0)
            return NULL;
        struct cursor c = cursor_of(head, sizeof(head));
        int64_t len = cursor_u32(&c), skip = 8;
        uint32_t type = cursor_u32(&c);
        if (len == 1) {
            len = (int64_t)cursor_u64(&c);
            skip = 16;
        } else if (!len) {
            len = size - at;
        }
        if (len < skip || len > size - at)
            return NULL;
        if (type == FOURCC('m', 'o', 'o', 'v')) {
            *ret_len = (size_t)(len - skip);
            uint8_t *buf = len < MOOV_BYTES_MAX ? malloc(*ret_len + 1) : NULL;
            if (buf && read_at(fd, at + skip, buf, *ret_len) < 0) {
                free(buf);
                buf = NULL;
            }
            return buf;
        }
        at += len;
    }
    return NULL;
}

static int child_of(const uint8_t *base, const struct box *in, uint32_t type, struct box *ret)
{
    struct box_iter it = box_children(base, in, 0);
    while (box_next(&it, ret, NULL) > 0)
        if (ret->type == type)
            return 1;
    return 0;
}

/* A field behind version, flags and two times: track id, time scale. */
static uint32_t field_of(const struct box *b)
{
    struct cursor c = cursor_of(b->body, b->len);
    cursor_skip(&c, cursor_u8(&c) == 1 ? 3 + 16 : 3 + 8);
    return cursor_u32(&c);
}

/* The field behind that: a duration, as long as the times before. */
static uint64_t duration_of(const struct box *b)
{
    struct cursor c = cursor_of(b->body, b->len);
    int wide = cursor_u8(&c) == 1;
    cursor_skip(&c, wide ? 3 + 16 + 4 : 3 + 8 + 4);
    return cursor_get(&c, wide ? 8 : 4);
}

struct scales {
    uint32_t movie, media;
    double media_s; /* that the track's header says it lasts */
    int fragmented;
};

/* Coarser scales than that are no excuse. */
#define TICK_MOST_S 0.002

static int elst_read(const struct box *b, const struct scales *sc, struct edit_track *t)
{
    struct cursor c = cursor_of(b->body, b->len);
    int wide = cursor_u8(&c) == 1;
    cursor_skip(&c, 3);
    uint32_t n = cursor_u32(&c);
    if (n > EDITS_MAX || cursor_left(&c) < (size_t)n * (wide ? 20 : 12))
        return 0;
    t->edits = calloc((size_t)n + 1, sizeof(*t->edits));
    if (!t->edits)
        return -ENOMEM;
    t->tick_s = fmin(fmax(1.0 / sc->movie, 1.0 / sc->media), TICK_MOST_S);
    int64_t at = 0;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t lasts = (int64_t)cursor_get(&c, wide ? 8 : 4);
        uint64_t from = cursor_get(&c, wide ? 8 : 4);
        int64_t media = wide ? (int64_t)from : (int32_t)from;
        int32_t rate = (int32_t)cursor_u32(&c);
        if (lasts < 0 || lasts > INT64_MAX / 4 - at)
            break;
        int open = !lasts || (sc->fragmented && media >= 0 && i + 1 == n && shown == 0);
        shown += media >= 0;
        t->edits[t->n++] = (struct edit){
            .from_s = (double)at / sc->movie,
            .lasts_s = open ? INFINITY : (double)lasts / sc->movie,
            .media_s = (double)media / sc->media,
            .rate = rate / 65536.0,
            .empty = media < 0,
        };
        at += lasts;
    }
    return 0;
}

/* Nobody keeps a whole track to show one picture of it: as long as its media, a rate of 0
 * is a program's mistake. */
static void mend_slip(struct edit_track *t, const struct scales *sc)
{
    struct edit *only = NULL;
    size_t shown = 0;
    for (size_t i = 0; i < t->n; i++)
        if (!t->edits[i].empty) {
            only = &t->edits[i];
            shown++;
        }
    if (shown != 1 || only->rate != 0)
        return;
    double left = sc->media_s - only->media_s;
    if (sc->fragmented || fabs(only->lasts_s - left) < 0.1 + 0.1 * left)
        only->rate = 1;
}

static int trak_read(const uint8_t *base, const struct box *trak, struct scales sc,
                     struct edit_lists *l)
{
    struct box tkhd, mdia, mdhd, edts, elst;
    struct edit_track t = { 0 };
    if (!child_of(base, trak, FOURCC('t', 'k', 'h', 'd'), &tkhd) ||
        !child_of(base, trak, FOURCC('m', 'd', 'i', 'a'), &mdia) ||
        !child_of(base, &mdia, FOURCC('m', 'd', 'h', 'd'), &mdhd) ||
        !child_of(base, trak, FOURCC('e', 'd', 't', 's'), &edts) ||
        !child_of(base, &edts, FOURCC('e', 'l', 's', 't'), &elst))
        return 0;
    t.id = field_of(&tkhd);
    sc.media = field_of(&mdhd);
    sc.media_s = (double)duration_of(&mdhd) / fmax(sc.media, 1);
    if (!sc.media || !sc.movie || l->n == TRACKS_MAX)
        return 0;
    int r = elst_read(&elst, &sc, &t);
    if (r < 0 || !t.n) {
        free(t.edits);
        return r;
    }
    mend_slip(&t, &sc);
    l->tracks[l->n++] = t;
    return 0;
}

static int moov_lists(const uint8_t *buf, size_t len, struct edit_lists *l)
{
    struct box moov = { .body = buf, .len = len, .size = len }, b;
    struct scales sc = { 0 };
    if (!child_of(buf, &moov, FOURCC('m', 'v', 'h', 'd'), &b))
        return 0;
    sc.movie = field_of(&b);
    sc.fragmented = child_of(buf, &moov, FOURCC('m', 'v', 'e', 'x'), &b);
    l->tracks = calloc(TRACKS_MAX, sizeof(*l->tracks));
    if (!l->tracks)
        return -ENOMEM;
    struct box_iter it = box_children(buf, &moov, 0);
    int r = 0;
    while (!r && box_next(&it, &b, NULL) > 0)
        if (b.type == FOURCC('t', 'r', 'a', 'k'))
            r = trak_read(buf, &b, sc, l);
    return r;
}

uint8_t *moov_of_file(const char *path, size_t *ret_len)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL; /* libavformat says what is wrong with it */
    return moov_read(fd, st.st_size, ret_len);
}

int edit_lists_read(const char *path, struct edit_lists *ret)
{
    size_t len = 0;
    _cleanup_free_ uint8_t *moov = moov_of_file(path, &len);
    return moov ? moov_lists(moov, len, ret) : 0;
}

void edit_lists_release(struct edit_lists *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->tracks[i].edits);
    free(l->tracks);
    *l = (struct edit_lists){ 0 };
}

const struct edit_track *edit_lists_of(const struct edit_lists *l, int track_id)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->tracks[i].id == (uint32_t)track_id)
            return &l->tracks[i];
    return NULL;
}

/* ---- pictures ---- */

/* A time base that divides all usual ones, so that nothing is rounded that matters. */
static const AVRational fine = { 1, 705600000 };

/* Times that differ by less are one: both scales may round. */
#define SAME_S 0.000002

struct showing {
    struct source *s;
    struct source_picture *list;
    size_t n, room;
    double media_end, tick_s;
};

/* A picture that is seen for a tick, of the scale that is coarser, may be rounding. */
static void mark_brief(struct showing *w, int64_t until)
{
    struct source_picture *last = &w->list[w->n - 1];
    last->brief = (double)(until - last->at) * av_q2d(fine) < 1.01 * w->tick_s;
}

static int showing_add(struct showing *w, const struct source_picture *p, double at)
{
    int64_t ticks = llrint(at / av_q2d(fine));
    if (w->n && w->list[w->n - 1].number == p->number)
        return 0; /* it goes on */
    if (w->n && w->list[w->n - 1].at >= ticks)
        w->n--; /* of two at one time the later one is seen */
    if (w->n == w->room) {
        size_t room = w->room ? 2 * w->room : 1024;
        struct source_picture *grown = realloc(w->list, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        w->list = grown;
        w->room = room;
    }
    if (w->n)
        mark_brief(w, ticks);
    w->list[w->n] = *p;
    w->list[w->n++].at = ticks;
    return 0;
}

static double media_time(const struct source *s, size_t i)
{
    return (double)s->pictures[i].at * av_q2d(s->video_tb);
}

/* The first picture that begins behind `at`. */
static size_t behind(const struct source *s, double at)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (media_time(s, mid) <= at + SAME_S)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int show_edit(struct showing *w, const struct edit *e)
{
    const struct source *s = w->s;
    size_t i = behind(s, e->media_s);
    int r = i && e->media_s < w->media_end ? showing_add(w, &s->pictures[i - 1], e->from_s) : 0;
    double end = e->rate > 0 ? e->media_s + e->lasts_s * e->rate : e->media_s;
    for (; !r && i < s->n && media_time(s, i) < end - SAME_S; i++)
        r = showing_add(w, &s->pictures[i], e->from_s + (media_time(s, i) - e->media_s) / e->rate);
    double lasts = e->lasts_s;
    if (isinf(lasts))
        lasts = e->rate > 0 ? (w->media_end - e->media_s) / e->rate : 0;
    if (lasts > 0)
        w->s->until_s = e->from_s + lasts;
    if (lasts > 0 && w->n)
        mark_brief(w, llrint((e->from_s + lasts) / av_q2d(fine)));
    return r;
}

int edits_show(const struct edit_track *t, struct source *s)
{
    struct showing w = { .s = s, .tick_s = t->tick_s };
    int r = 0;
    if (!s->n)
        return 0;
    /* The last picture is taken to last as long as the one before it. */
    w.media_end = media_time(s, s->n - 1);
    w.media_end += s->n > 1 ? w.media_end - media_time(s, s->n - 2) : 1;
    for (size_t i = 0; !r && i < t->n; i++)
        if (!t->edits[i].empty && t->edits[i].rate >= 0)
            r = show_edit(&w, &t->edits[i]);
    if (r < 0) {
        free(w.list);
        return r;
    }
    free(s->pictures);
    s->pictures = w.list;
    s->n = w.n;
    s->video_tb = fine;
    s->slack_s = fmax(s->slack_s, t->tick_s);
    return 0;
}

/* ---- sound ---- */

static int playing_add(struct sound_frame **list, size_t *n, size_t *room,
                       const struct sound_frame *f)
{
    if (*n == *room) {
        size_t more = *room ? 2 * *room : 1024;
        struct sound_frame *grown = realloc(*list, more * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        *list = grown;
        *room = more;
    }
    (*list)[(*n)++] = *f;
    return 0;
}

/* What of a frame the edit plays, where the edit puts it. 0: nothing. */
static int frame_cut(const struct sound_frame *f, const struct edit *e, struct sound_frame *ret)
{
    double from = fmax(f->at_s, e->media_s);
    double to = fmin(f->at_s + f->seconds, e->media_s + e->lasts_s * e->rate);
    if (isnan(f->at_s) || to - from < 1e-9)
        return 0;
    *ret = *f;
    ret->at_s = e->from_s + (from - e->media_s) / e->rate;
    ret->first = f->first + (from - f->at_s) * SOUND_RATE;
    ret->seconds = (to - from) / e->rate;
    ret->rate = e->rate;
    return 1;
}

int edits_play(const struct edit_track *t, struct sound *s)
{
    struct sound_frame *list = NULL, cut;
    size_t n = 0, room = 0;
    int r = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct edit *e = &t->edits[i];
        for (size_t k = 0; !r && !e->empty && e->rate > 0 && k < s->n; k++)
            if (frame_cut(&s->frames[k], e, &cut))
                r = playing_add(&list, &n, &room, &cut);
    }
    if (r < 0) {
        free(list);
        return r;
    }
    free(s->frames);
    s->frames = list;
    s->n = n;
    s->room = room;
    return 0;
}
