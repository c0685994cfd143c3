/* edits - MP4 files with edit lists, and what they must show: a reference of
 * its own, which reads the boxes by itself and never the demuxer's edits.
 *
 *   edits set IN OUT VIDEO AUDIO [TEXT]
 *   edits random SEED IN OUT
 *   edits check SOURCE VIDEO AUDIO
 *
 * `set` gives tracks lists, "length,media,rate;…" in ticks of movie and track, or none where that
 * is empty; `random` those of a seed, which are printed so; `check` holds a package's renditions,
 * joined, against the source's lists.
 *
 * IN has one track of H.264 whose frames show their numbers (numbered.c), then one of mono sound
 * at 48 kHz that is like nothing else in itself (noise), perhaps one of text, and its moov at the
 * end. `check` prints a line for each difference and ends with 1 where there is one: pictures that
 * begin more than rounding (1.6 ticks) away from where they should, sound that isn't there to the
 * sample, or isn't silent.
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRACKS = 3,
    EDITS = 64,
    SAMPLES = 1 << 20,
    RATE = 48000,
    BITS = 16,
    LIST_BYTES = 16 + 16 + 20 * EDITS
};

struct edit {
    int64_t length, media; /* ticks of movie and track; media -1: empty */
    double rate;
};

struct track {
    size_t at, head; /* the trak box, and the end of its tkhd */
    struct edit edits[EDITS];
    int n_edits;
    int64_t scale, *pts; /* of samples as they are decoded; by edit lists' time */
    int n;
};

struct movie {
    uint8_t *p;
    size_t n, moov;
    int64_t scale;
    struct track tracks[TRACKS];
    int n_tracks;
};

static void die(const char *what)
{
    fprintf(stderr, "edits: %s\n", what);
    exit(2);
}

/* ---- boxes ---- */

static void table_read(struct track *t, const uint8_t *stts, const uint8_t *ctts)
{
    int64_t at = 0;

    t->pts = calloc(SAMPLES, sizeof(*t->pts));
    if (!t->pts)
        die("memory");
    for (uint32_t i = 0; i < AV_RB32(stts + 4); i++)
        for (uint32_t k = 0; k < AV_RB32(stts + 8 + 8 * i) && t->n < SAMPLES; k++, t->n++) {
            t->pts[t->n] = at;
            at += AV_RB32(stts + 12 + 8 * i);
        }
    for (uint32_t i = 0, s = 0; ctts && i < AV_RB32(ctts + 4); i++)
        for (uint32_t k = 0; k < AV_RB32(ctts + 8 + 8 * i) && s < (uint32_t)t->n; k++, s++)
            t->pts[s] += (int32_t)AV_RB32(ctts + 12 + 8 * i);
}

static void list_read(struct track *t, const uint8_t *p)
{
    t->n_edits = (int)AV_RB32(p + 4);
    if (p[0] != 1 || t->n_edits > EDITS)
        die("a list that isn't of this program");
    for (int i = 0; i < t->n_edits; i++) {
        const uint8_t *e = p + 8 + 20 * i;
        t->edits[i] = (struct edit){ (int64_t)AV_RB64(e), (int64_t)AV_RB64(e + 8),
                                     (int32_t)AV_RB32(e + 16) / 65536.0 };
    }
}

/* Boxes within, of one track or of none yet. */
static void walk(struct movie *m, size_t at, size_t end, const uint8_t **stts, const uint8_t **ctts)
{
    for (size_t size; at + 8 <= end; at += size) {
        const uint8_t *p = m->p + at, *body = p + 8;
        size = AV_RB32(p) == 1 ? AV_RB64(p + 8) : AV_RB32(p);
        if (size < 8 || size > end - at)
            die("a box of an odd size");
        struct track *t = m->n_tracks > 0 ? &m->tracks[m->n_tracks - 1] : NULL;
        if (memcmp(p + 4, "moov", 4) == 0)
            m->moov = at;
        if (memcmp(p + 4, "mvhd", 4) == 0)
            m->scale = AV_RB32(body + 12);
        if (memcmp(p + 4, "mdhd", 4) == 0)
            t->scale = AV_RB32(body + 12);
        if (memcmp(p + 4, "tkhd", 4) == 0)
            t->head = at + size;
        if (memcmp(p + 4, "elst", 4) == 0 && body[0] == 1)
            list_read(t, body);
        if (memcmp(p + 4, "stts", 4) == 0)
            *stts = body;
        if (memcmp(p + 4, "ctts", 4) == 0)
            *ctts = body;
        if (memcmp(p + 4, "trak", 4) == 0) {
            const uint8_t *own_stts = NULL, *own_ctts = NULL;
            if (m->n_tracks == TRACKS)
                die("too many tracks");
            t = &m->tracks[m->n_tracks++];
            t->at = at;
            walk(m, at + 8, at + size, &own_stts, &own_ctts);
            table_read(t, own_stts, own_ctts);
        } else if (strstr("moov edts mdia minf stbl",
                          (char[]){ (char)p[4], (char)p[5], (char)p[6], (char)p[7], 0 })) {
            walk(m, at + 8, at + size, stts, ctts);
        }
    }
}

static void movie_read(const char *path, struct movie *m)
{
    FILE *f = fopen(path, "rb");
    const uint8_t *none = NULL;

    memset(m, 0, sizeof(*m));
    if (!f || fseek(f, 0, SEEK_END) < 0)
        die(path);
    m->n = (size_t)ftell(f);
    rewind(f);
    m->p = malloc(m->n);
    if (!m->p || fread(m->p, 1, m->n, f) != m->n)
        die(path);
    fclose(f);
    walk(m, 0, m->n, &none, &none);
    if (m->n_tracks < 2)
        die("not two tracks");
}

/* ---- writing ---- */

static size_t list_write(const struct edit *e, int n, uint8_t *p)
{
    size_t size = 16 + 20 * (size_t)n;

    AV_WB32(p, (uint32_t)size + 8);
    memcpy(p + 4, "edts", 4);
    AV_WB32(p + 8, (uint32_t)size);
    memcpy(p + 12, "elst", 4);
    AV_WB32(p + 16, 1u << 24);
    AV_WB32(p + 20, n);
    for (int i = 0; i < n; i++) {
        AV_WB64(p + 24 + 20 * i, e[i].length);
        AV_WB64(p + 32 + 20 * i, e[i].media);
        AV_WB32(p + 40 + 20 * i, (uint32_t)lrint(e[i].rate * 65536));
    }
    return 8 + size;
}

/* A track with other edits, behind its header. */
static size_t track_write(const struct movie *m, const struct track *t, const struct edit *e, int n,
                          uint8_t *out)
{
    size_t end = t->at + AV_RB32(m->p + t->at), n_out = t->head - t->at;

    memcpy(out, m->p + t->at, n_out);
    if (n > 0)
        n_out += list_write(e, n, out + n_out);
    for (size_t at = t->head; at < end; at += AV_RB32(m->p + at)) {
        if (memcmp(m->p + at + 4, "edts", 4) == 0)
            continue;
        memcpy(out + n_out, m->p + at, AV_RB32(m->p + at));
        n_out += AV_RB32(m->p + at);
    }
    AV_WB32(out, (uint32_t)n_out);
    return n_out;
}

static int movie_write(const struct movie *m, const char *path, struct edit e[TRACKS][EDITS],
                       const int n[TRACKS])
{
    uint8_t *out = malloc(m->n + TRACKS * LIST_BYTES);
    size_t end = m->moov + AV_RB32(m->p + m->moov), n_out = m->moov + 8;
    FILE *f = fopen(path, "wb");

    if (!out || !f || end != m->n)
        die("moov isn't at the end, or OUT can't be written");
    memcpy(out, m->p, n_out);
    for (size_t at = m->moov + 8, k = 0; at < end; at += AV_RB32(m->p + at)) {
        if (k < (size_t)m->n_tracks && at == m->tracks[k].at) {
            n_out += track_write(m, &m->tracks[k], e[k], n[k], out + n_out);
            k++;
        } else {
            memcpy(out + n_out, m->p + at, AV_RB32(m->p + at));
            n_out += AV_RB32(m->p + at);
        }
    }
    AV_WB32(out + m->moov, (uint32_t)(n_out - m->moov));
    int bad = fwrite(out, 1, n_out, f) != n_out || fclose(f) != 0;
    free(out);
    return bad;
}

static int parse(const char *text, struct edit *e)
{
    int n = 0, used;

    for (; *text && n < EDITS; n++, text += used + (text[used] == ';')) {
        long long length, media;
        if (sscanf(text, "%lld,%lld,%lf%n", &length, &media, &e[n].rate, &used) != 3)
            die("a list that can't be read");
        e[n].length = length;
        e[n].media = media;
    }
    return n;
}

/* ---- random lists ---- */

static uint32_t draw(uint64_t *state, uint32_t n)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % n;
}

/* Adjacent to the one before, or it again, or somewhere: on a frame or inside of one. */
static int64_t media_of(uint64_t *s, const struct track *t, const struct edit *before,
                        int64_t scale)
{
    int64_t end = t->pts[t->n - 1];

    switch (before && before->media >= 0 ? draw(s, 5) : 4) {
    case 0:
        return llrint((double)before->media +
                      (double)before->length * before->rate * (double)t->scale / (double)scale);
    case 1:
        return before->media;
    case 2:
        return t->pts[draw(s, (uint32_t)t->n)];
    default:
        return t->pts[0] + draw(s, (uint32_t)(end - end / 20));
    }
}

static int random_list(uint64_t *s, const struct movie *m, const struct track *t, struct edit *e)
{
    static const double rates[] = { 1, 1, 1, 1, 1, 1, 1, 0, 0.5, 2, 1.25 };
    int n = 1 + (int)draw(s, 6);
    int shown = 0;

    for (int i = 0; i < n; i++) {
        e[i].length = 1 + draw(s, (uint32_t)(draw(s, 4) ? m->scale * 3 / 2 : m->scale / 10));
        e[i].media = draw(s, 7) ? media_of(s, t, i ? &e[i - 1] : NULL, m->scale) : -1;
        e[i].rate = e[i].media < 0 ? 1 : rates[draw(s, sizeof(rates) / sizeof(*rates))];
        shown |= e[i].media >= 0;
    }
    if (draw(s, 10) == 0 && e[n - 1].media >= t->pts[t->n - 1] * 3 / 4 && e[n - 1].rate > 0)
        e[n - 1].length = 0;
    if (!shown)
        e[0] = (struct edit){ m->scale, t->pts[t->n / 4] + 1, 1 };
    return n;
}

static int random_lists(uint64_t seed, const char *in, const char *out)
{
    struct edit e[TRACKS][EDITS];
    struct movie m;
    int n[TRACKS] = { 0 };

    movie_read(in, &m);
    for (int i = 0; i < 20; i++)
        (void)draw(&seed, 2);
    for (int k = 0; k < 2; k++) {
        n[k] = random_list(&seed, &m, &m.tracks[k], e[k]);
        for (int i = 0; i < n[k]; i++)
            printf("%lld,%lld,%g;", (long long)e[k][i].length, (long long)e[k][i].media,
                   e[k][i].rate);
        printf("\n");
    }
    return movie_write(&m, out, e, n);
}

/* ---- what is decoded ---- */

struct decoded {
    double *start; /* seconds, of each picture */
    int *number;
    float *sound; /* all samples, from sample 0 of the timeline on; mono */
    int n;
    int64_t n_sound;
};

/* Black or white, each a bit. */
static int number_of(const AVFrame *f)
{
    int number = 0, y = f->height / 12;

    for (int bit = 0; bit < BITS; bit++)
        number |=
            (f->data[0][(ptrdiff_t)y * f->linesize[0] + (2 * bit + 1) * f->width / BITS / 2] > 125)
            << bit;
    return number;
}

static void decoded_take(struct decoded *d, const AVFrame *f, AVRational tb)
{
    if (f->width > 0 && d->n < SAMPLES) {
        d->start[d->n] = (double)f->pts * av_q2d(tb);
        d->number[d->n++] = number_of(f);
        return;
    }
    int64_t at = av_rescale_q(f->pts, tb, (AVRational){ 1, RATE });
    for (int i = 0; f->width == 0 && i < f->nb_samples; i++)
        if (at + i >= 0 && at + i < SAMPLES) {
            d->sound[at + i] = ((const float *)(const void *)f->data[0])[i];
            d->n_sound = at + i + 1;
        }
}

/* The one stream of that type; `raw`: without edits, and nothing skipped. */
static void decode(const char *path, enum AVMediaType type, int raw, struct decoded *d)
{
    AVFormatContext *in = NULL;
    AVDictionary *opts = NULL;
    const AVCodec *codec = NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();

    if (raw)
        av_dict_set(&opts, "ignore_editlist", "1", 0);
    if (avformat_open_input(&in, path, NULL, &opts) < 0)
        die(path);
    int s = av_find_best_stream(in, type, -1, -1, &codec, 0);
    AVCodecContext *c = s < 0 ? NULL : avcodec_alloc_context3(codec);
    if (!c || avcodec_parameters_to_context(c, in->streams[s]->codecpar) < 0)
        die(path);
    c->pkt_timebase = in->streams[s]->time_base;
    c->flags2 |= raw ? AV_CODEC_FLAG2_SKIP_MANUAL : 0;
    if (avcodec_open2(c, codec, NULL) < 0)
        die(path);
    for (int more = 1; more;) {
        more = av_read_frame(in, pkt) >= 0;
        if (!more || pkt->stream_index == s)
            (void)avcodec_send_packet(c, more ? pkt : NULL);
        while (avcodec_receive_frame(c, f) >= 0)
            decoded_take(d, f, c->pkt_timebase);
        av_packet_unref(pkt);
    }
    avcodec_free_context(&c);
    avformat_close_input(&in);
    av_packet_free(&pkt);
    av_frame_free(&f);
}

static void decoded_init(struct decoded *d)
{
    *d = (struct decoded){ calloc(SAMPLES, sizeof(double)), calloc(SAMPLES, sizeof(int)),
                           calloc(SAMPLES, sizeof(float)), 0, 0 };
    if (!d->start || !d->number || !d->sound)
        die("memory");
}

/* ---- pictures ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void expect(struct decoded *d, double at, int number)
{
    if (d->n > 0 && d->number[d->n - 1] == number)
        return;
    d->start[d->n] = at;
    d->number[d->n++] = number;
}

/* Which picture is shown from when on, by the list: the i-th in order of time shows number i. */
static void pictures_expect(const struct movie *m, const struct track *t, struct decoded *d)
{
    double at = 0, tick = 1.0 / (double)t->scale;
    qsort(t->pts, (size_t)t->n, sizeof(*t->pts), by_value);
    int64_t step = t->pts[1] - t->pts[0];
    for (int i = 0; i < t->n_edits; i++) {
        const struct edit *e = &t->edits[i];
        double length = (double)e->length / (double)m->scale;
        if (e->length == 0 && i == t->n_edits - 1)
            length = 1e9;
        for (int k = 0; e->media >= 0 && k < t->n && e->media < t->pts[t->n - 1] + step; k++) {
            int last_before = k + 1 == t->n || t->pts[k + 1] > e->media;
            double since = (double)(t->pts[k] - e->media) * tick / (e->rate > 0 ? e->rate : 1);
            if (since <= 0 && last_before)
                expect(d, at, k);
            else if (since > 0 && e->rate > 0 && since < length - tick / 2)
                expect(d, at + since, k);
            else if (since > 0 && e->rate == 0 && k == 0)
                expect(d, at, k);
        }
        at += length;
    }
}

/* A picture held is encoded several times. The demuxer counts from where decoding begins, and the
 * first picture is shown at `first`. */
static void merge(struct decoded *d, double first)
{
    int n = 0;

    for (int i = d->n; i-- > 0;)
        d->start[i] += first - d->start[0];
    for (int i = 0; i < d->n; i++)
        if (n == 0 || d->number[n - 1] != d->number[i]) {
            d->number[n] = d->number[i];
            d->start[n++] = d->start[i];
        }
    d->n = n;
}

static int pictures_check(const struct decoded *want, const struct decoded *got, double origin,
                          double slack)
{
    int bad = 0;

    for (int i = 0; (i < want->n || i < got->n) && bad < 5; i++) {
        if (i < want->n && i < got->n && want->number[i] == got->number[i] &&
            fabs(want->start[i] - origin - got->start[i]) <= slack)
            continue;
        bad++;
        printf("picture %d: %d at %.6f s, not %d at %.6f s\n", i, i < got->n ? got->number[i] : -1,
               i < got->n ? got->start[i] : 0, i < want->n ? want->number[i] : -1,
               i < want->n ? want->start[i] - origin : 0);
    }
    return bad;
}

/* ---- sound ---- */

/* Between samples, where an edit isn't played at its rate. */
static float sample_at(const struct decoded *d, double at)
{
    int64_t base = (int64_t)floor(at);
    double sum = 0, x = at - (double)base;

    if (x < 1e-9)
        return base >= 0 && base < d->n_sound ? d->sound[base] : 0;
    for (int k = -15; k <= 16; k++) {
        double y = M_PI * (x - k);
        if (base + k >= 0 && base + k < d->n_sound)
            sum += d->sound[base + k] * sin(y) / y * (0.5 + 0.5 * cos(y / 17));
    }
    return (float)sum;
}

static int64_t sound_length(const struct movie *m, const struct edit *e, int is_last,
                            const struct decoded *raw)
{
    if (e->length == 0 && is_last)
        return llrint((double)(raw->n_sound - e->media) / e->rate);
    return llrint((double)e->length * RATE / (double)m->scale);
}

static void sound_expect(const struct movie *m, const struct track *t, const struct decoded *raw,
                         double origin, struct decoded *want, int64_t *ends)
{
    int64_t at = 0;

    for (int i = 0; i < t->n_edits; i++) {
        const struct edit *e = &t->edits[i];
        int64_t from = llrint((double)at * RATE / (double)m->scale - origin * RATE);
        int64_t n = sound_length(m, e, i == t->n_edits - 1, raw);
        for (int64_t k = 0; e->media >= 0 && e->rate > 0 && k < n && from + k < SAMPLES; k++)
            if (from + k >= 0)
                want->sound[from + k] = sample_at(raw, (double)e->media + (double)k * e->rate);
        ends[i] = from + n;
        at += e->length;
    }
}

static double product(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* By how many samples `got` is late where it is most like `want`. Of low tones a lag of
 * a few samples is as like, but for what an encoder did: none is, then. */
static int lag_of(const float *want, const float *got, int64_t n)
{
    double best = product(want + 100, got + 100, n - 200) * 1.002;
    int lag = 0;

    for (int k = -100; k <= 100; k++) {
        double like = product(want + 100, got + 100 + k, n - 200);
        if (like > best) {
            best = like;
            lag = k;
        }
    }
    return lag;
}

/* Each part between two ends by itself: where it stands, and how it sounds. */
static int sound_check(const struct track *t, const struct decoded *want, const struct decoded *got,
                       const int64_t *ends)
{
    static float diff[SAMPLES];
    const int64_t soft = RATE / 40; /* what encoders smear */
    int bad = 0;
    for (int64_t i = 0; i < SAMPLES; i++)
        diff[i] = want->sound[i] - got->sound[i];
    for (int i = 0; i < t->n_edits; i++) {
        int64_t from = i ? ends[i - 1] : 0, to = ends[i] < SAMPLES ? ends[i] : SAMPLES;
        from = from < 0 ? 0 : from;
        if (to - from < 200 + 2 * soft || from + soft > got->n_sound)
            continue;
        double power = product(want->sound + from, want->sound + from, to - from);
        int fast = t->edits[i].rate != 1;
        int lag = power > 0 ? lag_of(want->sound + from, got->sound + from, to - from) : 0;
        double off = product(diff + from + soft, diff + from + soft, to - from - 2 * soft);
        double most = power > 0 ? power * (fast ? 0.2 : 0.1) : 1e-5 * (double)(to - from);
        if (abs(lag) <= (fast ? 2 : 0) && off <= most)
            continue;
        bad++;
        printf("sound of edit %d, %.4f to %.4f s: %d samples late, off by %.1f dB\n", i,
               (double)from / RATE, (double)to / RATE, lag, 10 * log10(off / (power + 1e-9)));
    }
    return bad;
}

/* ---- the whole ---- */

/* When something is seen, or heard, for the first time. */
static double first_of(const struct movie *m, const struct track *t)
{
    int64_t at = 0;
    for (int i = 0; i < t->n_edits; at += t->edits[i++].length)
        if (t->edits[i].media >= 0 && t->edits[i].rate > 0)
            break;
    return (double)at / (double)m->scale;
}

static int check(const char *source, const char *video, const char *audio)
{
    struct decoded want, got, raw;
    struct movie m;
    int64_t ends[EDITS];

    movie_read(source, &m);
    decoded_init(&want);
    decoded_init(&got), decoded_init(&raw);
    pictures_expect(&m, &m.tracks[0], &want);
    decode(video, AVMEDIA_TYPE_VIDEO, 0, &got);
    decode(audio, AVMEDIA_TYPE_AUDIO, 0, &got);
    decode(source, AVMEDIA_TYPE_AUDIO, 1, &raw);
    double sound = first_of(&m, &m.tracks[1]);
    double origin = want.n > 0 && want.start[0] < sound ? want.start[0] : sound;
    origin = floor(origin * (double)m.tracks[0].scale + 1e-6) / (double)m.tracks[0].scale;
    if (want.n > 0 &&
        want.start[0] - origin > 1) /* sound alone: the first picture is shown already */
        want.start[0] = origin;
    merge(&got, want.n > 0 ? want.start[0] - origin : 0);
    int bad = pictures_check(&want, &got, origin, 1.6 / (double)m.tracks[0].scale);
    sound_expect(&m, &m.tracks[1], &raw, origin, &want, ends);
    bad += sound_check(&m.tracks[1], &want, &got, ends);
    return bad > 0;
}

int main(int argc, char **argv)
{
    if ((argc == 6 || argc == 7) && strcmp(argv[1], "set") == 0) {
        struct edit e[TRACKS][EDITS];
        struct movie m;
        movie_read(argv[2], &m);
        const int n[TRACKS] = { parse(argv[4], e[0]), parse(argv[5], e[1]),
                                parse(argc == 7 ? argv[6] : "", e[2]) };
        return movie_write(&m, argv[3], e, n);
    }
    if (argc == 5 && strcmp(argv[1], "random") == 0)
        return random_lists(strtoull(argv[2], NULL, 10), argv[3], argv[4]);
    if (argc == 5 && strcmp(argv[1], "check") == 0)
        return check(argv[2], argv[3], argv[4]);
    fprintf(
        stderr,
        "usage: edits set IN OUT VIDEO AUDIO [TEXT] | random SEED IN OUT | check SOURCE VIDEO AUDIO\n");
    return 2;
}
