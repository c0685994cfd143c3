/* clean_area.h - the part of its pictures that a source's container has players show: the clean
 * aperture of ISO media (clap, ISO 14496-12, 12.1.4) or Matroska's PixelCrop elements
 * (RFC 9559, 5.1.4.1.28.8 to 11), read from the bytes here.
 */
#ifndef GOPMILL_VERIFY_CLEAN_AREA_H
#define GOPMILL_VERIFY_CLEAN_AREA_H

#include <stddef.h>
#include <stdint.h>

struct clean_area {                  /* zeroed: all of a picture is shown */
    double width, height;            /* of pictures that this is of */
    double left, top, right, bottom; /* not shown */
};

/* Of the track with that id, and of the track of pictures with that number, from 0. What isn't
 * such a file, can't be read, or asks for what can't be leaves `ret` zeroed. */
void clean_area_iso(const char *path, uint32_t id, struct clean_area *ret);
void clean_area_matroska(const char *path, unsigned track, struct clean_area *ret);

/* The same of bytes: the body of a moov box; the first bytes of a Matroska file. */
void clean_area_moov(const uint8_t *buf, size_t len, uint32_t id, struct clean_area *ret);
void clean_area_elements(const uint8_t *buf, size_t len, unsigned track, struct clean_area *ret);

struct AVFrame;
/* A new reference to what is shown of a picture; NULL: no memory. */
struct AVFrame *clean_area_of(const struct clean_area *a, const struct AVFrame *f);

#endif
