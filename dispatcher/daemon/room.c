#include "room.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../../common/base/err.h"
#include "../../common/base/log.h"
#include "api_parts.h"
#include "config.h"

enum { LOOK_MS = 1000, LOOKS_LEAST = 2, CONNECTIONS = 64, IDLE_S = 10 };

static int has_room(const char *db)
{
    struct statvfs st;

    /* Where nobody knows, it is tried. */
    return statvfs(db, &st) < 0 || (uint64_t)st.f_bavail * st.f_frsize >> 20 >= ROOM_MIB;
}

/* ---- what is said meanwhile ---- */

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *body)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(body), (void *)body,
                                                             MHD_RESPMEM_MUST_COPY);

    if (!r)
        return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", "application/json");
    (void)MHD_add_response_header(r, "Connection", "close");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void)MHD_add_response_header(r, "Retry-After", "5");
    enum MHD_Result ok = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return ok;
}

/* `arg` is the answer's text. A body is read, and dropped, before it is answered:
 * many clients look at no answer before they have sent all. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    static int seen;

    (void)method, (void)version, (void)data;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    return strcmp(path, "/healthz") == 0 ? say(c, MHD_HTTP_OK, "{\"status\":\"ok\"}")
                                         : say(c, MHD_HTTP_SERVICE_UNAVAILABLE, arg);
}

static struct MHD_Daemon *serve(const struct config *cfg, const char *body)
{
    struct err err = { 0 };
    unsigned port;
    int fd, v6;

    if (api_listen(cfg->listen, !cfg->token, &fd, &port, &v6, &err) < 0) {
        log_event(LOG_WARN, "dispatcher.unheard", LSTR("error", err.text));
        return NULL;
    }
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | (v6 ? MHD_USE_IPv6 : 0U), 0, NULL, NULL, on_request,
        (void *)body, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (!d)
        (void)close(fd);
    return d;
}

/* ---- until when ---- */

int room_wait(const struct config *cfg, const struct err *why, int signals)
{
    struct pollfd p = { .fd = signals, .events = POLLIN };
    struct answer a = { 0 };
    int looks = 0, r = 0;

    answer_error(&a, MHD_HTTP_SERVICE_UNAVAILABLE, why->cls, why->text);
    struct MHD_Daemon *d = a.body ? serve(cfg, a.body) : NULL;
    do
        r = poll(&p, 1, LOOK_MS);
    while (r == 0 && (++looks < LOOKS_LEAST || !has_room(cfg->db)));
    if (d)
        MHD_stop_daemon(d);
    free(a.body);
    return r > 0 ? -ECANCELED : 0;
}
