/* sounding - where sound stands on the timeline, to a fraction of a sample.
 *
 *   sounding pulses AUDIO [VIDEO]
 *   sounding sine AUDIO FREQUENCY
 *
 * `pulses` prints a line "<seconds> <peak of channel 0> <peak of 1> …" for
 * each pulse (a bell-shaped burst; its centre of energy is its place, which
 * no codec moves), counted from the first video frame shown of VIDEO, and
 * "gap <seconds> <samples>" where frames do not follow one another, "start"
 * and "end" of the sound (what comes before 0 and is skipped by players left
 * out). `sine` prints "<seconds of sound> <level> <lowest level of 5 ms>
 * <largest second difference>", the last against that of a sine of this
 * level, so 1 is perfect, and a joint that is heard is far above.
 * The first audio and video streams are taken.
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS_MAX = 16 };

/* All of the sound, interleaved. */
struct sound {
    float *p;
    size_t n, room; /* samples of all channels */
    int rate, channels;
    double start; /* seconds, of the first */
    double next;  /* where the next frame should begin */
};

static int append(struct sound *s, const float *p, size_t n)
{
    if (s->n + n > s->room) {
        s->room = 2 * (s->n + n);
        s->p = realloc(s->p, s->room * sizeof(*s->p));
    }
    if (!s->p)
        return AVERROR(ENOMEM);
    memcpy(s->p + s->n, p, n * sizeof(*p));
    s->n += n;
    return 0;
}

static int take(struct sound *s, AVFrame *f, AVRational tb)
{
    double at = (double)f->pts * av_q2d(tb), off;
    SwrContext *swr = NULL;
    float *buf = malloc(sizeof(*buf) * (size_t)f->nb_samples * CHANNELS_MAX);
    uint8_t *out[] = { (uint8_t *)buf };

    if (!s->rate) {
        s->rate = f->sample_rate;
        s->channels = f->ch_layout.nb_channels;
        s->start = s->next = at;
    }
    if (!buf || s->rate != f->sample_rate || s->channels != f->ch_layout.nb_channels ||
        s->channels > CHANNELS_MAX)
        return AVERROR(EINVAL);
    off = (at - s->next) * s->rate;
    /* Timestamps of milliseconds, as Matroska's, are no gaps. */
    if (fabs(off) > 1 + 0.0011 * s->rate * (av_q2d(tb) > 0.0009))
        printf("gap %.6f %.0f\n", s->next, off);
    s->next = at + (double)f->nb_samples / s->rate;
    int r = swr_alloc_set_opts2(&swr, &f->ch_layout, AV_SAMPLE_FMT_FLT, s->rate, &f->ch_layout,
                                f->format, s->rate, 0, NULL);
    if (r >= 0)
        r = swr_init(swr);
    if (r >= 0)
        r = swr_convert(swr, out, f->nb_samples, (const uint8_t **)f->extended_data, f->nb_samples);
    if (r >= 0)
        r = append(s, buf, (size_t)r * (size_t)s->channels);
    swr_free(&swr);
    free(buf);
    return r;
}

static int decode(struct sound *s, AVCodecContext *c, const AVPacket *pkt, AVFrame *f)
{
    int r = avcodec_send_packet(c, pkt);

    while (r >= 0 && (r = avcodec_receive_frame(c, f)) >= 0) {
        r = take(s, f, c->pkt_timebase);
        av_frame_unref(f);
    }
    return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

static int open_decoder(AVFormatContext *in, AVCodecContext **ret)
{
    const AVCodec *codec = NULL;
    int a = av_find_best_stream(in, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);

    if (a < 0)
        return a;
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c || avcodec_parameters_to_context(c, in->streams[a]->codecpar) < 0)
        return AVERROR(ENOMEM);
    c->pkt_timebase = in->streams[a]->time_base;
    c->thread_count = 1;
    *ret = c;
    int r = avcodec_open2(c, codec, NULL);
    return r < 0 ? r : a;
}

static int open_file(const char *path, AVFormatContext **ret)
{
    int r = avformat_open_input(ret, path, NULL, NULL);
    return r < 0 ? r : avformat_find_stream_info(*ret, NULL);
}

static int read_sound(const char *path, struct sound *s)
{
    AVFormatContext *in = NULL;
    AVCodecContext *c = NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int a = open_file(path, &in), r;

    if (a >= 0)
        a = open_decoder(in, &c);
    r = a;
    while (r >= 0 && (r = av_read_frame(in, pkt)) >= 0) {
        if (pkt->stream_index == a)
            r = decode(s, c, pkt, f);
        av_packet_unref(pkt);
    }
    if (r == AVERROR_EOF)
        r = decode(s, c, NULL, f);
    avcodec_free_context(&c);
    avformat_close_input(&in);
    av_packet_free(&pkt);
    av_frame_free(&f);
    return r < 0 ? r : s->n > 0 ? 0 : AVERROR_INVALIDDATA;
}

/* The first frame that is shown: the least pts of the beginning, without
 * those that an edit list hides. */
static int video_start(const char *path, double *ret)
{
    AVFormatContext *in = NULL;
    AVPacket *pkt = av_packet_alloc();
    int r = open_file(path, &in), n = 0;
    int v = r < 0 ? r : av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    double least = INFINITY;

    r = v;
    while (r >= 0 && n < 40 && (r = av_read_frame(in, pkt)) >= 0) {
        if (pkt->stream_index == v && pkt->pts != AV_NOPTS_VALUE && ++n &&
            !(pkt->flags & AV_PKT_FLAG_DISCARD))
            least = fmin(least, (double)pkt->pts * av_q2d(in->streams[v]->time_base));
        av_packet_unref(pkt);
    }
    avformat_close_input(&in);
    av_packet_free(&pkt);
    *ret = least;
    return isfinite(least) ? 0 : AVERROR_INVALIDDATA;
}

/* ---- pulses ---- */

static double energy(const struct sound *s, size_t i)
{
    double e = 0;

    for (int c = 0; c < s->channels; c++)
        e += pow(s->p[i * (size_t)s->channels + (size_t)c], 2);
    return e;
}

/* Print the one around sample `i`, where it was first loud; returns the
 * sample behind it. */
static size_t print_pulse(const struct sound *s, size_t i, double zero)
{
    size_t n = s->n / (size_t)s->channels, reach = (size_t)s->rate * 3 / 100;
    size_t from = i > reach ? i - reach : 0, to = i + reach < n ? i + reach : n;
    double sum = 0, moment = 0, peak[CHANNELS_MAX] = { 0 };

    for (size_t k = from; k < to; k++) {
        sum += energy(s, k);
        moment += energy(s, k) * (double)k;
        for (int c = 0; c < s->channels; c++)
            peak[c] = fmax(peak[c], fabs(s->p[k * (size_t)s->channels + (size_t)c]));
    }
    printf("%.6f", s->start + moment / sum / s->rate - zero);
    for (int c = 0; c < s->channels; c++)
        printf(" %.3f", peak[c]);
    printf("\n");
    return to;
}

static void print_pulses(const struct sound *s, double zero)
{
    size_t n = s->n / (size_t)s->channels, i = 0;
    double loudest = 0;

    /* A player starts at 0. */
    if (s->start < 0)
        i = (size_t)lround(-s->start * s->rate);
    printf("start %.6f\nend %.6f\n", s->start + (double)i / s->rate - zero,
           s->start + (double)n / s->rate - zero);
    for (size_t k = 0; k < n; k++)
        loudest = fmax(loudest, energy(s, k));
    while (i < n)
        i = energy(s, i) > loudest / 16 ? print_pulse(s, i, zero) : i + 1;
}

/* ---- sine ---- */

static double rms(const struct sound *s, size_t from, size_t to)
{
    double e = 0;

    for (size_t i = from; i < to; i++)
        e += energy(s, i) / s->channels;
    return sqrt(e / (double)(to - from));
}

/* Without the first and last tenth of a second, where it sets in. */
static void print_sine(const struct sound *s, double frequency)
{
    size_t n = s->n / (size_t)s->channels, edge = (size_t)s->rate / 10, ms5 = (size_t)s->rate / 200;
    size_t c = (size_t)s->channels;
    double level = rms(s, edge, n - edge), least = level, jump = 0;

    for (size_t i = edge; i + ms5 < n - edge; i += ms5)
        least = fmin(least, rms(s, i, i + ms5));
    for (size_t i = edge * c; i + 2 * c < (n - edge) * c; i++)
        jump = fmax(jump, fabs(s->p[i] - 2 * s->p[i + c] + s->p[i + 2 * c]));
    printf("%.6f %.4f %.4f %.3f\n", (double)n / s->rate, level, least,
           jump / (level * M_SQRT2 * pow(2 * M_PI * frequency / s->rate, 2)));
}

int main(int argc, char **argv)
{
    struct sound s = { 0 };
    double zero = 0;
    int r = AVERROR(EINVAL);

    av_log_set_level(AV_LOG_ERROR);
    if (argc >= 3)
        r = read_sound(argv[2], &s);
    if (r >= 0 && argc == 4 && strcmp(argv[1], "pulses") == 0)
        r = video_start(argv[3], &zero);
    if (r >= 0 && strcmp(argv[1], "pulses") == 0)
        print_pulses(&s, zero);
    else if (r >= 0 && argc == 4)
        print_sine(&s, strtod(argv[3], NULL));
    free(s.p);
    if (r < 0)
        fprintf(stderr, "sounding: %s\n", av_err2str(r));
    return r < 0;
}
