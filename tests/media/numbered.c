/* numbered - clips whose every frame shows its number, and a reader of it.
 *
 *   numbered make FRAMES WIDTH HEIGHT RATE >clip.y4m
 *   numbered read FILE
 *
 * The number stands as 16 black or white blocks over the picture's width,
 * large enough to survive any encoder and any scaling of ours; below it
 * something moves, so that encoders have work. `read` prints a line a frame,
 * "<pts less the first one's> <time base> <number>", of the first video
 * stream: frames lost, doubled or moved show as such. FILE may be "-".
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 16, BLACK = 30, WHITE = 220 };

/* ---- make ---- */

static void paint(uint8_t *luma, int w, int h, int n)
{
    int bar = h / 6;

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int bit = x * BITS / w;
            if (y < bar)
                luma[y * w + x] = n >> bit & 1 ? WHITE : BLACK;
            else
                luma[y * w + x] = (uint8_t)(60 + (((x + 3 * n) ^ (y + n)) & 127));
        }
}

static int make(int frames, int w, int h, const char *rate)
{
    size_t luma = (size_t)w * (size_t)h, chroma = luma / 4;
    uint8_t *buf = malloc(luma + 2 * chroma);

    if (!buf || w % 32 || h % 2)
        return 1;
    printf("YUV4MPEG2 W%d H%d F%s Ip A1:1 C420jpeg\n", w, h, rate);
    memset(buf + luma, 128, 2 * chroma);
    for (int n = 0; n < frames; n++) {
        paint(buf, w, h, n);
        memset(buf + luma, 100 + n % 50, chroma);
        printf("FRAME\n");
        if (fwrite(buf, 1, luma + 2 * chroma, stdout) != luma + 2 * chroma)
            return 1;
    }
    free(buf);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- read ---- */

/* The mean of a block's middle, as 8 bits. */
static int block_level(const AVFrame *f, int bit)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    int deep = d->comp[0].depth > 8, shift = d->comp[0].depth - 8, sum = 0, n = 0;
    int x0 = (bit * 4 + 1) * f->width / (BITS * 4), x1 = (bit * 4 + 3) * f->width / (BITS * 4);
    int y0 = f->height / 24, y1 = f->height / 8;

    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++, n++) {
            const uint8_t *row = f->data[0] + (ptrdiff_t)y * f->linesize[0];
            sum += deep ? (row[2 * x] | row[2 * x + 1] << 8) >> shift : row[x];
        }
    return n ? sum / n : 0;
}

static void print_frame(const AVFrame *f, AVRational tb, int64_t *first)
{
    int number = 0;

    for (int bit = 0; bit < BITS; bit++)
        number |= (block_level(f, bit) > (BLACK + WHITE) / 2) << bit;
    if (*first == AV_NOPTS_VALUE)
        *first = f->pts;
    printf("%lld %d/%d %d\n", (long long)(f->pts - *first), tb.num, tb.den, number);
}

static int decode(AVCodecContext *c, const AVPacket *pkt, AVFrame *f, int64_t *first)
{
    int r = avcodec_send_packet(c, pkt);

    if (r < 0 && r != AVERROR_EOF)
        return r;
    while ((r = avcodec_receive_frame(c, f)) >= 0)
        print_frame(f, c->pkt_timebase, first);
    return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

static int read_clip(const char *path)
{
    AVFormatContext *in = NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int64_t first = AV_NOPTS_VALUE;
    const AVCodec *codec = NULL;
    int r = avformat_open_input(&in, strcmp(path, "-") == 0 ? "pipe:0" : path, NULL, NULL);

    int v = r < 0 ? r : av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    /* MPEG-PS and FLV have no header to find it in. */
    if (v < 0 && r >= 0 && avformat_find_stream_info(in, NULL) >= 0)
        v = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    AVCodecContext *c = v < 0 ? NULL : avcodec_alloc_context3(codec);
    if (!c || avcodec_parameters_to_context(c, in->streams[v]->codecpar) < 0)
        return 1;
    c->pkt_timebase = in->streams[v]->time_base;
    c->thread_count = 1;
    r = avcodec_open2(c, codec, NULL);
    while (r >= 0 && (r = av_read_frame(in, pkt)) >= 0) {
        if (pkt->stream_index == v)
            r = decode(c, pkt, f, &first);
        av_packet_unref(pkt);
    }
    if (r == AVERROR_EOF)
        r = decode(c, NULL, f, &first);
    avcodec_free_context(&c);
    avformat_close_input(&in);
    av_packet_free(&pkt);
    av_frame_free(&f);
    return r < 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "make") == 0)
        return make(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv[5]);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_clip(argv[2]);
    fprintf(stderr, "usage: numbered make FRAMES WIDTH HEIGHT RATE | numbered read FILE\n");
    return 2;
}
