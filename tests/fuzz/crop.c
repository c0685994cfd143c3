/* What containers cut off pictures, by the planner's readers and the referee's, and messages of
 * pictures that are turned. */
#include "fuzz.h"
#include "parent_more.h"

#include "cli/verify/clean_area.h"
#include "common/base/err.h"
#include "common/media/crop.h"
#include "common/media/turn.h"
#include "common/wire/media_info.h"

static void apply(const struct crop_found *c, int width)
{
    struct media_info i = {
        .video = {.width = width, .height = 1080, .pix_fmt = "yuv420p"}
    };
    const struct video_info *v = &i.video;

    if (crop_apply(&i, c, (AVRational){ 8, 9 }) == 0)
        fuzz_must((width <= 0 || v->width > 0) && v->height > 0 && v->crop.left >= 0 &&
                  v->crop.top >= 0 && v->width + v->crop.left + v->crop.right == width &&
                  v->height + v->crop.top + v->crop.bottom == 1080);
    media_info_release(&i);
}

static void look(enum AVCodecID codec, const uint8_t *data, size_t size)
{
    const AVCodecParameters par = { .codec_id = codec };
    struct video_info v = { 0 };

    turn_look(&par, data, size, &v);
    fuzz_must(v.rotation >= 0 && v.rotation <= 270 && v.rotation % 90 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inside in = { data, size };
    struct crop_found c = { 0 };
    struct clean_area a = { 0 };
    struct err err = { 0 };

    if (crop_of_boxes(&in, 1, &c, &err) == 0) {
        apply(&c, 1920);
        apply(&c, c.width + 40);
    }
    c = (struct crop_found){ 0 };
    if (crop_of_elements(&in, 0, &c, &err) == 0) {
        apply(&c, 1920);
        apply(&c, c.width + 40);
    }
    clean_area_moov(data, size, 1, &a);
    clean_area_elements(data, size, 0, &a);
    look(AV_CODEC_ID_H264, data, size);
    look(AV_CODEC_ID_HEVC, data, size);
    return 0;
}
