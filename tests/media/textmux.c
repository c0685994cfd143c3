/* textmux - a film with a track of text of a kind that ffmpeg doesn't write.
 *
 *   textmux KIND IN OUT [PAGES|fragments] <LINES
 *
 * KIND  webvtt  S_TEXT/WEBVTT in OUT.mkv, settings in BlockAdditions
 *       wvtt    samples of boxes in OUT.mp4 (ISO/IEC 14496-30, 7)
 *       stpp    a document of TTML in each sample of OUT.mp4
 *       pages   teletext in OUT.ts (ETSI EN 300 472 and 300 706); PAGES is "eng2888,deu5777":
 *               what the descriptor says, language, type and page
 * LINES "START LAST WHAT TEXT", in milliseconds, by rising START; lines of one START are one
 *       packet. WHAT: settings with ';' for blanks, or "-", or a page. TEXT: '|' breaks lines; of
 *       stpp the name of a file; of pages '^' before what stands above; empty: nothing is shown.
 *
 * libavformat's muxers take the packets as what they know, and the name of the codec is written
 * over then.
 */
#include <errno.h>
#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINES_MAX = 1000,
    LINE_MAX_BYTES = 2000,
    PACKET_BYTES = 1 << 20,
    UNIT_BYTES = 46,
    UNITS = 7, /* 1 + 7 * 46 + 45 bytes of header are two TS packets (EN 300 472, 4.2) */
    ROW_BYTES = 42,
    COLUMNS = 40,
};

struct line {
    long start, last;
    char what[200], text[LINE_MAX_BYTES];
};

struct mux {
    const char *kind;
    AVFormatContext *in, *out;
    AVStream *st;
    struct line line[LINES_MAX];
    size_t n, at;
};

static void must(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "textmux: %s\n", what);
        exit(1);
    }
}

static int is(const struct mux *m, const char *kind)
{
    return strcmp(m->kind, kind) == 0;
}

static void lines_read(struct mux *m)
{
    char buf[LINE_MAX_BYTES + 300];

    while (fgets(buf, sizeof(buf), stdin)) {
        struct line *l = &m->line[m->n];
        must(m->n < LINES_MAX, "too many lines");
        buf[strcspn(buf, "\n")] = '\0';
        must(sscanf(buf, "%ld %ld %199s %1999[^\n]", &l->start, &l->last, l->what, l->text) >= 3,
             buf);
        for (char *s = l->what; *s; s++)
            *s = *s == ';' ? ' ' : *s;
        for (char *s = l->text; *s && !is(m, "pages"); s++)
            *s = *s == '|' ? '\n' : *s;
        m->n++;
    }
}

/* ---- boxes ---- */

static size_t box_put(uint8_t *to, const char *type, const void *body, size_t n)
{
    AV_WB32(to, n + 8);
    memcpy(to + 4, type, 4);
    memmove(to + 8, body, n);
    return n + 8;
}

static size_t cue_put(uint8_t *to, const struct line *l)
{
    uint8_t body[LINE_MAX_BYTES + 300];
    size_t n = 0;

    if (!l->text[0])
        return box_put(to, "vtte", "", 0);
    if (strcmp(l->what, "-") != 0)
        n += box_put(body, "sttg", l->what, strlen(l->what));
    n += box_put(body + n, "payl", l->text, strlen(l->text));
    return box_put(to, "vttc", body, n);
}

/* ---- pages ---- */

static uint8_t reversed(uint8_t b)
{
    uint8_t r = 0;

    for (int i = 0; i < 8; i++)
        r = (uint8_t)(r | (b >> i & 1) << (7 - i));
    return r;
}

/* EN 300 706, 8.2 */
static uint8_t hamming(unsigned v)
{
    static const uint8_t of[16] = { 0x15, 0x02, 0x49, 0x5e, 0x64, 0x73, 0x38, 0x2f,
                                    0xd0, 0xc7, 0x8c, 0x9b, 0xa1, 0xb6, 0xfd, 0xea };

    return of[v & 15];
}

static uint8_t parity(uint8_t c)
{
    return (uint8_t)(__builtin_parity(c & 0x7f) ? c & 0x7f : c | 0x80);
}

/* A unit of subtitle data with one packet of 42 bytes, sent with their lowest bit first. */
static size_t unit_put(uint8_t *to, const uint8_t row[ROW_BYTES])
{
    static int line = 7;

    to[0] = 0x03;
    to[1] = UNIT_BYTES - 2;
    to[2] = (uint8_t)(0xe0 | line);
    to[3] = 0xe4;
    for (int i = 0; i < ROW_BYTES; i++)
        to[4 + i] = reversed(row[i]);
    line = line == 22 ? 7 : line + 1;
    return UNIT_BYTES;
}

static void row_begin(uint8_t *row, unsigned magazine, unsigned number)
{
    row[0] = hamming(magazine | (number & 1) << 3);
    row[1] = hamming(number >> 1);
    for (int i = 2; i < ROW_BYTES; i++)
        row[i] = parity(' ');
}

/* `page` 0xff of a magazine ends the one before, and is none. */
static size_t header_put(uint8_t *to, unsigned magazine, unsigned page)
{
    uint8_t row[ROW_BYTES];

    row_begin(row, magazine, 0);
    row[2] = hamming(page & 15);
    row[3] = hamming(page >> 4);
    row[4] = hamming(0);
    row[5] = hamming(page == 0xff ? 0 : 8); /* C4: erase */
    row[6] = hamming(0);
    row[7] = hamming(page == 0xff ? 0 : 8); /* C6: a subtitle */
    row[8] = hamming(page == 0xff ? 0 : 3); /* C7, C8: no header, updated */
    row[9] = hamming(1);                    /* C11: serial */
    return unit_put(to, row);
}

/* Rows from 20 down, or from 2 where it begins with '^', in a box. */
static size_t text_put(uint8_t *to, unsigned magazine, const char *text)
{
    unsigned number = *text == '^' ? 2 : 20;
    size_t n = 0;

    text += *text == '^';
    for (; *text && n < 4 * UNIT_BYTES; number += 2) {
        uint8_t row[ROW_BYTES];
        size_t len = strcspn(text, "|"), at = 2;
        row_begin(row, magazine, number);
        row[at++] = parity(0x0b);
        row[at++] = parity(0x0b);
        for (size_t i = 0; i < len && at < COLUMNS; i++)
            row[at++] = parity((uint8_t)text[i]);
        row[at++] = parity(0x0a);
        row[at] = parity(0x0a);
        n += unit_put(to + n, row);
        text += len + (text[len] == '|');
    }
    return n;
}

static size_t page_put(uint8_t *to, const struct line *l)
{
    unsigned page = (unsigned)strtoul(l->what, NULL, 16), magazine = page >> 8 & 7;
    size_t n = 0;

    to[n++] = 0x10;
    n += header_put(to + n, magazine, page & 0xff);
    n += text_put(to + n, magazine, l->text);
    n += header_put(to + n, magazine, 0xff);
    while (n < 1 + UNITS * UNIT_BYTES) {
        to[n] = 0xff;
        to[n + 1] = UNIT_BYTES - 2;
        memset(to + n + 2, 0xff, UNIT_BYTES - 2);
        n += UNIT_BYTES;
    }
    return n;
}

/* ---- packets ---- */

static size_t file_put(uint8_t *to, const char *name)
{
    FILE *f = fopen(name, "rb");

    must(f != NULL, name);
    size_t n = fread(to, 1, PACKET_BYTES, f);
    (void)fclose(f);
    return n;
}

static void settings_add(AVPacket *pkt, const char *settings)
{
    size_t n = strlen(settings);
    uint8_t *p = av_packet_new_side_data(pkt, AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL, n + 10);

    must(p != NULL, "no memory");
    AV_WB64(p, 1);
    memcpy(p + 8, settings, n);
    memcpy(p + 8 + n, "\n\n", 2);
}

static void packet_write(struct mux *m, const uint8_t *data, size_t n, const struct line *l)
{
    AVPacket *pkt = av_packet_alloc();

    must(pkt && av_new_packet(pkt, (int)n) == 0, "no memory");
    memcpy(pkt->data, data, n);
    pkt->stream_index = m->st->index;
    pkt->flags = AV_PKT_FLAG_KEY;
    pkt->pts = pkt->dts = av_rescale_q(l->start, (AVRational){ 1, 1000 }, m->st->time_base);
    pkt->duration = av_rescale_q(l->last, (AVRational){ 1, 1000 }, m->st->time_base);
    if (is(m, "webvtt") && strcmp(l->what, "-") != 0)
        settings_add(pkt, l->what);
    must(av_interleaved_write_frame(m->out, pkt) == 0, "a packet can't be written");
    av_packet_free(&pkt);
}

/* All lines of one start that are due before `ms`. */
static void lines_write(struct mux *m, double ms)
{
    static uint8_t data[PACKET_BYTES];

    while (m->at < m->n && (double)m->line[m->at].start <= ms) {
        const struct line *first = &m->line[m->at];
        size_t n = 0;
        do {
            const struct line *l = &m->line[m->at++];
            n += is(m, "wvtt")    ? cue_put(data + n, l)
                 : is(m, "stpp")  ? file_put(data, l->text)
                 : is(m, "pages") ? page_put(data, l)
                                  : (size_t)sprintf((char *)data + n, "%s", l->text);
        } while (is(m, "wvtt") && m->at < m->n && m->line[m->at].start == first->start);
        packet_write(m, data, n, first);
    }
}

/* ---- the file ---- */

/* "eng2888,deu5777" */
static void pages_describe(AVStream *st, const char *pages)
{
    char languages[200] = "";
    size_t n = (strlen(pages) + 1) / 8;

    must(n > 0 && n < 20, pages);
    st->codecpar->extradata = av_mallocz(2 * n + AV_INPUT_BUFFER_PADDING_SIZE);
    st->codecpar->extradata_size = (int)(2 * n);
    for (size_t i = 0; i < n; i++) {
        const char *p = pages + 8 * i;
        unsigned page = (unsigned)strtoul(p + 4, NULL, 16);
        st->codecpar->extradata[2 * i] = (uint8_t)((p[3] - '0') << 3 | (page >> 8 & 7));
        st->codecpar->extradata[2 * i + 1] = (uint8_t)page;
        (void)sprintf(languages + strlen(languages), "%s%.3s", i ? "," : "", p);
    }
    av_dict_set(&st->metadata, "language", languages, 0);
}

static void streams_open(struct mux *m, const char *in, const char *out, const char *pages)
{
    must(avformat_open_input(&m->in, in, NULL, NULL) == 0, in);
    must(avformat_find_stream_info(m->in, NULL) >= 0, in);
    must(avformat_alloc_output_context2(&m->out, NULL, NULL, out) >= 0, out);
    m->out->flags |= AVFMT_FLAG_BITEXACT;
    for (unsigned i = 0; i < m->in->nb_streams; i++) {
        AVStream *st = avformat_new_stream(m->out, NULL);
        must(st && avcodec_parameters_copy(st->codecpar, m->in->streams[i]->codecpar) >= 0, in);
        st->codecpar->codec_tag = 0;
        st->time_base = m->in->streams[i]->time_base;
    }
    m->st = avformat_new_stream(m->out, NULL);
    must(m->st != NULL, "no memory");
    int data = is(m, "wvtt") || is(m, "stpp");
    m->st->codecpar->codec_type = data ? AVMEDIA_TYPE_DATA : AVMEDIA_TYPE_SUBTITLE;
    m->st->codecpar->codec_id = data              ? AV_CODEC_ID_BIN_DATA
                                : is(m, "webvtt") ? AV_CODEC_ID_SUBRIP
                                                  : AV_CODEC_ID_DVB_TELETEXT;
    m->st->codecpar->codec_tag = data ? MKTAG('g', 'p', 'm', 'd') : 0;
    m->st->time_base = (AVRational){ 1, 1000 };
    if (is(m, "pages") && pages && *pages)
        pages_describe(m->st, pages);
    must(avio_open(&m->out->pb, out, AVIO_FLAG_WRITE) >= 0, out);
    AVDictionary *options = NULL;
    if (pages && strcmp(pages, "fragments") == 0)
        av_dict_set(&options, "movflags", "frag_keyframe+empty_moov+default_base_moof", 0);
    must(avformat_write_header(m->out, &options) >= 0, "the header can't be written");
    av_dict_free(&options);
}

static void film_copy(struct mux *m)
{
    AVPacket *pkt = av_packet_alloc();

    must(pkt != NULL, "no memory");
    while (av_read_frame(m->in, pkt) >= 0) {
        AVRational from = m->in->streams[pkt->stream_index]->time_base;
        if (pkt->dts != AV_NOPTS_VALUE)
            lines_write(m, (double)pkt->dts * av_q2d(from) * 1000);
        av_packet_rescale_ts(pkt, from, m->out->streams[pkt->stream_index]->time_base);
        pkt->pos = -1;
        must(av_interleaved_write_frame(m->out, pkt) == 0, "a packet can't be written");
    }
    lines_write(m, 1e12);
    av_packet_free(&pkt);
    must(av_write_trailer(m->out) >= 0, "the trailer can't be written");
    avio_closep(&m->out->pb);
}

/* ---- names ---- */

/* Writes `to` over the last place of `from`, which is as long. */
static void overwrite(const char *file, const char *from, const char *to, size_t n)
{
    FILE *f = fopen(file, "r+b");

    must(f && fseek(f, 0, SEEK_END) == 0, file);
    size_t size = (size_t)ftell(f);
    char *data = malloc(size);
    rewind(f);
    must(data && fread(data, 1, size, f) == size, file);
    char *at = NULL;
    for (size_t i = 0; i + n <= size; i++)
        at = memcmp(data + i, from, n) == 0 ? data + i : at;
    must(at != NULL, "the codec's name isn't there");
    must(fseek(f, at - data, SEEK_SET) == 0 && fwrite(to, 1, n, f) == n && fclose(f) == 0, file);
    free(data);
}

static void codec_rename(const struct mux *m, const char *out)
{
    if (is(m, "wvtt"))
        overwrite(out, "gpmd", "wvtt", 4);
    else if (is(m, "stpp"))
        overwrite(out, "gpmd", "stpp", 4);
    else if (is(m, "webvtt")) /* the language before it makes room; a void element fills up */
        overwrite(out, "\x22\xb5\x9c\x83und\x88\x81\0\x86\x8bS_TEXT/UTF8",
                  "\x88\x81\0\x86\x8dS_TEXT/WEBVTT\xec\x83\0\0\0", 23);
}

int main(int argc, char **argv)
{
    static struct mux m;

    must(argc >= 4, "textmux KIND IN OUT [PAGES] <LINES");
    m.kind = argv[1];
    lines_read(&m);
    streams_open(&m, argv[2], argv[3], argv[4]);
    film_copy(&m);
    codec_rename(&m, argv[3]);
    avformat_close_input(&m.in);
    avformat_free_context(m.out);
    return 0;
}
