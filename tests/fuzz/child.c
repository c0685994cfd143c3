/* The messages of a child that may do what it likes, as its parent reads
 * them (proto.h). The stream ends where the input does. */
#include "fuzz.h"

#include "common/base/err.h"
#include "common/base/utf8.h"
#include "common/child/child_parts.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_MAX = 4096, /* so that no answer to it fills the socket, which nobody reads */
    ANSWER_MAX = 16,
};

static int give_bytes(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n,
                      struct err *err)
{
    (void)arg, (void)off, (void)err;
    *ret_n = len < ANSWER_MAX ? len : ANSWER_MAX;
    memset(buf, 0x5a, *ret_n);
    return 0;
}

static int take_object(void *arg, const char *name, const void *buf, size_t len, struct err *err)
{
    (void)err;
    *(size_t *)arg += strlen(name);
    for (size_t i = 0; i < len; i++)
        *(size_t *)arg += ((const uint8_t *)buf)[i];
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sum = 0;
    struct child_handler h = { .arg = &sum, .read = give_bytes, .object = take_object };
    const struct child_limits limits = { .deadline_ms = 5000 };
    struct child_usage usage;
    struct err err = { 0 };
    char *result = NULL;
    int socks[2];

    if (size > INPUT_MAX)
        return 0;
    struct child *c = calloc(1, sizeof(*c));
    fuzz_must(c && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) == 0);
    fuzz_must(fcntl(socks[0], F_SETFL, O_NONBLOCK) == 0);
    /* Readable, as the pidfd of a process that has ended is. */
    *c = (struct child){
        .pid = -1, .pidfd = eventfd(1, EFD_CLOEXEC), .sock = socks[0], .err_pipe = -1
    };
    fuzz_must(write(socks[1], data, size) == (ssize_t)size && shutdown(socks[1], SHUT_WR) == 0);

    int r = child_run(c, "fuzz", "{}", 1 << 20, &h, &limits, &result, &usage, &err);
    fuzz_must(r == 0 ? result && err.cls == ERR_NONE : !result && err.cls != ERR_NONE);
    fuzz_must(r == 0 || (err.text[0] && utf8_valid(err.text, strlen(err.text))));
    free(result);
    child_free(c);
    (void)close(socks[1]);
    return 0;
}
