/* parts.h - the parts that several messages are made of; private to wire/.
 *
 * X_read() reads the value `v` into *ret with fields.h's sticky errors. *ret
 * need not be initialised and can be released afterwards, failed or not.
 */
#ifndef GOPMILL_WIRE_PARTS_H
#define GOPMILL_WIRE_PARTS_H

#include "task.h"

struct in;
struct out;

enum {
    PICTURE_MAX = 65535, /* pixels, of a side */
    SAMPLE_RATE_MAX = 768000,
    CHANNELS_MAX = 64,
};

json_t *color_to_json(const struct color_info *c);
struct color_info color_read(const struct in *o, const char *name);

json_t *text_info_to_json(const struct text_info *t);
void text_info_read(const struct in *v, struct text_info *t);
/* The field "hdr" of an object; not there where there is nothing to tell. */
void hdr_write(struct out *o, const struct hdr_info *h);
void hdr_read(const struct in *o, struct hdr_info *ret);

void media_info_read(const struct in *v, struct media_info *ret);
void rendition_read(const struct in *v, struct rendition *ret);
void chunk_read(const struct in *v, struct chunk *ret);
json_t *pts_list_to_json(const struct pts_list *l);
void pts_list_read(const struct in *v, struct pts_list *ret);

/* The fields "arrivals" and "joins" of an info; not there where there are none. */
void arrivals_write(struct out *o, const struct media_info *i);
void arrivals_read(const struct in *o, struct media_info *i);
/* Sets both of `to`. 0 or -ENOMEM. */
int media_info_copy_arrivals(const struct media_info *from, struct media_info *to);

/* The fields "edits" and "edit_scale" of an info, and "spans" of a chunk; not there where there
 * are none. */
void edits_write(struct out *o, const struct media_info *i);
void edits_read(const struct in *o, struct media_info *i);
void spans_write(struct out *o, const struct chunk *c);
void spans_read(const struct in *o, struct chunk *c);

/* The fields "stamps" and "stamps_from" of a chunk or span of `packets`; not there where there are
 * none. *ret is zeroed before. */
void stamps_write(struct out *o, const struct packet_stamps *s);
void stamps_read(const struct in *o, uint64_t packets, struct packet_stamps *ret);

/* An array of renditions with names that differ, at most RENDITIONS_MAX. */
struct rendition *renditions_read(const struct in *o, const char *name, size_t *ret_n);

/* out_list() wants this shape. */
json_t *rendition_item_to_json(const void *r);

#endif
