/* check.h - puts a ladder to the test of the encoders themselves.
 *
 * A library of its own (libladders_check), for it links libavcodec and with
 * it every codec; loading and resolving don't.
 */
#ifndef GOPMILL_LADDERS_CHECK_H
#define GOPMILL_LADDERS_CHECK_H

struct err;
struct ladder;

/* Opens every encoder once with the parameters of each rendition, so that
 * one that an encoder would ignore, and one that it refuses, is found here
 * and not in the middle of a job. Takes a few seconds for large ladders.
 *
 * -EINVAL with ERR_USAGE, file, line and rendition for such a parameter;
 * -ENOTSUP with ERR_UNSUPPORTED where this build's libavcodec lacks the
 * encoder. libavcodec's log callback is process-wide: for the time of the
 * call it is this function's, so one call at a time, and no other thread
 * that wants its libav messages meanwhile. */
int ladder_check_encoders(const struct ladder *l, struct err *err);

#endif
