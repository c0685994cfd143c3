/* receipt.h - job.json, the receipt of a package: what was made of what, by
 * what, with the digest of every object.
 *
 * Equal jobs give equal receipts, byte for byte, whatever happened on the
 * way; what differs from run to run (CPU seconds, attempts, workers, memory)
 * is in the object `run` and nowhere else. Keys are in a fixed order. There
 * are no times of day.
 *
 *   v 1, job, version (version.h; left out where it is ""), which all keys but those of master and
 *   manifest begin with
 *   source      url etag size, info (media_info.h)
 *   timeline    origin, origin_tb [num, den], timescale, duration
 *   ladder      name sha256
 *   engines     [fingerprint …], each once
 *   renditions  [name kind ("video" "audio") codec codecs,
 *                video: width height sar frame_rate, as [num, den]; where a cap leaves
 *                frames out, frame_interval, its grid's period in seconds;
 *                copied true where its packets are the source's own; not_copied, why
 *                they aren't where the ladder allows it;
 *                audio: rung (of the ladder) stream (of the source) title
 *                language ("": not known) role (of DASH) default (0 or 1), as
 *                playlists have them; sample_rate channels layout priming (samples); loudness
 * {target true_peak_limit measured true_peak gain} where the ladder has a target (LUFS, dB;
 * measured before the gain, -70: silence), encoder, params {…}, timescale, start duration (ticks,
 * as presented), frames, bytes, average_bit_rate peak_bit_rate (bit/s), init {key size sha256 md5},
 *                segments [n key size sha256 md5,
 *                          start duration (ticks, as presented), frames]]
 *   extras      where there are any: [name kind ("text" "poster" "storyboard"),
 *                text: stream language title default forced hearing_impaired,
 *                timescale, cues;
 *                pictures: width height, the storyboard's columns rows every_ms tiles,
 *                bytes, objects [key size sha256 md5, segments and sheets: n, start
 *                                duration (ticks of the timescale, of sheets
 *                                milliseconds), frames (cues, tiles)]]; of text the first
 *                object is the whole one, of a storyboard its index
 *   texts       [key size sha256] of the playlists and the manifest
 *   totals      bytes segments frames_concealed
 *   warnings    [text …]
 *   run         cpu_s, tasks [id attempt worker cpu_s wall_s first_frame_s
 *                             peak_bytes bytes_read]
 */
#ifndef GOPMILL_PUBLISH_RECEIPT_H
#define GOPMILL_PUBLISH_RECEIPT_H

#include "package.h"

/* What a package doesn't know of its job; all borrowed, not NULL. */
struct receipt_job {
    const char *id;
    const char *source; /* URL; user, password, query and fragment stay out of the receipt */
    const char *etag;
    const char *ladder, *ladder_digest;
};

/* A text that was published beside the segments. */
struct receipt_text {
    const char *key;
    size_t size_bytes;
    char sha256[65];
};

/* 0 and a NUL-terminated text that the caller frees, or -ENOMEM with
 * ERR_RESOURCE. Pure; any thread. */
int receipt_make(const struct package *p, const struct receipt_job *job,
                 const struct receipt_text *texts, size_t n_texts, char **ret, size_t *ret_len,
                 struct err *err);

#endif
