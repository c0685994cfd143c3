#include "source.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "spill.h"

DEFINE_CLEANUP(struct source *, source_free);

void source_free(struct source *s)
{
    if (!s)
        return;
    free(s->path);
    for (size_t i = 0; i < s->n_sounds; i++)
        sound_release(&s->sounds[i].sound);
    free(s->pictures);
    free(s->packets);
    seams_release(&s->seams);
    edit_lists_release(&s->edits);
    caption_pairs_release(&s->captions);
    spill_free(s->thumbs);
    free(s->sums);
    free(s);
}

int source_bad(const struct source *s, const char *what, int r, struct err *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (r == AVERROR(ENOMEM))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    av_strerror(r, text, sizeof(text));
    return err_set(err, -EINVAL, ERR_INPUT, "%s: %s: %s", s->path, what, text);
}

/* Only this one file is read: playlists and scripts that a demuxer would
 * follow find no protocol to open anything with. */
static int open_alone(const struct source *s, int edited, AVFormatContext **ret)
{
    _cleanup_free_ char *url = NULL;
    AVFormatContext *f = avformat_alloc_context();
    AVIOContext *io = NULL;
    /* "file:" so that no name is taken for a protocol. */
    int r = f && asprintf(&url, "file:%s", s->path) >= 0 ? 0 : AVERROR(ENOMEM);
    if (!r)
        r = avio_open(&io, url, AVIO_FLAG_READ);
    if (r < 0) {
        avformat_free_context(f);
        return r;
    }
    f->pb = io;
    f->protocol_whitelist = av_strdup("none");
    AVDictionary *options = NULL;
    if (!edited)
        (void)av_dict_set(&options, "ignore_editlist", "1", 0);
    r = avformat_open_input(&f, s->path, NULL, &options); /* frees f where it fails, not io */
    av_dict_free(&options);
    if (r < 0)
        avio_closep(&io);
    else
        *ret = f;
    return r;
}

static int open_format(const struct source *s, int edited, AVFormatContext **ret, struct err *err)
{
    _cleanup_(source_format_close) AVFormatContext *f = NULL;
    int r = open_alone(s, edited, &f);
    if (r < 0)
        return source_bad(s, "can't be opened", r, err);
    r = avformat_find_stream_info(f, NULL);
    if (r < 0)
        return source_bad(s, "can't be read", r, err);
    *ret = take_ptr(f);
    return 0;
}

int source_format(const struct source *s, AVFormatContext **ret, struct err *err)
{
    return open_format(s, 1, ret, err);
}

int source_unedited(const struct source *s, AVFormatContext **ret, struct err *err)
{
    return open_format(s, s->edits.n == 0, ret, err);
}

void source_format_close(AVFormatContext **f)
{
    AVIOContext *io = *f ? (*f)->pb : NULL;

    avformat_close_input(f);
    avio_closep(&io);
}

/* Of formats whose header doesn't name all streams: some may begin minutes later, or go on others.
 * Reads all of the file, and notes which have packets, be it behind what libavformat probes. */
static int find_late(struct source *s, AVFormatContext *f)
{
    AVPacket *pkt = av_packet_alloc();
    struct joined_scan *scan = joined_scan_new();
    int r = pkt && scan ? 0 : -ENOMEM;
    while (!r && av_read_frame(f, pkt) >= 0) {
        if (pkt->stream_index < SOURCE_STREAMS_MAX)
            s->has_packets[pkt->stream_index] = 1;
        r = joined_scan_packet(scan, f, pkt);
        av_packet_unref(pkt);
    }
    if (!r)
        joined_scan_end(scan, f, &s->joined);
    joined_scan_free(scan);
    av_packet_free(&pkt);
    return r;
}

static int may_begin_late(const AVFormatContext *f)
{
    static const char *const formats[] = { "mpegts", "mpeg", "flv" };
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (!strcmp(f->iformat->name, formats[i]))
            return 1;
    return 0;
}

static int begins_late(const struct source *s, unsigned stream)
{
    return stream < SOURCE_STREAMS_MAX && s->has_packets[stream];
}

/* docs/inputs.md: the default one, else the largest. Cover art is a video
 * stream to libavformat; films aren't. */
static int best_video(const struct source *s, const AVFormatContext *f)
{
    int best = -1;
    int64_t most = 0, longest = 0;
    /* A track of a tenth of another's pictures or less is a still beside a film. */
    for (unsigned i = 0; i < f->nb_streams; i++)
        if (f->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
            f->streams[i]->nb_frames > longest)
            longest = f->streams[i]->nb_frames;
    for (unsigned i = 0; i < f->nb_streams; i++) {
        const AVStream *st = f->streams[i];
        const AVCodecParameters *c = st->codecpar;
        int64_t score = (int64_t)c->width * c->height;
        if (score <= 0 && begins_late(s, i))
            score = 1; /* nobody knows how large it is */
        if (c->codec_type != AVMEDIA_TYPE_VIDEO || score <= 0 ||
            st->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS) ||
            !avcodec_find_decoder(c->codec_id) || joined_is_part(&s->joined, i))
            continue;
        if (st->disposition & AV_DISPOSITION_DEFAULT)
            score += INT64_C(1) << 40;
        if (st->nb_frames <= 0 || st->nb_frames > longest / 10)
            score += INT64_C(1) << 41;
        if (score > most) {
            most = score;
            best = (int)i;
        }
    }
    return best;
}

/* Programs that know no matrix keep a rotation as a tag, degrees clockwise. */
static void matrix_of_tag(struct source *s, const AVStream *st)
{
    static const int32_t one = 1 << 16;
    const AVDictionaryEntry *tag = av_dict_get(st->metadata, "rotate", NULL, 0);
    int cos = 0, sin = 0;
    if (!tag || s->has_matrix)
        return;
    switch ((atoi(tag->value) % 360 + 360) % 360) {
    case 90:
        sin = 1;
        break;
    case 180:
        cos = -1;
        break;
    case 270:
        sin = -1;
        break;
    default:
        return;
    }
    s->has_matrix = 1;
    s->matrix[0] = s->matrix[4] = cos * one;
    s->matrix[1] = sin * one;
    s->matrix[3] = -sin * one;
}

static void find_sounds(struct source *s, AVFormatContext *f)
{
    int best = av_find_best_stream(f, AVMEDIA_TYPE_AUDIO, -1, s->video, NULL, 0);
    for (unsigned i = 0; i < f->nb_streams && s->n_sounds < SOURCE_SOUNDS_MAX; i++) {
        const AVStream *st = f->streams[i];
        const AVDictionaryEntry *lang = av_dict_get(st->metadata, "language", NULL, 0);
        struct source_sound *x = &s->sounds[s->n_sounds];
        if (st->codecpar->codec_type != AVMEDIA_TYPE_AUDIO ||
            (!begins_late(s, i) &&
             (st->codecpar->sample_rate <= 0 || st->codecpar->ch_layout.nb_channels <= 0)) ||
            !avcodec_find_decoder(st->codecpar->codec_id) || joined_is_part(&s->joined, i))
            continue;
        *x = (struct source_sound){ .stream = (int)i,
                                    .tb = st->time_base,
                                    .is_default = (st->disposition & AV_DISPOSITION_DEFAULT) != 0 };
        snprintf(x->language, sizeof(x->language), "%s", lang ? lang->value : "");
        if ((int)i == best || !s->sound)
            s->sound = x;
        s->n_sounds++;
    }
}

static void find_streams(struct source *s, AVFormatContext *f)
{
    s->video = best_video(s, f);
    find_sounds(s, f);
    if (s->video >= 0) {
        const AVStream *st = f->streams[s->video];
        size_t size = 0;
        const uint8_t *m = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &size);
        s->video_tb = st->time_base;
        s->has_matrix = m && size >= sizeof(s->matrix);
        if (s->has_matrix)
            memcpy(s->matrix, m, sizeof(s->matrix));
        matrix_of_tag(s, st);
    }
}

static void find_area(struct source *s, const AVFormatContext *f)
{
    unsigned before = 0;
    for (int i = 0; i < s->video; i++)
        before += f->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
    if (s->video >= 0 && strstr(f->iformat->name, "mov"))
        clean_area_iso(s->path, (uint32_t)f->streams[s->video]->id, &s->area);
    if (s->video >= 0 && strstr(f->iformat->name, "matroska"))
        clean_area_matroska(s->path, before, &s->area);
}

static int find_seams(struct source *s, struct err *err)
{
    _cleanup_(source_format_close) AVFormatContext *f = NULL;
    int r = open_format(s, 1, &f, err);
    return r < 0 ? r
                 : seams_find(f, &s->joined, s->video, s->sound ? s->sound->stream : -1, &s->seams);
}

int source_open(const char *path, const struct source_wish *w, struct source **ret, struct err *err)
{
    _cleanup_(source_freep) struct source *s = calloc(1, sizeof(*s));
    _cleanup_(source_format_close) AVFormatContext *f = NULL;
    if (!s || !(s->path = strdup(path)))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    s->video = -1;
    int r = open_format(s, 1, &f, err);
    if (r < 0)
        return r;
    if (may_begin_late(f) && find_late(s, f) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    if (strstr(f->iformat->name, "mov") && edit_lists_read(path, &s->edits) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    find_streams(s, f);
    find_area(s, f);
    if (s->video < 0 && !s->sound)
        return err_set(err, -EINVAL, ERR_INPUT, "%s: neither video nor audio", path);
    r = seams_possible(f) ? find_seams(s, err) : 0;
    if (!r)
        r = source_read(s, w, err);
    for (size_t i = 0; r >= 0 && i < s->n_sounds; i++)
        s->has_sound |= s->sounds[i].heard;
    if (r < 0)
        return r;
    *ret = take_ptr(s);
    return 0;
}

int source_thumb(const struct source *s, size_t i, struct thumb *ret)
{
    if (!s->thumbs || i >= s->n)
        return -ENOENT;
    return spill_read(s->thumbs, s->pictures[i].number * sizeof(*ret), ret, sizeof(*ret));
}

const struct sum *source_sum(const struct source *s, size_t i)
{
    return s->sums && i < s->n ? &s->sums[s->pictures[i].number] : NULL;
}
