/* scripted-child - what a child could do to its parent, one script a run.
 *
 * Started by test_child in place of gopmill-child: takes the JOB message and
 * does what the request says. It knows the protocol only from proto.h, so
 * that it can break it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/child/inside.h"
#include "common/child/proto.h"

/* ---- messages ---- */

static void put(const void *p, size_t n)
{
    if (write(PROTO_FD, p, n) != (ssize_t)n)
        _exit(9);
}

static void header(uint32_t type, uint32_t len)
{
    const struct proto_header h = { .type = type, .len = len };
    put(&h, sizeof(h));
}

static void message(uint32_t type, const void *p, size_t n)
{
    header(type, (uint32_t)n);
    put(p, n);
}

static void get(void *buf, size_t n)
{
    char *p = buf;

    while (n > 0) {
        ssize_t r = read(PROTO_FD, p, n);
        if (r <= 0)
            _exit(0);
        p += r;
        n -= (size_t)r;
    }
}

static void ask(uint64_t off, uint32_t len)
{
    const struct proto_read rq = { off, len };
    message(PROTO_READ, &rq, sizeof(rq));
}

static void object(const char *name, uint32_t name_len, const char *bytes)
{
    uint32_t n = (uint32_t)(strlen(name) + strlen(bytes));

    header(PROTO_OBJECT, (uint32_t)sizeof(name_len) + n);
    put(&name_len, sizeof(name_len));
    put(name, strlen(name));
    put(bytes, strlen(bytes));
}

static void failure(uint32_t cls, int32_t code, const char *text)
{
    header(PROTO_FAILURE, (uint32_t)(sizeof(cls) + sizeof(code) + strlen(text)));
    put(&cls, sizeof(cls));
    put(&code, sizeof(code));
    put(text, strlen(text));
}

static void result(const char *json)
{
    message(PROTO_RESULT, json, strlen(json));
}

static void hang(void)
{
    for (;;)
        (void)pause();
}

static void die(int sig)
{
    (void)signal(sig, SIG_DFL); /* a sanitizer's handler would exit instead */
    (void)raise(sig);
}

/* ---- scripts ---- */

static void answer(void)
{
    result("{\"fine\":1}");
}

/* Two reads, the second at the end of the source; their bytes are the answer. */
static void read_and_answer(void)
{
    struct proto_header h;
    char buf[64] = "";
    size_t n = 0;

    for (int i = 0; i < 2; i++) {
        ask(i == 0 ? 3 : 8, 4);
        get(&h, sizeof(h));
        if (h.type != PROTO_DATA || h.len > 4)
            _exit(9);
        get(buf + n, h.len);
        n += h.len;
    }
    result(buf);
}

/* Three at once, one of them short, one beyond the end. */
static void read_many_and_answer(void)
{
    static const struct proto_read rq[] = {
        {6,   3},
        { 8,  4},
        { 20, 2},
        { 1,  1}
    };
    struct proto_header h;
    uint32_t n[4];
    char buf[64] = "";

    message(PROTO_READ_MANY, rq, sizeof(rq));
    get(&h, sizeof(h));
    if (h.type != PROTO_DATA || h.len != sizeof(n) + 6)
        _exit(9);
    get(n, sizeof(n));
    if (n[0] != 3 || n[1] != 2 || n[2] != 0 || n[3] != 1)
        _exit(9);
    get(buf, 6);
    result(buf);
}

static void objects(void)
{
    object("video/a/init.mp4", 16, "one");
    object("video/a/seg-00001.m4s", 21, "");
    result("{}");
}

static void last_words(void)
{
    static const char log[] = "decoding frame 7", said[] = "assertion failed\n";

    message(PROTO_LOG, log, strlen(log));
    (void)!write(STDERR_FILENO, said, strlen(said));
    die(SIGSEGV);
}

static void many_words(void)
{
    for (int i = 0; i < 5000; i++)
        (void)!write(STDERR_FILENO, "noise noise noise noise noise\n", 30);
    (void)!write(STDERR_FILENO, "the very end\n", 13);
    die(SIGABRT);
}

/* Keeps saying that it is at work, for ever. */
static void busy(void)
{
    for (uint64_t n = 0;; n++) {
        message(PROTO_PROGRESS, &n, sizeof(n));
        (void)poll(NULL, 0, 1);
    }
}

static void flood(void)
{
    for (uint64_t n = 0;; n++)
        message(PROTO_PROGRESS, &n, sizeof(n));
}

static void shout(void)
{
    for (;;)
        (void)!write(STDERR_FILENO, "noise noise noise noise noise\n", 30);
}

/* Half a header, then a byte now and then: never a message. */
static void trickle(void)
{
    header(PROTO_OBJECT, 1 << 20);
    for (;;) {
        put("x", 1);
        (void)poll(NULL, 0, 1);
    }
}

/* Fills the parent's sending side without ever reading. */
static void deaf(void)
{
    for (;;)
        ask(0, PROTO_READ_MAX);
}

static void close_and_stay(void)
{
    (void)close(PROTO_FD);
    hang();
}

static void half_header(void)
{
    put("\3\0\0", 3);
    _exit(0);
}

static void half_payload(void)
{
    header(PROTO_RESULT, 100);
    put("{}", 2);
    _exit(0);
}

static void exit_7(void)
{
    _exit(7);
}

static void answer_and_hang(void)
{
    answer();
    (void)close(STDERR_FILENO);
    hang();
}

static void quiet_stderr(void)
{
    (void)close(STDERR_FILENO);
    hang();
}

static void bad_upload(void)
{
    failure(ERR_INPUT, -EINVAL, "no frame in it");
}

static void huge_object(void)
{
    header(PROTO_OBJECT, UINT32_MAX);
}
static void huge_result(void)
{
    header(PROTO_RESULT, PROTO_JSON_MAX + 1);
}
static void huge_log(void)
{
    header(PROTO_LOG, PROTO_LOG_MAX + 1);
}
static void huge_failure(void)
{
    header(PROTO_FAILURE, PROTO_LOG_MAX + 1);
}
static void huge_read(void)
{
    ask(0, PROTO_READ_MAX + 1);
}
static void odd_read(void)
{
    message(PROTO_READ, "1234567", 7);
}
static void odd_read_many(void)
{
    message(PROTO_READ_MANY, "1234567", 7);
}
static void read_none(void)
{
    message(PROTO_READ_MANY, "", 0);
}
static void huge_read_many(void)
{
    static const struct proto_read rq[] = {
        {0,  PROTO_READ_MAX},
        { 0, 1             }
    };
    message(PROTO_READ_MANY, rq, sizeof(rq));
}
static void read_too_many(void)
{
    static const struct proto_read rq[PROTO_MANY_MAX + 1];
    message(PROTO_READ_MANY, rq, sizeof(rq));
}
static void odd_progress(void)
{
    message(PROTO_PROGRESS, "1234", 4);
}
static void tiny_object(void)
{
    message(PROTO_OBJECT, "ab", 2);
}
static void tiny_failure(void)
{
    message(PROTO_FAILURE, "abcd", 4);
}
static void name_beyond(void)
{
    object("short", 40, "");
}
static void name_too_long(void)
{
    char name[PROTO_NAME_MAX + 2];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    object(name, PROTO_NAME_MAX + 1, "bytes");
}
static void type_0(void)
{
    header(0, 0);
}
static void type_99(void)
{
    header(99, 5);
}
static void type_of_parent(void)
{
    header(PROTO_DATA, 0);
}
static void class_none(void)
{
    failure(ERR_NONE, -EIO, "");
}
static void class_unknown(void)
{
    failure(77, -EIO, "");
}
static void code_positive(void)
{
    failure(ERR_INPUT, 5, "");
}

static const struct script {
    const char *name;
    void (*run)(void);
} scripts[] = {
    {"answer",           answer              },
    { "read",            read_and_answer     },
    { "read-many",       read_many_and_answer},
    { "objects",         objects             },
    { "last-words",      last_words          },
    { "many-words",      many_words          },
    { "hang",            hang                },
    { "quiet-stderr",    quiet_stderr        },
    { "busy",            busy                },
    { "flood",           flood               },
    { "shout",           shout               },
    { "trickle",         trickle             },
    { "deaf",            deaf                },
    { "close-and-stay",  close_and_stay      },
    { "half-header",     half_header         },
    { "half-payload",    half_payload        },
    { "exit-7",          exit_7              },
    { "answer-and-hang", answer_and_hang     },
    { "bad-upload",      bad_upload          },
    { "huge-object",     huge_object         },
    { "huge-result",     huge_result         },
    { "huge-log",        huge_log            },
    { "huge-failure",    huge_failure        },
    { "huge-read",       huge_read           },
    { "odd-read",        odd_read            },
    { "odd-read-many",   odd_read_many       },
    { "read-none",       read_none           },
    { "huge-read-many",  huge_read_many      },
    { "read-too-many",   read_too_many       },
    { "odd-progress",    odd_progress        },
    { "tiny-object",     tiny_object         },
    { "tiny-failure",    tiny_failure        },
    { "name-beyond",     name_beyond         },
    { "name-too-long",   name_too_long       },
    { "type-0",          type_0              },
    { "type-99",         type_99             },
    { "type-of-parent",  type_of_parent      },
    { "class-none",      class_none          },
    { "class-unknown",   class_unknown       },
    { "code-positive",   code_positive       },
};

int main(int argc, char **argv)
{
    struct proto_header h;
    char buf[256] = "";

    if (argc > 1 && strcmp(argv[1], PROTO_NEST) == 0 && inside_nest() != 0)
        return 0;
    (void)signal(SIGPIPE, SIG_IGN);
    get(&h, sizeof(h));
    if (h.type != PROTO_JOB || h.len >= sizeof(buf))
        return 9;
    get(buf, h.len);
    const char *kind = buf + sizeof(uint64_t), *request = kind + strlen(kind) + 1;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
        if (strcmp(scripts[i].name, request) == 0) {
            scripts[i].run();
            (void)!read(PROTO_FD, buf, 1); /* as a child does: until the parent is done with it */
            return 0;
        }
    return 9;
}
