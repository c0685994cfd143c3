/* object.h - what HTTP says about the objects of a package: types and how
 * long caches may keep them.
 *
 * Init and media segments never change under their name: the same task
 * gives the same bytes. Playlists may be replaced by those of a new ladder,
 * so caches ask again soon.
 */
#ifndef GOPMILL_WIRE_OBJECT_H
#define GOPMILL_WIRE_OBJECT_H

#define OBJECT_TYPE_VIDEO    "video/mp4"
#define OBJECT_TYPE_AUDIO    "audio/mp4"
#define OBJECT_TYPE_TEXT     "text/vtt"
#define OBJECT_TYPE_PICTURE  "image/jpeg"
#define OBJECT_TYPE_HLS      "application/vnd.apple.mpegurl"
#define OBJECT_TYPE_DASH     "application/dash+xml"
#define OBJECT_TYPE_JSON     "application/json"
#define OBJECT_CACHE_SEGMENT "public, max-age=31536000, immutable"
#define OBJECT_CACHE_LIST    "public, max-age=60"
#define OBJECT_CACHE_GROWING "public, max-age=2" /* a playlist that is being added to */
#define OBJECT_CACHE_NONE    "no-store"

#endif
