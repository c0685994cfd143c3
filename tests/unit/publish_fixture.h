/* publish_fixture.h - plans and results made by hand, for the tests of
 * dispatcher/publish.
 */
#ifndef GOPMILL_TESTS_PUBLISH_FIXTURE_H
#define GOPMILL_TESTS_PUBLISH_FIXTURE_H

#include "common/store/store.h"
#include "dispatcher/publish/package.h"

/* How the frames of a fixture are cut; each chunk is one task group. */
struct shape {
    AVRational tb;
    uint32_t timescale;
    const int64_t *pts; /* n_frames of them; NULL: every `delta` from `first` */
    int64_t first, delta;
    size_t n_frames;
    unsigned gop_frames, segment_gops, chunk_segments;
    AVRational rate;
    int audio; /* with an audio rendition of the same length */
};

struct fixture {
    struct plan plan;
    struct task_result *results; /* audio last, then text where it was added */
    const struct task_result **list;
    size_t n;
};

/* 13 s of 25 fps in chunks of 6, 6 and 1 s, 720p and 360p H.264 and AAC. */
extern const struct shape shape_plain;

/* Renditions "720p" and "360p" (video), "aac-128" (audio). Segment k of the
 * job has 100000 * k bytes at 720p, a tenth at 360p, 90000 of sound. */
void fixture_make(struct fixture *f, const struct shape *s);
/* Add subtitles "sub-eng": an extra of the plan, and the result of "t-0". */
void fixture_add_text(struct fixture *f);
/* The same without video. */
void fixture_make_audio_only(struct fixture *f);
/* Another track of sound: rendition "aac-128-<suffix>", with segments a
 * tenth larger. `like`: what the source says of it. Before a package is made. */
void fixture_add_track(struct fixture *f, const char *suffix, const struct audio_info *like);
/* Fill in what the wire wants and publishing doesn't read. */
void fixture_complete(struct fixture *f);
void fixture_release(struct fixture *f);

/* The task that result `i` answers, with what package_check_result() reads. */
void fixture_task(const struct fixture *f, size_t i, struct task *ret);

/* Build a package that must be fine. */
struct package *fixture_package(const struct fixture *f);

/* A store in memory that remembers the order of its puts. */
struct memory_object {
    char *key, *data, *type, *cache;
    char md5[33]; /* what the listing says; "": nothing */
    size_t len;
    int durable;
};
struct memory_store {
    struct store base;
    struct memory_object *objects; /* in the order of the last put */
    size_t n;
    size_t puts_left; /* after so many, put() fails */
    size_t gets;      /* how often bytes were read */
};
void memory_store_init(struct memory_store *s);
void memory_store_release(struct memory_store *s);
const struct memory_object *memory_store_find(const struct memory_store *s, const char *key);

#endif
