/* The verifier's reader of init and media segments. */
#include "fuzz.h"

#include "cli/verify/bmff.h"
#include "common/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bmff_init init;
    struct bmff_init usual = { .timescale = 12800, .track_id = 1, .trex_track_id = 1 };
    struct bmff_segment s = { 0 };
    struct err err = { 0 };

    if (bmff_init_parse(data, size, &init, &err) == 0) {
        fuzz_must(init.config_len <= BMFF_CONFIG_MAX && init.n_brands <= BMFF_BRANDS_MAX);
        usual = init;
    }
    if (bmff_segment_parse(data, size, &usual, &s, &err) < 0)
        return 0;
    for (size_t i = 0; i < s.n_moofs; i++) {
        const struct bmff_moof *m = &s.moofs[i];
        fuzz_must(m->end <= size && m->first_sample + m->n_samples <= s.n_samples);
        fuzz_must(m->mdat_off <= size && m->mdat_len <= size - m->mdat_off);
    }
    bmff_segment_release(&s);
    return 0;
}
