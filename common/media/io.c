#include "io.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../child/inside.h"

#include <errno.h>
#include <libavutil/error.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mem.h>
#include <string.h>

enum {
    BUFFER_BYTES = 256 << 10,
    EXTENTS_MAX = 1 << 20, /* fragments of a day of 0.1 s each */
};

struct extent {
    uint64_t start, end;
};

struct media_io {
    struct inside *in;
    AVIOContext *avio;
    uint64_t pos;
    struct extent *mdat; /* rising */
    size_t n_mdat;
    int fragmented;
    uint64_t end; /* bytes from there on aren't read */
    uint64_t missing;
    struct err err;
};

/* The mdat that `pos` lies in, or the first after it; NULL: none. */
static const struct extent *next_mdat(const struct media_io *io, uint64_t pos)
{
    size_t lo = 0, hi = io->n_mdat;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (io->mdat[mid].end <= pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < io->n_mdat ? &io->mdat[lo] : NULL;
}

static int read_packet(void *opaque, uint8_t *buf, int size)
{
    struct media_io *io = opaque;
    const struct extent *e = next_mdat(io, io->pos);
    size_t want = (size_t)size, n = 0;

    if (io->pos >= io->end)
        return AVERROR_EOF;
    want = want < io->end - io->pos ? want : (size_t)(io->end - io->pos);
    if (e && io->pos >= e->start) {
        n = want < e->end - io->pos ? want : (size_t)(e->end - io->pos);
        memset(buf, 0, n);
        io->pos += n;
        return (int)n;
    }
    if (e && want > e->start - io->pos)
        want = (size_t)(e->start - io->pos);
    int r = inside_read(io->in, io->pos, buf, want, &n, &io->err);
    if (r < 0)
        return AVERROR(EIO);
    io->pos += n;
    return n > 0 ? (int)n : AVERROR_EOF;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
    struct media_io *io = opaque;
    int64_t size = (int64_t)inside_source_size(io->in);

    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return size;
    case SEEK_CUR:
        offset += (int64_t)io->pos;
        break;
    case SEEK_END:
        offset += size;
        break;
    case SEEK_SET:
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (offset < 0)
        return AVERROR(EINVAL);
    io->pos = (uint64_t)offset;
    return offset;
}

struct media_io *media_io_new(struct inside *in)
{
    struct media_io *io = calloc(1, sizeof(*io));
    uint8_t *buf = av_malloc(BUFFER_BYTES);

    if (io)
        *io = (struct media_io){ .in = in, .end = UINT64_MAX };
    if (io && buf)
        io->avio = avio_alloc_context(buf, BUFFER_BYTES, 0, io, read_packet, NULL, seek);
    if (!io || !io->avio) {
        av_free(buf);
        free(io);
        return NULL;
    }
    return io;
}

void media_io_free(struct media_io *io)
{
    if (!io)
        return;
    av_freep(&io->avio->buffer);
    avio_context_free(&io->avio);
    free(io->mdat);
    free(io);
}

AVIOContext *media_io_avio(struct media_io *io)
{
    return io->avio;
}

int media_io_fragmented(const struct media_io *io)
{
    return io->fragmented;
}

uint64_t media_io_missing(const struct media_io *io)
{
    return io->missing;
}

void media_io_set_end(struct media_io *io, uint64_t end)
{
    AVIOContext *a = io->avio;

    io->end = end;
    a->buf_ptr = a->buf_end = a->buffer;
}

uint64_t media_io_end(const struct media_io *io)
{
    return io->end;
}

const struct err *media_io_error(const struct media_io *io)
{
    return &io->err;
}

static int add_extent(struct extent **list, size_t *n, struct extent e)
{
    if (*n >= EXTENTS_MAX)
        return -EINVAL;
    if ((*n & (*n - 1)) == 0) { /* full at every power of two */
        struct extent *bigger = realloc(*list, (*n ? *n * 2 : 1) * sizeof(**list));
        if (!bigger)
            return -ENOMEM;
        *list = bigger;
    }
    (*list)[(*n)++] = e;
    return 0;
}

/* The header of the box at `pos` (ISO/IEC 14496-12, 4.2). */
static int read_box(struct media_io *io, uint64_t pos, uint64_t *ret_head, uint64_t *ret_size,
                    uint32_t *ret_type, struct err *err)
{
    uint64_t file = inside_source_size(io->in);
    uint8_t b[16];
    size_t n = 0;

    int r = inside_read(io->in, pos, b, sizeof(b), &n, err);
    if (r < 0)
        return r;
    if (n < 8)
        return -EINVAL;
    uint64_t size = AV_RB32(b), head = 8;
    if (size == 1 && n == 16) {
        size = AV_RB64(b + 8);
        head = 16;
    } else if (size == 0) {
        size = file - pos;
    }
    if (size < head)
        return -EINVAL;
    *ret_head = head;
    *ret_size = size;
    *ret_type = AV_RB32(b + 4);
    return 0;
}

/* Types are four printable characters (4.2). */
static int is_type(uint32_t type)
{
    for (int shift = 0; shift < 32; shift += 8)
        if ((type >> shift & 0xff) < 0x20 || (type >> shift & 0xff) > 0x7e)
            return 0;
    return 1;
}

int media_io_skip_mdat(struct media_io *io, struct err *err)
{
    uint64_t file = inside_source_size(io->in), pos = 0;
    struct extent *list = NULL;
    size_t n = 0;
    int r = 0, fragmented = 0, indexed = 0;

    while (r == 0 && pos < file) {
        uint64_t head, size;
        uint32_t type;
        r = read_box(io, pos, &head, &size, &type, err);
        /* What somebody appended is no box, and nothing is missing of it. */
        if (indexed && n > 0 && (r == -EINVAL || (r == 0 && !is_type(type)))) {
            r = 0;
            break;
        }
        if (r < 0)
            break;
        indexed |= type == MKBETAG('m', 'o', 'o', 'v');
        if (size > file - pos) { /* cut short: what is there is still data */
            io->missing = size - (file - pos);
            size = file - pos;
        }
        if (type == MKBETAG('m', 'd', 'a', 't') && size > head)
            r = add_extent(&list, &n, (struct extent){ pos + head, pos + size });
        fragmented |= type == MKBETAG('m', 'o', 'o', 'f');
        pos += size;
    }
    if (r < 0) {
        free(list);
        return r;
    }
    io->fragmented = fragmented;
    io->mdat = list;
    io->n_mdat = n;
    return 0;
}
