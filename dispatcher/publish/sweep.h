/* sweep.h - remove from a package's prefix what nobody needs any more:
 * segments of jobs that failed, playlists of packages that never came to be.
 *
 * Only what has exactly the names that this program gives is ever removed:
 * master.m3u8, manifest.mpd, job.json, and in video/<rendition>/ and
 * audio/<rendition>/: init.mp4, seg-<number>.m4s, index.m3u8, iframe.m3u8; in
 * text/<name>/: all.vtt, seg-<number>.vtt, index.m3u8; poster.jpg, and in
 * storyboard/: index.vtt, sheet-<number>.jpg, index.m3u8; all but the first three also in the
 * folder of a version (version.h). Whatever else lies under the prefix is let alone.
 */
#ifndef GOPMILL_PUBLISH_SWEEP_H
#define GOPMILL_PUBLISH_SWEEP_H

#include <stddef.h>

struct err;
struct store;

/* In the order in which they are removed: what names others goes first. */
enum sweep_kind {
    SWEEP_MASTER,
    SWEEP_MANIFEST,
    SWEEP_PLAYLIST,
    SWEEP_SEGMENT,
    SWEEP_RECEIPT,
    SWEEP_NOT_OURS
};
enum sweep_kind sweep_kind_of(const char *key);

struct sweep_what { /* all borrowed */
    const char *job;
    int everything;
    const char *const *spared; /* versions (version.h) that were replaced not long ago */
    size_t n_spared;
};

/* Remove what the published receipt (job.json) doesn't name; without a
 * receipt that is all that is ours. With `everything` the package goes as
 * well, and every version, provided that the receipt is that of `job`: what another job has
 * published at the same place since stays. Otherwise media of spared versions stays, and of
 * those that master or manifest name. Only while no job writes there.
 *
 * Returns 0 and the number of objects removed;
 *   -EPROTO  ERR_INPUT (trying again is no use): the receipt isn't one;
 *            nothing was removed
 *   -EFBIG   ERR_INPUT: likewise, it is too large
 *   -ENOMEM  ERR_RESOURCE; nothing was removed
 *   others   ERR_STORAGE, from the store; *ret_removed is right even then.
 * Doing it again goes on where it ended. */
int package_sweep(struct store *s, const struct sweep_what *what, size_t *ret_removed,
                  struct err *err);

#endif
