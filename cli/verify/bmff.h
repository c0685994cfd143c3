/* bmff.h - reading ISO base media boxes out of a buffer: the init segment
 * and the media segments of one CMAF track, as facts. Whether the facts are
 * right is for the checks to say.
 *
 * Every buffer is hostile: no read goes past its end, no count is believed
 * before the bytes are there. Buffers are borrowed for the call.
 */
#ifndef GOPMILL_VERIFY_BMFF_H
#define GOPMILL_VERIFY_BMFF_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define FOURCC(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

struct box {
    uint32_t type;
    size_t off, size;    /* of the whole box in the buffer */
    const uint8_t *body; /* after the header */
    size_t len;
};

struct box_iter {
    const uint8_t *base;
    size_t pos, end;
};

/* 1: *ret is the next box. 0: the end. -EINVAL: it is cut short or lies. */
int box_next(struct box_iter *it, struct box *ret, struct err *err);
struct box_iter box_children(const uint8_t *base, const struct box *b, size_t skip);
const char *fourcc_text(uint32_t type, char buf[5]); /* printable */

enum { BMFF_CONFIG_MAX = 4096, BMFF_BRANDS_MAX = 64 };

struct bmff_init {
    uint32_t brands[BMFF_BRANDS_MAX]; /* [0] is the major one */
    size_t n_brands;
    int has_ftyp;
    unsigned n_moov, n_trak, n_mvex, n_other; /* n_other: boxes at the top that don't belong */
    uint32_t movie_timescale, timescale, track_id, trex_track_id;
    uint64_t movie_duration, media_duration;
    uint32_t handler;
    uint32_t tkhd_width, tkhd_height; /* 16.16 */

    uint32_t samples, chunks, times; /* entries that moov lists: none belong there */
    uint32_t n_entries;              /* of stsd */
    uint32_t entry;                  /* avc1, hvc1, av01, mp4a, Opus … */
    unsigned width, height;          /* of the sample entry */
    unsigned channels, sample_rate;

    int has_colr; /* an nclx one */
    int primaries, transfer, matrix, full_range;
    uint32_t pasp_h, pasp_v; /* 0 0: no box */

    uint32_t config_type; /* avcC, hvcC, av1C, esds, dOps; 0: none */
    uint8_t config[BMFF_CONFIG_MAX];
    size_t config_len;

    uint32_t n_edits;
    uint64_t edit_duration; /* of the first, movie timescale */
    int64_t edit_media_time;

    uint32_t def_duration, def_size, def_flags; /* trex */
};

/* -EINVAL with ERR_INPUT. */
int bmff_init_parse(const uint8_t *buf, size_t len, struct bmff_init *ret, struct err *err);

struct bmff_sample {
    int64_t dts, pts;
    uint64_t off; /* in the segment */
    uint32_t duration, size, flags;
};
#define BMFF_NON_SYNC 0x10000u

struct bmff_moof {
    size_t off, end; /* moof's start, and the end of its last mdat */
    uint32_t sequence, track_id, tfhd_flags;
    unsigned n_mfhd, n_traf, n_tfdt, n_trun, n_mdat;
    int tfdt_version;
    uint64_t tfdt;
    uint64_t duration; /* sum over samples */
    size_t first_sample, n_samples;
    size_t mdat_off, mdat_len; /* body of the first mdat */
};

struct bmff_segment {
    struct bmff_moof *moofs;
    size_t n_moofs;
    struct bmff_sample *samples;
    size_t n_samples;
    unsigned n_styp, n_sidx, n_emsg, n_other;
    size_t mdat_orphans; /* mdat boxes without a moof before them */
};

/* Reads all moofs of a segment. -EINVAL with ERR_INPUT, -ENOMEM. */
int bmff_segment_parse(const uint8_t *buf, size_t len, const struct bmff_init *init,
                       struct bmff_segment *ret, struct err *err);
void bmff_segment_release(struct bmff_segment *s);

#endif
