/* Samples of MP4 that show no picture, told by reading few of them. */
#include "inside_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/media/hidden.h"
#include "common/media/index.h"
#include "common/media/uncoded.h"

enum { SAMPLES = 100, ROOM = 600 };

/* A source of equal samples, of which some are others. */
struct film {
    uint8_t bytes[SAMPLES * ROOM];
    struct index_packet packets[SAMPLES];
    struct media_index idx;
    struct inside in;
    uint8_t header[32];
    AVCodecParameters par;
};

static void film_make(struct film *f, enum AVCodecID codec, const void *usual, size_t n)
{
    *f = (struct film){ 0 };
    f->idx = (struct media_index){ f->packets, SAMPLES };
    f->in = (struct inside){ .data = f->bytes, .size = sizeof(f->bytes) };
    f->par = (AVCodecParameters){ .codec_id = codec };
    for (int i = 0; i < SAMPLES; i++) {
        f->packets[i] = (struct index_packet){
            .pts = i, .dts = i, .duration = 1, .pos = i * ROOM, .size = ROOM
        };
        memcpy(f->bytes + i * ROOM, usual, n);
    }
    f->packets[0].flags = PACKET_KEY;
}

static void film_put(struct film *f, int at, const void *p, size_t n)
{
    memset(f->bytes + at * ROOM, 0, ROOM);
    memcpy(f->bytes + at * ROOM, p, n);
    f->packets[at].size = (uint32_t)n;
}

static int film_look(struct film *f)
{
    struct err err = { 0 };
    int n = 0;

    assert_int_equal(hidden_look(&f->in, &f->par, &f->idx, &err), 0);
    for (int i = 0; i < SAMPLES; i++)
        n += (f->packets[i].flags & PACKET_HIDDEN) != 0;
    return n;
}

static const uint8_t vp9_shown[] = { 0x82, 0x49 }, vp9_hidden[] = { 0x84, 1 };
static const uint8_t slice[] = { 0, 0, 1, 0x41, 0x9a, 1 };
static const uint8_t sets[] = { 0, 0, 1, 0x67, 0x42, 0, 0x0a };
static const uint8_t coded[] = { 0, 0, 1, 0xb6, 0x50, 0x6f },
                     uncoded[] = { 0, 0, 1, 0xb6, 0x50, 0x4f };

static void vp9_is_read_on_where_the_beginning_hides_one(void **state)
{
    static struct film f;

    (void)state;
    film_make(&f, AV_CODEC_ID_VP9, vp9_shown, sizeof(vp9_shown));
    film_put(&f, 90, vp9_hidden, sizeof(vp9_hidden));
    assert_int_equal(film_look(&f), 0);
    assert_true(f.in.bytes_read < 1000);
    film_put(&f, 9, vp9_hidden, sizeof(vp9_hidden));
    assert_int_equal(film_look(&f), 2);
    assert_true(f.packets[90].flags & PACKET_HIDDEN);
}

static void sets_in_samples_of_their_own_are_no_pictures(void **state)
{
    static struct film f;

    (void)state;
    film_make(&f, AV_CODEC_ID_H264, slice, sizeof(slice));
    film_look(&f);
    assert_int_equal(f.in.bytes_read, 0);
    film_put(&f, 0, sets, sizeof(sets));
    film_put(&f, 50, sets, sizeof(sets));
    f.packets[50].flags = PACKET_KEY;
    film_put(&f, 80, sets, sizeof(sets));
    f.packets[81].flags = PACKET_KEY;
    assert_int_equal(film_look(&f), 3);
    assert_int_equal(f.packets[50].flags, PACKET_HIDDEN | PACKET_SETS);
    assert_int_equal(f.packets[51].flags, PACKET_KEY);
    assert_int_equal(f.packets[81].flags, PACKET_KEY);
}

static void sets_that_the_description_has_change_nothing(void **state)
{
    static struct film f;

    (void)state;
    film_make(&f, AV_CODEC_ID_H264, slice, sizeof(slice));
    memcpy(f.header, sets + 3, sizeof(sets) - 3);
    f.par.extradata = f.header;
    f.par.extradata_size = sizeof(sets) - 3;
    film_put(&f, 0, sets, sizeof(sets));
    assert_int_equal(film_look(&f), 1);
    assert_int_equal(f.packets[0].flags, PACKET_HIDDEN);
}

static void pictures_that_are_not_coded_last_on(void **state)
{
    static const uint8_t layer[] = { 0, 0, 1, 0x20, 0, 0x84, 0x40, 0x06, 0x40, 0, 0 };
    static struct film f;

    (void)state;
    film_make(&f, AV_CODEC_ID_MPEG4, coded, sizeof(coded));
    memcpy(f.header, layer, sizeof(layer));
    f.par.extradata = f.header;
    f.par.extradata_size = sizeof(layer);
    film_put(&f, 40, coded, sizeof(coded));
    film_put(&f, 41, uncoded, sizeof(uncoded));
    film_put(&f, 98, uncoded, sizeof(uncoded));
    film_put(&f, 99, uncoded, sizeof(uncoded));
    assert_int_equal(film_look(&f), 3);
    assert_int_equal(f.in.bytes_read, 4 * sizeof(coded));
    uncoded_extend(&f.idx);
    assert_int_equal(f.packets[97].duration, 3);
    assert_int_equal(f.packets[40].duration, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vp9_is_read_on_where_the_beginning_hides_one),
        cmocka_unit_test(sets_in_samples_of_their_own_are_no_pictures),
        cmocka_unit_test(sets_that_the_description_has_change_nothing),
        cmocka_unit_test(pictures_that_are_not_coded_last_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
