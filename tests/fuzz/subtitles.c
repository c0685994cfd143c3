/* A line of subtitles to WebVTT: whatever it says, the verifier can read what
 * becomes of it, and it is one cue. The first byte chooses: 'p' plain text, 's' a cue's settings.
 */
#include "fuzz.h"

#include "cli/verify/vtt.h"
#include "common/base/err.h"
#include "worker/cue_boxes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cues l = { 0 };
    struct cue c = { .start = 0, .end = 1000 };
    struct vtt *v = NULL;
    struct err err = { 0 };
    char *file = NULL;
    size_t len = 0, n = 0;
    int cut = 0;

    if (size == 0)
        return 0;
    if (data[0] == 'x') {
        const uint8_t *at = data + 1, *end = data + size;
        struct cue_box b;
        while (cue_box_next(&at, end, &b) > 0)
            fuzz_must(b.payload > data && b.payload + b.size <= end);
        return 0;
    }
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 's')
        webvtt_settings(text, size - 1, c.settings);
    fuzz_must(webvtt_text(data[0] == 's' ? "x" : text, data[0] == 'p' || data[0] == 's', &c.text,
                          &c.top, &cut) == 0);
    fuzz_must(strlen(c.text) <= CUE_TEXT_MAX);
    int any = c.text[0] != '\0';
    if (any)
        fuzz_must(cues_add(&l, c) == 0);
    else
        free(c.text);
    fuzz_must(webvtt_file(&l, 0, 1000, 1, &file, &len, &n) == 0);
    fuzz_must(vtt_parse(file, len, &v, &err) == 0);
    fuzz_must(n == (size_t)any && v->n == n);
    if (any)
        vtt_words(v->cues[0].text);
    vtt_free(v);
    free(file);
    cues_release(&l);
    free(text);
    return 0;
}
