#include "clip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <math.h>

enum { SIDE = 64, COVER_SIDE = 128, AUDIO_RATE = 48000 };

struct maker {
    const struct clip_spec *spec;
    AVFormatContext *mux;
};

static void must(int r, const char *what)
{
    if (r < 0)
        fail_msg("%s: %s", what, av_err2str(r));
}

static AVCodecContext *open_encoder(const char *name, AVCodecContext *c, const char *params)
{
    AVDictionary *d = NULL;

    if (params)
        must(av_dict_parse_string(&d, params, "=", ":", 0), params);
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    must(avcodec_open2(c, NULL, &d), name);
    assert_int_equal(av_dict_count(d), 0);
    av_dict_free(&d);
    return c;
}

static AVCodecContext *new_encoder(const char *name)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);

    if (!codec)
        fail_msg("this libavcodec has no %s", name);
    return avcodec_alloc_context3(codec);
}

static AVCodecContext *open_video(const struct clip_spec *s)
{
    AVCodecContext *c = new_encoder(s->encoder);

    c->width = c->height = SIDE;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = s->times ? (AVRational){ 1, 1000 } : av_inv_q(s->rate);
    c->framerate = s->times ? (AVRational){ 25, 1 } : s->rate;
    c->gop_size = c->keyint_min = s->gop;
    return open_encoder(s->encoder, c, s->params);
}

static AVCodecContext *open_cover(void)
{
    AVCodecContext *c = new_encoder("mjpeg");

    c->width = c->height = COVER_SIDE;
    c->pix_fmt = AV_PIX_FMT_YUVJ420P;
    c->time_base = (AVRational){ 1, 1 };
    return open_encoder("mjpeg", c, NULL);
}

static AVCodecContext *open_audio(const struct clip_spec *s)
{
    AVCodecContext *c = new_encoder(s->audio);

    c->sample_rate = AUDIO_RATE;
    c->time_base = (AVRational){ 1, AUDIO_RATE };
    c->bit_rate = 64000;
    c->sample_fmt = c->codec->sample_fmts[0];
    av_channel_layout_default(&c->ch_layout, 1);
    return open_encoder(s->audio, c, NULL);
}

static AVStream *add_stream(struct maker *m, const AVCodecContext *c)
{
    AVStream *st = avformat_new_stream(m->mux, NULL);

    assert_non_null(st);
    must(avcodec_parameters_from_context(st->codecpar, c), "stream");
    st->time_base = c->time_base;
    st->avg_frame_rate = c->framerate;
    return st;
}

static void rotate(AVStream *st, int degrees)
{
    int32_t *m = (int32_t *)av_stream_new_side_data(st, AV_PKT_DATA_DISPLAYMATRIX,
                                                    9 * sizeof(int32_t));
    assert_non_null(m);
    av_display_rotation_set(m, degrees);
}

static void encode(struct maker *m, AVCodecContext *c, AVStream *st, AVFrame *f)
{
    AVPacket *p = av_packet_alloc();

    must(avcodec_send_frame(c, f), "send");
    while (avcodec_receive_packet(c, p) >= 0) {
        if (p->duration == 0 && c->codec_type == AVMEDIA_TYPE_VIDEO && !m->spec->times)
            p->duration = 1;
        av_packet_rescale_ts(p, c->time_base, st->time_base);
        p->stream_index = st->index;
        must(av_interleaved_write_frame(m->mux, p), "write");
    }
    av_packet_free(&p);
}

static AVFrame *picture(const AVCodecContext *c, int number)
{
    AVFrame *f = av_frame_alloc();

    f->width = c->width;
    f->height = c->height;
    f->format = c->pix_fmt;
    must(av_frame_get_buffer(f, 0), "picture");
    memset(f->data[0], 40 + number * 7 % 160, (size_t)f->linesize[0] * (size_t)c->height);
    for (int i = 1; i < 3; i++)
        memset(f->data[i], 128, (size_t)f->linesize[i] * (size_t)c->height / 2);
    return f;
}

static void encode_video(struct maker *m, AVCodecContext *c, AVStream *st)
{
    for (int i = 0; i < m->spec->frames; i++) {
        AVFrame *f = picture(c, i);
        f->pts = m->spec->times ? m->spec->times[i] : m->spec->first + i;
        encode(m, c, st, f);
        av_frame_free(&f);
    }
    encode(m, c, st, NULL);
}

static void encode_cover(struct maker *m, AVCodecContext *c, AVStream *st)
{
    AVFrame *f = picture(c, 0);

    f->pts = 0;
    encode(m, c, st, f);
    av_frame_free(&f);
}

static void encode_audio(struct maker *m, AVCodecContext *c, AVStream *st)
{
    int bytes = av_get_bytes_per_sample(c->sample_fmt);

    for (int64_t at = 0; at < (int64_t)(m->spec->audio_seconds * AUDIO_RATE); at += c->frame_size) {
        AVFrame *f = av_frame_alloc();
        f->nb_samples = c->frame_size;
        f->format = c->sample_fmt;
        f->sample_rate = AUDIO_RATE;
        must(av_channel_layout_copy(&f->ch_layout, &c->ch_layout), "layout");
        must(av_frame_get_buffer(f, 0), "sound");
        for (int i = 0; i < c->frame_size; i++) {
            double v = 0.3 * sin((double)(at + i) * 0.06);
            float x = (float)v;
            int16_t y = (int16_t)(v * 32767);
            memcpy(f->data[0] + (ptrdiff_t)i * bytes, bytes == 2 ? (void *)&y : (void *)&x,
                   (size_t)bytes);
        }
        f->pts = at;
        encode(m, c, st, f);
        av_frame_free(&f);
    }
    encode(m, c, st, NULL);
}

static AVStream *add_lines(struct maker *m)
{
    AVStream *st = avformat_new_stream(m->mux, NULL);

    assert_non_null(st);
    st->codecpar->codec_type = AVMEDIA_TYPE_SUBTITLE;
    st->codecpar->codec_id = AV_CODEC_ID_SUBRIP;
    st->time_base = (AVRational){ 1, 1000 };
    must(av_dict_set(&st->metadata, "language", "eng", 0), "language");
    return st;
}

static void write_lines(struct maker *m, const AVStream *st)
{
    static const AVRational ms = { 1, 1000 };

    for (size_t i = 0; i < m->spec->n_lines; i++) {
        const struct clip_line *l = &m->spec->lines[i];
        size_t len = l->len ? l->len : strlen(l->text);
        AVPacket *p = av_packet_alloc();
        assert_non_null(p);
        must(av_new_packet(p, (int)len), "line");
        memcpy(p->data, l->text, len);
        p->stream_index = st->index;
        p->pts = p->dts = av_rescale_q(l->start_ms, ms, st->time_base);
        p->duration = av_rescale_q(l->duration_ms, ms, st->time_base);
        p->flags = AV_PKT_FLAG_KEY;
        must(av_interleaved_write_frame(m->mux, p), "line");
        av_packet_free(&p);
    }
}

enum { MORE_MAX = 4 };

/* Further tracks: their encoders and streams. */
struct more {
    AVCodecContext *c[MORE_MAX];
    AVStream *st[MORE_MAX];
};

static void open_more(struct maker *m, struct more *x)
{
    assert_true(m->spec->n_more <= MORE_MAX);
    for (int i = 0; i < m->spec->n_more; i++) {
        const struct clip_track *t = &m->spec->more[i];
        x->c[i] = open_audio(m->spec);
        x->st[i] = add_stream(m, x->c[i]);
        x->st[i]->disposition = t->disposition;
        av_dict_set(&x->st[i]->metadata, "language", t->language, 0);
        av_dict_set(&x->st[i]->metadata, "title", t->title, 0);
    }
}

static void encode_more(struct maker *m, struct more *x)
{
    for (int i = 0; i < m->spec->n_more; i++) {
        encode_audio(m, x->c[i], x->st[i]);
        avcodec_free_context(&x->c[i]);
    }
}

static struct clip slurp(const char *path)
{
    struct clip c = { 0 };
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    c.size = (size_t)ftell(f);
    rewind(f);
    c.data = malloc(c.size + 1);
    assert_non_null(c.data);
    assert_int_equal(fread(c.data, 1, c.size, f), c.size);
    (void)fclose(f);
    return c;
}

static void write_all(struct maker *m, const char *path)
{
    const struct clip_spec *s = m->spec;
    AVCodecContext *cover = s->cover ? open_cover() : NULL;
    AVCodecContext *video = s->encoder ? open_video(s) : NULL;
    AVCodecContext *audio = s->audio ? open_audio(s) : NULL;
    AVStream *c = cover ? add_stream(m, cover) : NULL;
    AVStream *v = video ? add_stream(m, video) : NULL;
    AVStream *a = audio ? add_stream(m, audio) : NULL;
    AVStream *t = s->lines ? add_lines(m) : NULL;
    AVDictionary *d = NULL;
    struct more more = { 0 };

    open_more(m, &more);
    if (c)
        c->disposition |= AV_DISPOSITION_ATTACHED_PIC;
    if (v && s->rotation)
        rotate(v, s->rotation);
    if (s->options)
        must(av_dict_parse_string(&d, s->options, "=", ":", 0), s->options);
    must(avio_open(&m->mux->pb, path, AVIO_FLAG_WRITE), path);
    must(avformat_write_header(m->mux, &d), "header");
    av_dict_free(&d);
    if (t)
        write_lines(m, t);
    if (cover)
        encode_cover(m, cover, c);
    if (video)
        encode_video(m, video, v);
    if (audio)
        encode_audio(m, audio, a);
    encode_more(m, &more);
    must(av_write_trailer(m->mux), "trailer");
    avcodec_free_context(&cover);
    avcodec_free_context(&video);
    avcodec_free_context(&audio);
}

struct clip clip_make(const struct clip_spec *spec)
{
    char dir[] = "/tmp/gopmill-clip-XXXXXX", path[sizeof(dir) + 8];
    struct maker m = { .spec = spec };

    av_log_set_level(AV_LOG_QUIET);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/clip", dir);
    must(avformat_alloc_output_context2(&m.mux, NULL, spec->format, path), spec->format);
    write_all(&m, path);
    must(avio_closep(&m.mux->pb), "close");
    avformat_free_context(m.mux);
    struct clip c = slurp(path);
    (void)unlink(path);
    (void)rmdir(dir);
    return c;
}
