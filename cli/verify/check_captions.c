/* hls.captions: closed captions lie in pictures only where the master playlist doesn't deny them.
 */
#include <string.h>

#include "check.h"

/* ATSC A/53 part 4, 6.2.3: ITU-T T.35 of the United States, of the ATSC, "GA94", cc_data. It has no
 * two zeros that emulation prevention would part, so it stands so in SEI messages and in OBUs. */
static const uint8_t mark[] = { 0xb5, 0x00, 0x31, 'G', 'A', '9', '4', 0x03 };

int captions_are_in(const uint8_t *buf, const struct bmff_segment *b)
{
    for (size_t k = 0; k < b->n_moofs; k++)
        if (memmem(buf + b->moofs[k].mdat_off, b->moofs[k].mdat_len, mark, sizeof(mark)))
            return 1;
    return 0;
}

static int master_denies(const struct package *p)
{
    for (size_t i = 0; i < p->master->n_entries; i++) {
        const struct m3u8_entry *e = &p->master->entries[i];
        const char *value = m3u8_attr(e, "CLOSED-CAPTIONS");
        if (e->what == M3U8_VARIANT && value && !strcmp(value, "NONE"))
            return 1;
    }
    return 0;
}

void check_captions(struct package *p)
{
    if (!p->master || !master_denies(p))
        return;
    report_ran(p->report, CHECK_HLS_CAPTIONS);
    for (size_t i = 0; i < p->n_renditions; i++) {
        const struct rendition *r = &p->renditions[i];
        size_t n = 0, first = 0;
        for (size_t k = r->n_segments; k-- > 0;) {
            n += r->segments[k].captions;
            first = r->segments[k].captions ? k : first;
        }
        if (n)
            report_fail(p->report, CHECK_HLS_CAPTIONS,
                        "%s: closed captions in %zu segments, first in %s, but master.m3u8 says "
                        "CLOSED-CAPTIONS=NONE",
                        r->folder, n, r->segments[first].path);
    }
}
