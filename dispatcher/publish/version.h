/* version.h - the folder of its output in which a package's media lies.
 *
 * A package that replaces another is made beside it, in a folder of its own:
 * "v2-<12 of a-f, 0-9>/video/720p/seg-00001.m4s", with media playlists. Only master.m3u8,
 * manifest.mpd and job.json lie at the output itself; they name one version and are stored last. So
 * no URL of a segment ever has other bytes, and players of the old package go on in its
 * folder until that is swept. The first package of an output has no such folder: its
 * version is "".
 */
#ifndef GOPMILL_PUBLISH_VERSION_H
#define GOPMILL_PUBLISH_VERSION_H

#include <stddef.h>
#include <stdint.h>

#include "../../common/base/err.h"

struct store;

enum { VERSION_ROOM = 32 };

/* How many characters of `key` are a version's folder, its slash included; 0: none. */
size_t version_folder(const char *key);

/* The number of a version; of "" 1. */
unsigned version_number(const char *version);

/* What a job's next run is to be made from, and what may lie at its output. All borrowed. */
struct version_ask {
    const char *output;                       /* URL, for sentences */
    const char *job, *source, *etag, *ladder; /* ladder: its text */
    int64_t created_ms;                       /* of the job */
    unsigned run; /* above 0: its source was replaced, and what it made of the old one lies
                   * there, published or not */
    int replace;  /* enum job_replace (wire/job.h) */
    int in_place; /* `gopmill run`: no version but "" */
};

struct version_choice {
    char version[VERSION_ROOM];
    int replaces;                /* a package lies there already: */
    char replaced[VERSION_ROOM]; /* its version */
};

/* Look at the output and decide in which folder the package is to be made.
 * 0, or
 *   -EEXIST  ERR_USAGE: a package of another job (of another farm or database, or one whose job
 *            was deleted) lies there; the text names that job, its source, and what to do
 *   -EPROTO  ERR_USAGE: job.json there is no receipt
 *   -ENOMEM  ERR_RESOURCE
 *   others   from the store */
int version_choose(struct store *s, const struct version_ask *ask, struct version_choice *ret,
                   struct err *err);

#endif
