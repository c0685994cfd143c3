/* The verifier's readers of texts. The first byte chooses: 'h' a playlist,
 * 'd' a DASH manifest, 'j' a receipt, 'v' WebVTT; of a source 't' TTML, 'b' boxes of cues. */
#include "fuzz.h"

#include "cli/verify/m3u8.h"
#include "cli/verify/mpd.h"
#include "cli/verify/receipt.h"
#include "cli/verify/said.h"
#include "cli/verify/vtt.h"
#include "common/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = { 0 };
    struct m3u8 *h = NULL;
    struct mpd *d = NULL;
    struct receipt *j = NULL;
    struct vtt *v = NULL;
    int r = 0;

    if (size == 0)
        return 0;
    if (data[0] == 't' || data[0] == 'b') {
        struct said l = { 0 };
        if (data[0] == 't')
            (void)said_ttml(data + 1, size - 1, 0, 0, INT64_MAX, &l);
        else
            fuzz_must(said_boxes(data + 1, size - 1, 0, 1000, &l) == 0);
        said_release(&l);
        return 0;
    }
    char *text = fuzz_text(data + 1, size - 1);
    switch (data[0]) {
    case 'h':
        r = m3u8_parse(text, size - 1, &h, &err);
        break;
    case 'd':
        r = mpd_parse(text, size - 1, &d, &err);
        break;
    case 'j':
        r = receipt_parse(text, size - 1, &j, &err);
        break;
    case 'v':
        r = vtt_parse(text, size - 1, &v, &err);
        break;
    default:
        break;
    }
    fuzz_must(r == 0 || (r < 0 && err.text[0] && !h && !d && !j && !v));
    if (j)
        (void)receipt_find(j, "video/1080p/init.mp4");
    for (size_t i = 0; v && i < v->n; i++)
        vtt_words(v->cues[i].text);
    vtt_free(v);
    m3u8_free(h);
    mpd_free(d);
    receipt_free(j);
    free(text);
    return 0;
}
