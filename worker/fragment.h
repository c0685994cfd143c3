/* fragment.h - reads back one moof + mdat that a muxer wrote (rule 5.11).
 *
 * ISO/IEC 14496-12: 8.8.4 moof, 8.8.7 tfhd, 8.8.8 trun, 8.8.12 tfdt. One
 * traf, one trun, default-base-is-moof: what CMAF (ISO/IEC 23000-19, 7.3.2)
 * allows and we write. */
#ifndef GOPMILL_WORKER_FRAGMENT_H
#define GOPMILL_WORKER_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct fragment {
    int64_t tfdt;      /* decode time of the first sample, ticks */
    int64_t duration;  /* sum of the samples' durations */
    int64_t first_pts; /* smallest presentation time */
    int64_t last_pts;  /* largest presentation time */
    uint32_t samples;
    int first_sync;       /* the first sample is a sync sample */
    uint32_t other_syncs; /* sync samples after the first */
    uint64_t first_end;   /* offset in the fragment where the first sample ends */
};

/* -EPROTO with ERR_INTERNAL and what is wrong. */
int fragment_read(const uint8_t *buf, size_t len, struct fragment *ret, struct err *err);

/* The payload of the box `path` ("moov/trak/mdia") in `buf`; 0 or -ENOENT. */
int box_find(const uint8_t *buf, size_t len, const char *path, const uint8_t **ret,
             size_t *ret_len);

#endif
