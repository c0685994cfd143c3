/* A document of TTML to WebVTT: whatever it says, its cues can be read by the verifier, and each
 * has an end behind its start. */
#include "fuzz.h"

#include "cli/verify/vtt.h"
#include "common/base/err.h"
#include "worker/ttml.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cues l = { 0 };
    struct vtt *v = NULL;
    struct err err = { 0 };
    char *file = NULL;
    uint64_t bad = 0, cut = 0;
    size_t len = 0, n = 0;
    int r = ttml_read(data, size, &l, &bad, &cut);

    fuzz_must(r == 0 || r == -EINVAL);
    for (size_t i = 0; i < l.n; i++) {
        struct cue *c = &l.v[i];
        fuzz_must(c->end > c->start && c->start >= 0 && c->text[0]);
        if (c->end == INT64_MAX)
            c->end = c->start + 1;
    }
    cues_sort(&l);
    fuzz_must(webvtt_file(&l, 0, INT64_MAX, 0, &file, &len, &n) == 0);
    if (vtt_parse(file, len, &v, &err) == 0)
        fuzz_must(v->n == l.n);
    else
        fuzz_must(l.n > 0 && l.v[l.n - 1].end > 3600000LL * 10000);
    vtt_free(v);
    free(file);
    cues_release(&l);
    return 0;
}
