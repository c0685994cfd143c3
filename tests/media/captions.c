/* captions - puts closed captions into videos, which no encoder at hand does.
 *
 *   captions HOW IN OUT SCRIPT
 *
 * HOW: `pictures` (each has its bytes, in SEI, an OBU or user data; without any, padding), `sparse`
 * (only those that have some), `dvd` (MPEG-2: those of a GOP in its first picture), `service`
 * (padding, and CEA-708's own), `track` (a c608 track), `track708` (a c708 one). The first stream
 * of IN is the video; all are copied, its times as well. A line of SCRIPT:
 *
 *   pop CHANNEL FROM TO TEXT   a caption from picture FROM to TO, lines parted by '|'
 *   roll CHANNEL FROM TEXT     a line that rolls up, letter by letter
 *   erase CHANNEL AT
 *   text CHANNEL FROM TEXT     of the text service, which is none of the captions
 *   xds AT TEXT                data of field 2 that aren't captions either
 *
 * Pictures are counted as they are shown, from 0.
 */
#include <libavformat/avformat.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 4096, PACKETS = 3 * FRAMES, UNIT = 1024 };
enum { RCL = 0x20, RU2 = 0x25, TR = 0x2a, EDM = 0x2c, CR = 0x2d, ENM = 0x2e, EOC = 0x2f };

static uint8_t pairs[2][FRAMES][2];
static AVPacket *packets[PACKETS];
static int shown[PACKETS]; /* of each packet of video: its place in the order of showing */
static int n_packets;

static void die(const char *what)
{
    fprintf(stderr, "captions: %s\n", what);
    exit(2);
}

/* ---- the bytes of CEA-608 ---- */

static uint8_t with_parity(int v)
{
    return (uint8_t)(av_popcount((unsigned)v) & 1 ? v : v | 0x80);
}

/* At the first free picture from `at` on; returns the one behind it. */
static int put(int field, int at, int a, int b)
{
    while (at < FRAMES - 1 && pairs[field][at][0])
        at++;
    pairs[field][at][0] = with_parity(a);
    pairs[field][at][1] = with_parity(b);
    return at + 1;
}

/* Sent twice, as all codes are. */
static int put_code(int channel, int at, int a, int b)
{
    int field = channel > 2, second = channel % 2 == 0 ? 8 : 0;

    at = put(field, at, a | second, b);
    return put(field, at, a | second, b);
}

static int put_misc(int channel, int at, int b)
{
    return put_code(channel, at, channel > 2 ? 0x15 : 0x14, b);
}

/* '#' is a note, 'E' with an acute accent is written '^': those are special and extended. */
static int put_text(int channel, int at, const char *s, size_t n)
{
    int field = channel > 2;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '#') {
            at = put_code(channel, at, 0x11, 0x37);
        } else if (s[i] == '^') {
            at = put(field, at, 'E', 0);
            at = put_code(channel, at, 0x12, 0x21);
        } else {
            int two = i + 1 < n && s[i + 1] != '#' && s[i + 1] != '^';
            at = put(field, at, s[i], two ? s[i + 1] : 0);
            i += (size_t)two;
        }
    }
    return at;
}

/* Loaded as early as it takes, shown by its last code. */
static void script_pop(int channel, int from, int to, const char *text)
{
    int at = from - 10;

    for (const char *s = text; *s; s++)
        at -= *s == '|' ? 2 : *s == '#' || *s == '^' ? 3 : 1;
    if (at < 0)
        die("no room before the caption");
    at = put_misc(channel, at, RCL);
    at = put_misc(channel, at, ENM);
    for (int row = strchr(text, '|') ? 0x40 : 0x60; *text; row = 0x60) {
        size_t n = strcspn(text, "|");
        at = put_code(channel, at, 0x14, row);
        at = put_text(channel, at, text, n);
        text += n + (text[n] == '|');
    }
    if (at > from)
        die("no room for the caption");
    put_misc(channel, from, EOC);
    if (to > from)
        put_misc(channel, to, EDM);
}

static void script_line(const char *line)
{
    char what[16], text[256];
    int channel, from, to;

    if (sscanf(line, "pop %d %d %d %255[^\n]", &channel, &from, &to, text) == 4) {
        script_pop(channel, from, to, text);
    } else if (sscanf(line, "xds %d %255[^\n]", &from, text) == 2) {
        from = put(1, from, 0x01, 0x03);
        for (size_t i = 0; text[i]; i += 1 + (text[i + 1] != 0))
            from = put(1, from, text[i], text[i + 1]);
        put(1, from, 0x0f, 0x1d);
    } else if (sscanf(line, "erase %d %d", &channel, &from) == 2) {
        put_misc(channel, from, EDM);
    } else if (sscanf(line, "%15s %d %d %255[^\n]", what, &channel, &from, text) == 4) {
        from = put_misc(channel, from, strcmp(what, "roll") ? TR : RU2);
        from = put_misc(channel, from, CR);
        if (!strcmp(what, "roll"))
            from = put_code(channel, from, 0x14, 0x60);
        put_text(channel, from, text, strlen(text));
    } else {
        die(line);
    }
}

static void script_read(const char *path)
{
    char line[512];
    FILE *f = fopen(path, "r");

    if (!f)
        die(path);
    while (fgets(line, sizeof(line), f))
        script_line(line);
    fclose(f);
}

/* ---- cc_data ---- */

static size_t triplet(uint8_t *to, int kind, const uint8_t *pair)
{
    static const uint8_t padding[2] = { 0x80, 0x80 };
    const uint8_t *v = pair[0] ? pair : padding;

    to[0] = (uint8_t)(0xfc | kind);
    to[1] = v[0];
    to[2] = v[1];
    return 3;
}

static size_t triplets(uint8_t *to, int frame, int service)
{
    static const uint8_t dtvcc[2][3] = {
        {0xff,  0x02, 0x21},
        { 0xfe, 0x41, 0x42}
    };
    static const uint8_t unused[3] = { 0xf8, 0x80, 0x80 };
    size_t n = 0;

    if (service) {
        memcpy(to, unused, 3);
        memcpy(to + 3, dtvcc, sizeof(dtvcc));
        return 3 + sizeof(dtvcc);
    }
    n += triplet(to + n, 0, pairs[0][frame]);
    n += triplet(to + n, 1, pairs[1][frame]);
    return n;
}

/* "GA94", 3, cc_data(). */
static size_t user_data(uint8_t *to, int frame, int service)
{
    size_t n = triplets(to + 7, frame, service);

    memcpy(to, "GA94\x03", 5);
    to[5] = (uint8_t)(0x40 | n / 3);
    to[6] = 0xff;
    to[7 + n] = 0xff;
    return 8 + n;
}

static size_t t35(uint8_t *to, int frame, int service)
{
    memcpy(to, "\xb5\x00\x31", 3);
    return 3 + user_data(to + 3, frame, service);
}

/* Of `n` pictures from `frame` on. */
static size_t dvd_data(uint8_t *to, int frame, int n)
{
    size_t len = 5;

    n = n < 31 ? n : 31;
    memcpy(to, "CC\x01\xf8", 4);
    to[4] = (uint8_t)(0x80 | n << 1);
    for (int i = 0; i < n; i++)
        for (int field = 0; field < 2; field++, len += 3) {
            triplet(to + len, 0, pairs[field][frame + i]);
            to[len] = field ? 0xfe : 0xff;
        }
    return len;
}

/* ---- into packets ---- */

static size_t sei_unit(enum AVCodecID codec, uint8_t *to, int frame, int service)
{
    size_t head = 0;

    to[head++] = codec == AV_CODEC_ID_HEVC ? 39 << 1 : 6;
    if (codec == AV_CODEC_ID_HEVC)
        to[head++] = 1;
    to[head++] = 4;
    size_t n = t35(to + head + 1, frame, service);
    to[head++] = (uint8_t)n;
    to[head + n] = 0x80;
    return head + n + 1;
}

static size_t find_code(const AVPacket *p, size_t at, int first, int last)
{
    for (size_t i = at; i + 3 < (size_t)p->size; i++)
        if (!p->data[i] && !p->data[i + 1] && p->data[i + 2] == 1 && p->data[i + 3] >= first &&
            p->data[i + 3] <= last)
            return i;
    return 0;
}

/* Where the first slice begins; *ret_length: bytes of the length that stand before each unit. */
static size_t nal_place(const AVCodecParameters *par, const AVPacket *p, size_t *ret_length)
{
    size_t at = 0;
    int hevc = par->codec_id == AV_CODEC_ID_HEVC;

    *ret_length = par->extradata_size > 6 && par->extradata[0] == 1 ? 4 : 0;
    while (at + 5 < (size_t)p->size) {
        const uint8_t *u = p->data + at + 4;
        int start = *ret_length || !AV_RB24(p->data + at) || AV_RB24(p->data + at) == 1;
        if (!*ret_length && AV_RB24(p->data + at) == 1)
            u--;
        int type = hevc ? u[0] >> 1 & 63 : u[0] & 31;
        if (start && (hevc ? type < 32 : type >= 1 && type <= 5))
            return at;
        at += *ret_length ? 4 + (size_t)AV_RB32(p->data + at) : 1;
    }
    die("no slice");
    return 0;
}

static size_t leb128(const uint8_t *p, size_t *at)
{
    size_t v = 0;

    for (int i = 0; i < 8; i++) {
        v |= (size_t)(p[*at] & 0x7f) << 7 * i;
        if (!(p[(*at)++] & 0x80))
            break;
    }
    return v;
}

static size_t obu_place(const AVPacket *p)
{
    size_t at = 0;

    while (at < (size_t)p->size) {
        int type = p->data[at] >> 3 & 15;
        size_t behind = at + 1 + (p->data[at] >> 2 & 1);
        if (type == 3 || type == 6)
            return at;
        size_t n = leb128(p->data, &behind);
        at = behind + n;
    }
    die("no frame");
    return 0;
}

static void insert(AVPacket *p, size_t at, const uint8_t *v, size_t n)
{
    int size = p->size;

    if (av_packet_make_writable(p) < 0 || av_grow_packet(p, (int)n) < 0)
        die("memory");
    memmove(p->data + at + n, p->data + at, (size_t)size - at);
    memcpy(p->data + at, v, n);
}

static void insert_nal(const AVCodecParameters *par, AVPacket *p, int frame, int service)
{
    uint8_t unit[UNIT] = { 0, 0, 0, 1 };
    size_t length, at = nal_place(par, p, &length),
                   n = sei_unit(par->codec_id, unit + 4, frame, service);

    if (length)
        AV_WB32(unit, (uint32_t)n);
    insert(p, at, unit, n + 4);
}

static void insert_obu(AVPacket *p, int frame, int service)
{
    uint8_t unit[UNIT] = { 5 << 3 | 2, 0, 4 };
    size_t n = t35(unit + 3, frame, service);

    unit[3 + n] = 0x80;
    unit[1] = (uint8_t)(n + 2);
    insert(p, obu_place(p), unit, n + 4);
}

/* How many pictures there are from the first shown one of this packet's GOP on. */
static int gop_of(int at, int *ret_first)
{
    int n = 0;

    *ret_first = shown[at];
    for (int i = at; i < n_packets; i++) {
        if (packets[i]->stream_index != 0)
            continue;
        if (i > at && packets[i]->flags & AV_PKT_FLAG_KEY)
            break;
        *ret_first = shown[i] < *ret_first ? shown[i] : *ret_first;
        n++;
    }
    return n;
}

static void insert_mpeg2(int at, int service, int dvd)
{
    uint8_t unit[UNIT] = { 0, 0, 1, 0xb2 };
    AVPacket *p = packets[at];
    int first, n = dvd && p->flags & AV_PKT_FLAG_KEY ? gop_of(at, &first) : 0;

    if (n > 0)
        insert(p, find_code(p, 0, 0, 0), unit, 4 + dvd_data(unit + 4, first, n));
    else if (!dvd)
        insert(p, find_code(p, 0, 1, 0xaf), unit, 4 + user_data(unit + 4, shown[at], service));
}

static void insert_all(const AVCodecParameters *par, const char *how)
{
    int service = !strcmp(how, "service");

    for (int i = 0; i < n_packets; i++) {
        AVPacket *p = packets[i];
        if (p->stream_index != 0 ||
            (!strcmp(how, "sparse") && !pairs[0][shown[i]][0] && !pairs[1][shown[i]][0]))
            continue;
        if (par->codec_id == AV_CODEC_ID_H264 || par->codec_id == AV_CODEC_ID_HEVC)
            insert_nal(par, p, shown[i], service);
        else if (par->codec_id == AV_CODEC_ID_AV1)
            insert_obu(p, shown[i], service);
        else
            insert_mpeg2(i, service, !strcmp(how, "dvd"));
    }
}

/* ---- files ---- */

static void read_all(AVFormatContext *in)
{
    AVPacket *p = av_packet_alloc();

    while (av_read_frame(in, p) >= 0) {
        if (n_packets == PACKETS)
            die("too many packets");
        packets[n_packets++] = p;
        p = av_packet_alloc();
    }
    av_packet_free(&p);
    for (int i = 0; i < n_packets; i++)
        for (int k = 0; k < n_packets; k++)
            shown[i] += packets[k]->stream_index == 0 && packets[k]->pts < packets[i]->pts;
}

/* A sample of a caption track: boxes of a field each, or one of a CDP. */
static size_t sample_of(uint8_t *to, int frame, int is_708)
{
    if (is_708) {
        size_t n = triplets(to + 17, frame, 0);
        memcpy(to + 4, "ccdp\x96\x69\x00\x4f\x43\x00\x00\x72", 12);
        to[16] = (uint8_t)(0xe0 | n / 3);
        AV_WB32(to, (uint32_t)(17 + n));
        return 17 + n;
    }
    for (int field = 0; field < 2; field++) {
        uint8_t *box = to + 10 * field, three[3];
        (void)triplet(three, 0, pairs[field][frame]);
        AV_WB32(box, 10);
        memcpy(box + 4, field ? "cdt2" : "cdat", 4);
        memcpy(box + 8, three + 1, 2);
    }
    return 20;
}

static void write_track(AVFormatContext *out, AVRational tb, int stream, int is_708)
{
    for (int frame = 0; frame < n_packets; frame++) {
        uint8_t sample[UNIT];
        for (int k = 0; k < n_packets; k++) {
            if (packets[k]->stream_index != 0 || shown[k] != frame)
                continue;
            AVPacket *p = av_packet_alloc();
            size_t n = sample_of(sample, shown[k], is_708);
            if (!p || av_new_packet(p, (int)n) < 0)
                die("memory");
            memcpy(p->data, sample, n);
            p->stream_index = stream;
            p->pts = p->dts = packets[k]->pts;
            p->duration = packets[k]->duration;
            p->flags = AV_PKT_FLAG_KEY;
            av_packet_rescale_ts(p, tb, out->streams[stream]->time_base);
            if (av_interleaved_write_frame(out, p) < 0)
                die("can't write a caption");
        }
    }
}

/* libavformat writes no c708, and no second field of c608: what it took for text of another kind
 * is called that. */
static void rename_track(const char *path, const char *kind)
{
    const char *names[2][2] = {
        {"tx3g",  kind  },
        { "sbtl", "clcp"}
    };
    FILE *f = fopen(path, "r+");
    char four[4];

    if (!f)
        die(path);
    for (long at = 0; !fseek(f, at, SEEK_SET) && fread(four, 1, 4, f) == 4; at++)
        for (int i = 0; i < 2; i++)
            if (!memcmp(four, names[i][0], 4) && !fseek(f, at, SEEK_SET))
                fwrite(names[i][1], 1, 4, f);
    fclose(f);
}

static void write_all(AVFormatContext *in, const char *path, const char *how)
{
    AVFormatContext *out = NULL;
    int track = strncmp(how, "track", 5) == 0;

    if (avformat_alloc_output_context2(&out, NULL, NULL, path) < 0 ||
        avio_open(&out->pb, path, AVIO_FLAG_WRITE) < 0)
        die(path);
    for (unsigned i = 0; i < in->nb_streams + (unsigned)track; i++) {
        AVStream *st = avformat_new_stream(out, NULL);
        if (i == in->nb_streams) {
            st->codecpar->codec_type = AVMEDIA_TYPE_SUBTITLE;
            st->codecpar->codec_id = AV_CODEC_ID_MOV_TEXT;
            st->time_base = in->streams[0]->time_base;
            av_dict_set(&st->metadata, "language", "spa", 0);
            continue;
        }
        avcodec_parameters_copy(st->codecpar, in->streams[i]->codecpar);
        st->codecpar->codec_tag = 0;
        st->time_base = in->streams[i]->time_base;
        st->avg_frame_rate = in->streams[i]->avg_frame_rate;
    }
    if (avformat_write_header(out, NULL) < 0)
        die("can't write a header");
    if (track)
        write_track(out, in->streams[0]->time_base, (int)in->nb_streams, !strcmp(how, "track708"));
    for (int i = 0; i < n_packets; i++) {
        AVPacket *p = packets[i];
        av_packet_rescale_ts(p, in->streams[p->stream_index]->time_base,
                             out->streams[p->stream_index]->time_base);
        p->pos = -1;
        if (av_interleaved_write_frame(out, p) < 0)
            die("can't write a packet");
    }
    av_write_trailer(out);
    avio_closep(&out->pb);
    avformat_free_context(out);
    if (track)
        rename_track(path, strcmp(how, "track") ? "c708" : "c608");
}

int main(int argc, char **argv)
{
    AVFormatContext *in = NULL;

    if (argc != 5)
        die("HOW IN OUT SCRIPT");
    av_log_set_level(AV_LOG_ERROR);
    script_read(argv[4]);
    if (avformat_open_input(&in, argv[2], NULL, NULL) < 0 ||
        avformat_find_stream_info(in, NULL) < 0)
        die(argv[2]);
    read_all(in);
    if (strncmp(argv[1], "track", 5) != 0)
        insert_all(in->streams[0]->codecpar, argv[1]);
    write_all(in, argv[3], argv[1]);
    avformat_close_input(&in);
    for (int i = 0; i < n_packets; i++)
        av_packet_free(&packets[i]);
    return 0;
}
