/* Where decoding may begin, shown by decoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clip.h"
#include "common/base/err.h"
#include "common/media/probe.h"
#include "common/media/proof.h"
#include "inside_double.h"

enum { GOP = 5, FRAMES = 20 };

struct tried {
    struct clip clip;
    struct inside in;
    struct media_info info;
    struct media_index idx;
    struct proof *proof;
    struct err err;
};

static void setup(struct tried *t, const char *format, const char *encoder, const char *params)
{
    const struct clip_spec spec = {
        .format = format,
        .encoder = encoder,
        .params = params,
        .rate = {25, 1},
        .frames = FRAMES,
        .gop = GOP
    };

    *t = (struct tried){ .clip = clip_make(&spec) };
    t->in = (struct inside){ .data = t->clip.data, .size = t->clip.size };
    if (media_probe(&t->in, &t->info, &t->idx, &t->err) < 0)
        fail_msg("%s", t->err.text);
    assert_int_equal(t->idx.n, FRAMES);
    t->proof = proof_new(&t->in, &t->info, &t->idx);
    assert_non_null(t->proof);
}

static void release(struct tried *t)
{
    proof_free(t->proof);
    media_info_release(&t->info);
    media_index_release(&t->idx);
    inside_double_release(&t->in);
    free(t->clip.data);
}

static const struct need_row {
    const char *name, *container, *codec;
    enum proof_need want;
} needs[] = {
    {"H.264 in MP4",                  "mov,mp4,m4a,3gp,3g2,mj2", "h264",      PROOF_DOUBTS},
    { "AV1 in Matroska",              "matroska,webm",           "av1",       PROOF_DOUBTS},
    { "HEVC in MPEG-TS",              "mpegts",                  "hevc",      PROOF_SAMPLE},
    { "MPEG-4 in AVI",                "avi",                     "mpeg4",     PROOF_SAMPLE},
    { "H.263 in MP4",                 "mov,mp4,m4a,3gp,3g2,mj2", "h263",      PROOF_ALL   },
    { "MSMPEG4 in AVI",               "avi",                     "msmpeg4v3", PROOF_ALL   },
    { "JPEG, each picture by itself", "avi",                     "mjpeg",     PROOF_NONE  },
    { "a codec that isn't known",     "matroska,webm",           "nonsuch",   PROOF_ALL   },
};

static void what_has_to_be_tried_is_told_by_codec_and_container(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
        struct media_info info = { 0 };
        struct media_index idx = { 0 };
        (void)snprintf(info.container, sizeof(info.container), "%s", needs[i].container);
        (void)snprintf(info.video.codec, sizeof(info.video.codec), "%s", needs[i].codec);
        struct proof *p = proof_new(NULL, &info, &idx);
        assert_non_null(p);
        if (proof_need(p) != needs[i].want)
            fail_msg("%s: %d", needs[i].name, (int)proof_need(p));
        proof_free(p);
    }
}

/* Decoding from a packet on, where the pictures from another one on are wanted. */
static int try_for(struct tried *t, size_t packet, size_t wanted, uint64_t *spent)
{
    const struct proof_cut cut = { packet, t->idx.packets[wanted].pts };
    int r = proof_try(t->proof, &cut, spent, &t->err);

    if (r < 0)
        fail_msg("%s", t->err.text);
    return r;
}

static int try_at(struct tried *t, size_t packet, uint64_t *spent)
{
    return try_for(t, packet, packet, spent);
}

static void a_keyframe_is_a_beginning_and_another_picture_is_not(void **state)
{
    struct tried t;
    uint64_t spent = 0;

    (void)state;
    /* Fades, which P pictures are made of by weights. */
    setup(&t, "matroska", "libx264", "preset=medium:bf=0:sc_threshold=0:weightp=2");
    assert_int_equal(try_at(&t, 0, &spent), 1);
    assert_int_equal(spent, 0);
    assert_int_equal(try_at(&t, 2 * GOP, &spent), 1);
    assert_true(spent > 0);
    assert_int_equal(try_at(&t, 2 * GOP + 2, &spent), 0);
    assert_int_equal(try_at(&t, 3 * GOP, &spent), 1);
    release(&t);
}

/* A container that claims that all are. */
static void keys_are_found_where_the_decoder_finds_whole_pictures(void **state)
{
    struct tried t;
    uint64_t spent = 0;

    (void)state;
    setup(&t, "avi", "msmpeg4v2", "sc_threshold=1000000000");
    assert_int_equal(proof_need(t.proof), PROOF_ALL);
    for (size_t i = 0; i < t.idx.n; i++)
        t.idx.packets[i].flags |= PACKET_KEY;
    assert_int_equal(proof_find_keys(t.proof, &t.err), FRAMES - FRAMES / GOP);
    for (size_t i = 0; i < t.idx.n; i++)
        assert_int_equal((t.idx.packets[i].flags & PACKET_KEY) != 0, i % GOP == 0);
    assert_int_equal(try_at(&t, GOP, &spent), 1);
    assert_int_equal(try_for(&t, GOP, GOP + 2, &spent), 1);
    assert_int_equal(try_for(&t, GOP, GOP - 2, &spent), 0); /* two don't come */
    release(&t);
}

static void nothing_is_decoded_where_bytes_tell_of_keys(void **state)
{
    struct tried t;

    (void)state;
    setup(&t, "matroska", "libx264", "preset=ultrafast:bf=0");
    t.in.bytes_read = 0;
    assert_int_equal(proof_find_keys(t.proof, &t.err), 0);
    assert_int_equal(t.in.bytes_read, 0);
    release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_to_be_tried_is_told_by_codec_and_container),
        cmocka_unit_test(a_keyframe_is_a_beginning_and_another_picture_is_not),
        cmocka_unit_test(keys_are_found_where_the_decoder_finds_whole_pictures),
        cmocka_unit_test(nothing_is_decoded_where_bytes_tell_of_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
