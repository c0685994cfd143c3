/* ladder.h - which renditions a package has: read from YAML, checked, and
 * resolved against a source. docs/ladders.md is the format's reference.
 *
 * A ladder is what an operator writes ("1080p at crf 21, at most 6 Mb/s");
 * resolving it against what a probe found gives `struct rendition`s with
 * every encoder parameter spelled out. Nothing here opens a source.
 */
#ifndef GOPMILL_LADDERS_LADDER_H
#define GOPMILL_LADDERS_LADDER_H

#include "../common/wire/rendition.h"

struct err;
struct ladder; /* opaque, immutable once loaded; any thread may read it */

/* Load `name_or_path`: a name ("web-h264") is looked for in the folders of
 * ladder_dirs(); anything with a '/' or ending in ".yaml" is a file.
 * Errors name file and line: "ladders/web.yaml:14: rendition 1080p: …".
 * -ENOENT lists the known names; -EINVAL for a ladder that breaks a rule;
 * both ERR_USAGE. */
int ladder_load(const char *name_or_path, struct ladder **ret, struct err *err);

/* The same from memory; `where` stands for the file's name in errors. */
int ladder_parse(const char *yaml, size_t len, const char *where, struct ladder **ret,
                 struct err *err);

void ladder_free(struct ladder *l); /* NULL is a no-op */

const char *ladder_name(const struct ladder *l);
const char *ladder_description(const struct ladder *l);
/* The ladder's text as it was read, for receipts and for the children that
 * resolve it; NUL-terminated. Borrowed. */
const char *ladder_text(const struct ladder *l);
/* sha256 of that text in hex: equal digests, equal ladders. Borrowed. */
const char *ladder_digest(const struct ladder *l);

double ladder_segment_seconds(const struct ladder *l); /* target, default 6 */
double ladder_gop_seconds(const struct ladder *l);     /* target, default 2 */
int ladder_default_track(const struct ladder *l);      /* 1: of the default sound track only */

/* The renditions for a source: never upscaled, short side first for
 * portrait, frame rate capped on a grid, video best first, then audio: of
 * each of the source's tracks (as far as RENDITIONS_MAX goes, or of the
 * default one alone, if the ladder says so) all audio rungs. A rendition of
 * another track than the default one has its rung's name with the track's
 * language behind it, or its number ("aac-128k-deu", "aac-128k-2").
 * Where the source is smaller than the smallest rung, that rung is encoded
 * at the source's size. *ret_n may count audio only (audio-only input).
 * -EINVAL with ERR_INPUT where the source has neither usable video nor
 * audio, or nothing that this ladder is for. That an encoder is in this
 * build is ladder_check_encoders()'s to say (check.h), for nothing here
 * links libavcodec. Free with rendition_list_free(). */
int ladder_resolve(const struct ladder *l, const struct media_info *src, struct rendition **ret,
                   size_t *ret_n, struct err *err);

/* The extras of the same source: each text track, a poster, a storyboard
 * (without shots: plan_add_extras()), where the ladder wants
 * them and any of `renditions` (what ladder_resolve() gave; borrowed) is
 * video. Names are none of theirs. *ret_n may be 0. Free as above. */
int ladder_resolve_extras(const struct ladder *l, const struct media_info *src,
                          const struct rendition *renditions, size_t n_renditions,
                          struct rendition **ret, size_t *ret_n, struct err *err);

/* NULL-terminated list of folders looked in, first one first: those of
 * $GOPMILL_LADDERS (separated by ':'), the source tree's where it is still
 * there, the installed one. Free with ladder_dirs_free(). NULL: out of
 * memory. Reads the environment: not while another thread changes it. */
char **ladder_dirs(void);
void ladder_dirs_free(char **dirs); /* NULL is a no-op */

/* Calls `each` for every ladder in ladder_dirs(), sorted by name, once a
 * name (the first folder wins). Stops at a non-zero value and returns it. */
int ladder_list(int (*each)(void *arg, const char *name, const char *path), void *arg,
                struct err *err);

#endif
