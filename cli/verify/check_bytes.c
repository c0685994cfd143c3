/* init.boxes, init.edits, seg.boxes, seg.sync: what the bytes say. */
#include <string.h>

#include "check.h"
#include "codec.h"
#include "common/base/err.h"

static int has_brand(const struct bmff_init *i, const char *brand)
{
    for (size_t k = 0; k < i->n_brands; k++) {
        char text[5];
        if (!strcmp(fourcc_text(i->brands[k], text), brand))
            return 1;
    }
    return 0;
}

/* Opus tells its delay twice (dOps and the edit list), runs at 48 kHz
 * whatever its source did, and needs a mapping for more than two channels (RFC 7845, 5.1.1). */
static void check_opus(struct package *p, const struct rendition *r)
{
    const struct bmff_init *i = &r->init;
    const uint8_t *c = i->config;
    if (codec_of(i) != CODEC_OPUS || i->config_len < 11)
        return;
    unsigned skip = (unsigned)c[2] << 8 | c[3], family = c[10];
    if (i->timescale != 48000)
        report_fail(p->report, CHECK_INIT_EDITS, "%s: Opus in 1/%u s, expected 1/48000",
                    r->init_path, i->timescale);
    if ((int64_t)skip != (i->n_edits ? i->edit_media_time : 0))
        report_fail(p->report, CHECK_INIT_EDITS,
                    "%s: dOps says that %u samples are skipped, the edit list %lld", r->init_path,
                    skip, (long long)(i->n_edits ? i->edit_media_time : 0));
    if (c[0] != 0 || c[1] == 0 || (c[1] > 2) != (family != 0))
        report_fail(p->report, CHECK_INIT_EDITS,
                    "%s: dOps version %u with %u channels of mapping family %u", r->init_path, c[0],
                    c[1], family);
}

static void check_edits(struct package *p, const struct rendition *r)
{
    const struct bmff_init *i = &r->init;
    report_ran(p->report, CHECK_INIT_EDITS);
    check_opus(p, r);
    if (!i->n_edits)
        return;
    if (r->kind == KIND_VIDEO)
        report_fail(p->report, CHECK_INIT_EDITS, "%s: %u edits on a video track", r->init_path,
                    i->n_edits);
    else if (i->n_edits != 1 || i->edit_media_time < 0 ||
             i->edit_media_time > (int64_t)i->timescale / 4)
        report_fail(p->report, CHECK_INIT_EDITS,
                    "%s: %u edits, the first from media time %lld: not the priming of a codec",
                    r->init_path, i->n_edits, (long long)i->edit_media_time);
    else
        report_pass(p->report, CHECK_INIT_EDITS, "%s: priming %lld/%u s", r->folder,
                    (long long)i->edit_media_time, i->timescale);
}

void check_init(struct package *p, const struct rendition *r)
{
    const struct bmff_init *i = &r->init;
    const char *where = r->init_path;
    report_ran(p->report, CHECK_INIT_BOXES);
    if (!i->has_ftyp)
        report_fail(p->report, CHECK_INIT_BOXES, "%s: no ftyp", where);
    else if (!has_brand(i, "cmfc") && !has_brand(i, "cmf2") && !has_brand(i, "iso6") &&
             !has_brand(i, "iso5"))
        report_fail(p->report, CHECK_INIT_BOXES, "%s: ftyp names neither cmfc, cmf2, iso6 nor iso5",
                    where);
    if (i->n_moov != 1 || i->n_trak != 1 || i->n_entries != 1 || i->n_other)
        report_fail(p->report, CHECK_INIT_BOXES,
                    "%s: %u moov, %u trak, %u sample entries, %u foreign boxes; one of the first "
                    "three each, none of the last",
                    where, i->n_moov, i->n_trak, i->n_entries, i->n_other);
    if (i->samples || i->chunks || i->times)
        report_fail(p->report, CHECK_INIT_BOXES, "%s: moov lists %u samples in %u chunks", where,
                    i->samples, i->chunks);
    if (i->n_mvex != 1 || i->trex_track_id != i->track_id)
        report_fail(p->report, CHECK_INIT_BOXES,
                    "%s: %u mvex, trex of track %u, but the track is %u", where, i->n_mvex,
                    i->trex_track_id, i->track_id);
    if (i->handler != FOURCC('v', 'i', 'd', 'e') && i->handler != FOURCC('s', 'o', 'u', 'n'))
        report_fail(p->report, CHECK_INIT_BOXES, "%s: neither a video nor an audio track", where);
    if (i->timescale < 1000 || i->timescale > 100000000)
        report_fail(p->report, CHECK_INIT_BOXES, "%s: timescale %u isn't within 1000 to 100000000",
                    where, i->timescale);
    check_edits(p, r);
}

/* Samples lie in the mdat of their moof, one behind the other, and fill it. */
static void check_data(struct package *p, const struct segment *s, size_t k,
                       const struct bmff_segment *b)
{
    const struct bmff_moof *m = &b->moofs[k];
    uint64_t at = m->mdat_off;
    for (size_t i = 0; i < m->n_samples; i++) {
        const struct bmff_sample *x = &b->samples[m->first_sample + i];
        if (x->off != at) {
            report_fail(p->report, CHECK_SEG_BOXES,
                        "%s: moof %zu: sample %zu lies at byte %llu, expected %llu", s->path, k, i,
                        (unsigned long long)x->off, (unsigned long long)at);
            return;
        }
        at += x->size;
    }
    if (at != m->mdat_off + m->mdat_len)
        report_fail(p->report, CHECK_SEG_BOXES,
                    "%s: moof %zu: mdat has %zu bytes, its samples have %llu", s->path, k,
                    m->mdat_len, (unsigned long long)(at - m->mdat_off));
}

static void check_moof(struct package *p, const struct rendition *r, const struct segment *s,
                       size_t k, const struct bmff_segment *b)
{
    const struct bmff_moof *m = &b->moofs[k];
    if (m->n_mfhd != 1 || m->n_traf != 1 || m->n_tfdt != 1 || !m->n_trun || m->n_mdat != 1 ||
        !m->n_samples) {
        report_fail(p->report, CHECK_SEG_BOXES,
                    "%s: moof %zu: %u mfhd, %u traf, %u tfdt, %u trun, %u mdat, %zu samples",
                    s->path, k, m->n_mfhd, m->n_traf, m->n_tfdt, m->n_trun, m->n_mdat,
                    m->n_samples);
        return;
    }
    if (!(m->tfhd_flags & 0x20000) || m->tfhd_flags & 1)
        report_fail(p->report, CHECK_SEG_BOXES, "%s: moof %zu: tfhd isn't default-base-is-moof",
                    s->path, k);
    if (m->tfdt_version != 1)
        report_fail(p->report, CHECK_SEG_BOXES, "%s: moof %zu: tfdt of version %d, expected 1",
                    s->path, k, m->tfdt_version);
    if (m->track_id != r->init.track_id)
        report_fail(p->report, CHECK_SEG_BOXES, "%s: moof %zu: track %u, expected %u", s->path, k,
                    m->track_id, r->init.track_id);
    for (size_t i = 0; i < m->n_samples; i++) {
        const struct bmff_sample *x = &b->samples[m->first_sample + i];
        if (x->duration && x->size)
            continue;
        report_fail(p->report, CHECK_SEG_BOXES, "%s: moof %zu: sample %zu: duration %u, %u bytes",
                    s->path, k, i, x->duration, x->size);
        break;
    }
    check_data(p, s, k, b);
}

/* Flags and pictures must agree, and only the first sample may be a key; but
 * for a copy, whose source may have shorter GOPs than the package. */
static void check_sync(struct package *p, const struct rendition *r, const struct segment *s,
                       size_t k, const uint8_t *buf, const struct bmff_segment *b)
{
    const struct bmff_moof *m = &b->moofs[k];
    enum codec codec = codec_of(&r->init);
    int only_first = (codec == CODEC_H264 || codec == CODEC_HEVC) && !package_is_copy(p, r);
    for (size_t i = 0; i < m->n_samples; i++) {
        const struct bmff_sample *x = &b->samples[m->first_sample + i];
        struct err err = { 0 };
        int key = codec_is_key(&r->init, buf + x->off, x->size, &err);
        int sync = !(x->flags & BMFF_NON_SYNC);
        if (key < 0)
            report_fail(p->report, CHECK_SEG_SYNC, "%s: moof %zu: sample %zu: %s", s->path, k, i,
                        err.text);
        else if (!i && !(key && sync))
            report_fail(p->report, CHECK_SEG_SYNC,
                        "%s: moof %zu starts with a sample that is %sa key picture and %sflagged "
                        "as sync",
                        s->path, k, key ? "" : "not ", sync ? "" : "not ");
        else if (i && only_first && (key || sync))
            report_fail(p->report, CHECK_SEG_SYNC, "%s: moof %zu: sample %zu is %s inside the GOP",
                        s->path, k, i, key ? "an IDR" : "flagged as sync");
        else if (i && key != sync)
            report_fail(p->report, CHECK_SEG_SYNC,
                        "%s: moof %zu: sample %zu is %sa key frame and %sflagged as sync", s->path,
                        k, i, key ? "" : "not ", sync ? "" : "not ");
        if (key < 0)
            return; /* one line for a damaged GOP is enough */
    }
}

void check_segment_bytes(struct package *p, const struct rendition *r, const struct segment *s,
                         const uint8_t *buf, const struct bmff_segment *b)
{
    report_ran(p->report, CHECK_SEG_BOXES);
    if (b->mdat_orphans || b->n_other)
        report_fail(p->report, CHECK_SEG_BOXES,
                    "%s: %zu mdat before any moof, %u boxes that don't belong in a segment",
                    s->path, b->mdat_orphans, b->n_other);
    if (r->kind == KIND_VIDEO)
        report_ran(p->report, CHECK_SEG_SYNC);
    for (size_t k = 0; k < b->n_moofs; k++) {
        check_moof(p, r, s, k, b);
        if (r->kind == KIND_VIDEO)
            check_sync(p, r, s, k, buf, b);
    }
}
