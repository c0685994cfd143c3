/* apart - how far two videos are apart, picture by picture.
 *
 *   apart FILE FILE
 *
 * Both are decoded from their beginnings, each picture is made 64x36 grey
 * pixels, and cut into blocks of 8x8 of these. Prints one line:
 *
 *   <pictures of the first> <of the second> <moved> <mean> <block> <number>
 *
 * moved: the number of the first picture that stands at another time, or -1.
 * mean: the largest mean difference of a picture, 0 to 255. block: the largest
 * of a block, and in which picture: what is smeared or frozen in a corner only
 * shows there. Times count from each file's first picture.
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64, HEIGHT = 36, BLOCK = 8, ROWS = HEIGHT / BLOCK + 1, COLUMNS = WIDTH / BLOCK };

struct video {
    AVFormatContext *in;
    AVCodecContext *dec;
    AVPacket *pkt;
    AVFrame *frame;
    struct SwsContext *sws;
    int stream, ended;
    int64_t first;
    long n;
    double at; /* of the picture at hand, seconds */
    uint8_t grey[WIDTH * HEIGHT];
};

static int video_open(struct video *v, const char *path)
{
    const AVCodec *codec = NULL;
    int r = avformat_open_input(&v->in, path, NULL, NULL);

    v->first = AV_NOPTS_VALUE;
    v->pkt = av_packet_alloc();
    v->frame = av_frame_alloc();
    if (r >= 0)
        r = avformat_find_stream_info(v->in, NULL);
    if (r >= 0)
        r = v->stream = av_find_best_stream(v->in, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    v->dec = r >= 0 ? avcodec_alloc_context3(codec) : NULL;
    if (!v->dec || !v->pkt || !v->frame ||
        avcodec_parameters_to_context(v->dec, v->in->streams[v->stream]->codecpar) < 0)
        return -1;
    v->dec->pkt_timebase = v->in->streams[v->stream]->time_base;
    v->dec->thread_count = 1;
    return avcodec_open2(v->dec, codec, NULL);
}

static void video_close(struct video *v)
{
    avcodec_free_context(&v->dec);
    avformat_close_input(&v->in);
    av_packet_free(&v->pkt);
    av_frame_free(&v->frame);
    sws_freeContext(v->sws);
}

static int video_shrink(struct video *v)
{
    uint8_t *planes[4] = { v->grey };
    int strides[4] = { WIDTH };
    const AVFrame *f = v->frame;

    v->sws = sws_getCachedContext(v->sws, f->width, f->height, f->format, WIDTH, HEIGHT,
                                  AV_PIX_FMT_GRAY8, SWS_AREA, NULL, NULL, NULL);
    if (!v->sws || sws_scale(v->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height,
                             planes, strides) <= 0)
        return -1;
    if (v->first == AV_NOPTS_VALUE)
        v->first = f->best_effort_timestamp;
    v->at = (double)(f->best_effort_timestamp - v->first) * av_q2d(v->dec->pkt_timebase);
    v->n++;
    av_frame_unref(v->frame);
    return 1;
}

/* The next picture: 1, 0 at the end, or negative. */
static int video_next(struct video *v)
{
    for (;;) {
        int r = avcodec_receive_frame(v->dec, v->frame);
        if (r >= 0)
            return video_shrink(v);
        if (r != AVERROR(EAGAIN) || v->ended)
            return r == AVERROR_EOF ? 0 : r;
        do
            av_packet_unref(v->pkt);
        while ((r = av_read_frame(v->in, v->pkt)) >= 0 && v->pkt->stream_index != v->stream);
        v->ended = r < 0;
        (void)avcodec_send_packet(v->dec, v->ended ? NULL : v->pkt);
    }
}

struct distance {
    double mean, block;
    long moved, worst;
};

static double block_distance(const uint8_t *a, const uint8_t *b, int x0, int y0, double *sum)
{
    int y1 = y0 + BLOCK < HEIGHT ? y0 + BLOCK : HEIGHT;
    int n = 0, off = 0;

    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x0 + BLOCK; x++, n++)
            off += abs(a[y * WIDTH + x] - b[y * WIDTH + x]);
    *sum += off;
    return (double)off / n;
}

static void compare(const struct video *a, const struct video *b, struct distance *d)
{
    double sum = 0;

    for (int i = 0; i < ROWS * COLUMNS; i++) {
        double off = block_distance(a->grey, b->grey, i % COLUMNS * BLOCK, i / COLUMNS * BLOCK,
                                    &sum);
        if (off > d->block) {
            d->block = off;
            d->worst = a->n - 1;
        }
    }
    sum /= WIDTH * HEIGHT;
    d->mean = sum > d->mean ? sum : d->mean;
    if (d->moved < 0 && (a->at - b->at > 0.0005 || b->at - a->at > 0.0005))
        d->moved = a->n - 1;
}

int main(int argc, char **argv)
{
    struct video a = { 0 }, b = { 0 };
    struct distance d = { .moved = -1 };

    if (argc != 3) {
        fprintf(stderr, "usage: apart FILE FILE\n");
        return 2;
    }
    av_log_set_level(AV_LOG_ERROR);
    if (video_open(&a, argv[1]) < 0 || video_open(&b, argv[2]) < 0)
        return 1;
    int x = 1, y = 1;
    while (x > 0 || y > 0) {
        x = x > 0 ? video_next(&a) : x;
        y = y > 0 ? video_next(&b) : y;
        if (x > 0 && y > 0)
            compare(&a, &b, &d);
    }
    printf("%ld %ld %ld %.2f %.2f %ld\n", a.n, b.n, d.moved, d.mean, d.block, d.worst);
    video_close(&a);
    video_close(&b);
    return x < 0 || y < 0;
}
