/* webvtt.h - what a subtitle decoder gives, as cues of WebVTT, and cues as
 * files. Pure functions over hostile text.
 *
 * Decoders give lines of ASS, also of WebVTT: bold, italic and underlined are kept, every
 * other override and all drawings are dropped; what stands at the top of the
 * picture stays there. Cues are in order of their start.
 */
#ifndef GOPMILL_WORKER_WEBVTT_H
#define GOPMILL_WORKER_WEBVTT_H

#include <stddef.h>
#include <stdint.h>

enum {
    CUE_TEXT_MAX = 4096,   /* bytes of a cue */
    CUE_SETTINGS_MAX = 96, /* of its settings, with their end */
};

struct cue {
    int64_t start, end;              /* milliseconds, from 0; end > start */
    char *text;                      /* lines, escaped and with tags, none of them empty */
    int top;                         /* 1: it stands at the top */
    char settings[CUE_SETTINGS_MAX]; /* where else it stands, as WebVTT says it; "": nowhere */
};

struct cues {
    struct cue *v;
    size_t n, room;
};

void cues_release(struct cues *l); /* leaves it empty */
/* `text` is taken on success. 0 or -ENOMEM. */
int cues_add(struct cues *l, struct cue c);
/* By start, then as they were added. */
void cues_sort(struct cues *l);

/* The text of an ASS dialogue as libavcodec hands it on ("ReadOrder,Layer,
 * Style,Name,MarginL,MarginR,MarginV,Effect,Text"), or (`plain`) plain text.
 * *ret is allocated; "" where nothing of it is shown. *ret_top: \an7 to \an9.
 * *ret_cut: it was longer than CUE_TEXT_MAX, and ends there. 0 or -ENOMEM. */
int webvtt_text(const char *dialogue, int plain, char **ret, int *ret_top, int *ret_cut);

/* Settings of a cue of WebVTT (W3C WebVTT, 4.4), `n` bytes of them: those that are known and well
 * written, for `settings`. Of a region, which isn't kept, nothing is. */
void webvtt_settings(const char *s, size_t n, char ret[static CUE_SETTINGS_MAX]);

/* Bytes that a cue has in a file. */
size_t webvtt_cue_bytes(const struct cue *c);

/* A file of the cues that are shown in [from, to), each with all of its time.
 * `map`: it is a segment of HLS, and says where its zero is on the timeline
 * (RFC 8216, 3.5). *ret is allocated. *ret_n: how many cues. 0 or -ENOMEM. */
int webvtt_file(const struct cues *l, int64_t from, int64_t to, int map, char **ret,
                size_t *ret_len, size_t *ret_n);

#endif
