/* tracks.h - loading one rendition of a package; private to package.c. */
#ifndef GOPMILL_VERIFY_TRACKS_H
#define GOPMILL_VERIFY_TRACKS_H

#include "package.h"

/* r->media is set. Reports what is wrong; -ENOMEM only. */
int package_load_rendition(struct package *p, struct rendition *r);

#endif
