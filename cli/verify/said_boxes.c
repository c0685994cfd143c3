/* Cues in boxes: ISO/IEC 14496-30, 7.4. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/utf8.h"
#include "said.h"
#include "vtt.h"

static int take_payload(const uint8_t *p, size_t n, int64_t from, int64_t to, struct said *l)
{
    _cleanup_free_ char *text = strndup((const char *)p, n);
    if (!text)
        return -ENOMEM;
    utf8_mend(text);
    vtt_words(text);
    return said_add(l, from, to, text, 1);
}

/* Boxes of `data`: inside of a cue (`cue`) its payload, else cues. */
static int read_boxes(const uint8_t *data, size_t size, int cue, int64_t from, int64_t to,
                      struct said *l)
{
    int rc = 0;
    while (size >= 8 && !rc) {
        uint32_t n = (uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3];
        if (n < 8 || n > size)
            break;
        if (!cue && !memcmp(data + 4, "vttc", 4))
            rc = read_boxes(data + 8, n - 8, 1, from, to, l);
        else if (cue && !memcmp(data + 4, "payl", 4))
            rc = take_payload(data + 8, n - 8, from, to, l);
        data += n;
        size -= n;
    }
    return rc;
}

int said_boxes(const uint8_t *data, size_t size, int64_t from, int64_t to, struct said *l)
{
    return read_boxes(data, size, 0, from, to, l);
}
