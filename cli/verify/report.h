/* report.h - what the checks found: one entry a rule, in the order of the
 * table in report.c, each with its first few failures.
 *
 * A rule that nothing was said about is "skip". Failing beats warning beats
 * passing, whatever comes first. Any thread may report.
 */
#ifndef GOPMILL_VERIFY_REPORT_H
#define GOPMILL_VERIFY_REPORT_H

#include <stdio.h>

enum check {
    CHECK_RECEIPT,
    CHECK_FILES_NAMED,
    CHECK_FILES_DIGEST,
    CHECK_FILES_EXTRA,
    CHECK_INIT_BOXES,
    CHECK_INIT_CODEC,
    CHECK_INIT_PICTURE,
    CHECK_INIT_EDITS,
    CHECK_SEG_BOXES,
    CHECK_SEG_TIME,
    CHECK_SEG_SYNC,
    CHECK_SEG_ORDER,
    CHECK_HLS_MEDIA,
    CHECK_HLS_EXTINF,
    CHECK_HLS_IFRAME,
    CHECK_HLS_MASTER,
    CHECK_HLS_GROUPS,
    CHECK_HLS_BANDWIDTH,
    CHECK_HLS_CAPTIONS,
    CHECK_ALIGN_VIDEO,
    CHECK_ALIGN_AUDIO,
    CHECK_ALIGN_END,
    CHECK_DASH_MPD,
    CHECK_DASH_REPRESENTATION,
    CHECK_DASH_TIMELINE,
    CHECK_DASH_TRACKS,
    CHECK_TEXT_CUES,
    CHECK_TEXT_TIMES,
    CHECK_TEXT_NAMED,
    CHECK_PICTURES_FILES,
    CHECK_PICTURES_NAMED,
    CHECK_DECODE_VIDEO,
    CHECK_DECODE_AUDIO,
    CHECK_SOURCE_FRAMES,
    CHECK_SOURCE_ORIGIN,
    CHECK_SOURCE_PICTURE,
    CHECK_SOURCE_COPY,
    CHECK_SOURCE_AUDIO,
    CHECK_SOURCE_TRACKS,
    CHECK_SOURCE_TEXT,
    CHECK_MAX
};

enum check_state { CHECK_SKIP, CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct report;

struct report *report_new(void); /* NULL: out of memory */
void report_free(struct report *r);

/* The rule was looked at; without a failure it passes. */
void report_ran(struct report *r, enum check c);

/* The rule was looked at, and this is what to say if it passes: numbers.
 * Called twice, the texts are joined by "; ". */
void report_pass(struct report *r, enum check c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A breach: where, what was found, what was expected. */
void report_fail(struct report *r, enum check c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void report_warn(struct report *r, enum check c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

enum check_state report_state(const struct report *r, enum check c);
int report_ok(const struct report *r); /* 1: nothing failed */
const char *check_id(enum check c);    /* "seg.time" */
const char *check_rule(enum check c);  /* the rule in one sentence */

void report_print(const struct report *r, FILE *to);
/* {"ok":…,"checks":[{"id","ok","state","detail"}…]}. 0 or -ENOMEM. */
int report_print_json(const struct report *r, FILE *to);

#endif
