/* ttml.h - a document of TTML as cues. A pure function over hostile bytes.
 *
 * What is read: W3C TTML 1 and 2, and with them IMSC 1, EBU-TT-D, SMPTE-TT and the older DFXP,
 * whose namespaces differ: elements and attributes are known by their local names. Of styles bold,
 * italic and underlined are kept, of regions whether they are at the top.
 *
 * libxml2 parses, without entities, DTDs and files of any kind.
 */
#ifndef GOPMILL_WORKER_TTML_H
#define GOPMILL_WORKER_TTML_H

#include "webvtt.h"

enum {
    TTML_BYTES_MAX = 2 << 20, /* of a document */
    TTML_DEPTH_MAX = 64,      /* elements inside of each other */
    TTML_NODES_MAX = 200000,  /* elements that are looked at */
};

/* Appends the cues of the document, with its own times, in milliseconds; `end` is INT64_MAX where
 * nothing says it. A paragraph whose spans come and go is several cues.
 *
 * *ret_bad: elements that were skipped, for a time that can't be read or beyond a limit.
 * *ret_cut: cues that were longer than CUE_TEXT_MAX.
 * 0; -EINVAL: it is no document of TTML, or has a DTD, or its times are those of a wall clock;
 * -ENOMEM. `ret` may have grown on failure. */
int ttml_read(const void *data, size_t size, struct cues *ret, uint64_t *ret_bad,
              uint64_t *ret_cut);

#endif
