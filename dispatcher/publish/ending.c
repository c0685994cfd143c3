#include "ending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../common/store/store.h"
#include "../../common/wire/object.h"
#include "hls.h"
#include "sweep.h"
#include "version.h"

#define MASTER "master.m3u8"
#define END    "#EXT-X-ENDLIST\n"

enum { KEY_ROOM = 256 };

static const size_t list_max = (size_t)64 << 20;

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while ending playlists");
}

/* With room for END behind it. NULL with 0: there is none. */
static int list_read(struct store *s, const char *key, char **ret, struct err *err)
{
    struct store_stat st;
    size_t n = 1, at = 0;
    int r = s->ops->head(s, key, &st, err);

    if (r < 0 || st.size_bytes > list_max) {
        *ret = NULL;
        return r == -ENOENT || r == 0 ? 0 : r;
    }
    _cleanup_free_ char *text = malloc((size_t)st.size_bytes + sizeof(END));
    if (!text)
        return no_memory(err);
    while (r == 0 && n > 0 && at < st.size_bytes) {
        r = s->ops->get_range(s, key, st.etag, at, text + at, (size_t)st.size_bytes - at, &n, err);
        at += r == 0 ? n : 0;
    }
    text[at] = '\0';
    *ret = r == 0 ? take_ptr(text) : NULL;
    return r == -ENOENT ? 0 : r;
}

static int list_close(struct store *s, const char *key, struct err *err)
{
    const struct store_put_opts opts = { OBJECT_TYPE_HLS, OBJECT_CACHE_GROWING, 1, 0 };
    _cleanup_free_ char *text = NULL;
    int r = list_read(s, key, &text, err);

    if (r < 0 || !text || !strstr(text, "\n#EXT-X-PLAYLIST-TYPE:EVENT\n") || strstr(text, "\n" END))
        return r;
    strcat(text, END);
    return s->ops->put(s, key, text, strlen(text), &opts, err);
}

/* What a line of a master names: its URI, and how long that is; NULL: nothing. */
static const char *line_uri(const char *line, size_t len, size_t *ret_len)
{
    static const char attribute[] = "URI=\"";
    const char *at = len > 0 && *line != '#' ? line
                                             : memmem(line, len, attribute, strlen(attribute));

    if (!at)
        return NULL;
    if (at == line) {
        *ret_len = len;
        return line;
    }
    at += strlen(attribute);
    const char *end = memchr(at, '"', len - (size_t)(at - line));
    *ret_len = end ? (size_t)(end - at) : 0;
    return end ? at : NULL;
}

/* A media playlist in that folder, by the names that this program gives. */
static int is_own(const char *key, const char *folder)
{
    return version_folder(key) == strlen(folder) && strncmp(key, folder, strlen(folder)) == 0 &&
           sweep_kind_of(key) == SWEEP_PLAYLIST;
}

static int lists_end(struct store *s, const char *master, const char *folder, int removed,
                     struct err *err)
{
    int r = 0;

    for (const char *line = master; *line && r == 0;) {
        size_t len = strcspn(line, "\n"), n = 0;
        const char *uri = line_uri(line, len, &n);
        char key[KEY_ROOM];
        line += len + (line[len] == '\n');
        if (!uri || n >= sizeof(key))
            continue;
        memcpy(key, uri, n);
        key[n] = '\0';
        if (is_own(key, folder))
            r = removed ? s->ops->del(s, key, err) : list_close(s, key, err);
    }
    return r;
}

/* Whether the master names media of that folder. */
static int names_folder(const char *master, const char *folder)
{
    char want[VERSION_ROOM + 8];

    (void)snprintf(want, sizeof(want), "\n%svideo/", folder);
    return strstr(master, want) != NULL;
}

int package_end_early(struct store *s, const char *folder, int removed, struct err *err)
{
    _cleanup_free_ char *master = NULL;
    struct store_stat st;
    int r = s->ops->head(s, "job.json", &st, err);

    if (r != -ENOENT)
        return r;
    r = list_read(s, MASTER, &master, err);
    if (r < 0 || !master || !strstr(master, HLS_START_LINE) || !names_folder(master, folder))
        return r;
    if (removed && (r = s->ops->del(s, MASTER, err)) < 0)
        return r;
    return lists_end(s, master, folder, removed, err);
}
