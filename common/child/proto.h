/* proto.h - the messages between a child and its parent, on a stream socket.
 *
 * Each is a header and `len` bytes. Numbers are in host order: both ends are
 * one machine and one build. The child is not trusted: the parent checks
 * every length before it allocates.
 *
 *   parent -> child                      child -> parent
 *   JOB   u64 source size, kind\0,       READ      u64 offset, u32 length
 *         request                        OBJECT    u32 name length, name, bytes
 *   DATA  the bytes read                 READ_MANY a few READs in one message
 *   (of READ_MANY: u32 for each READ,    PROGRESS  u64
 *   so many bytes; then all the bytes)   LOG       text
 *                                        RESULT    JSON text       } the last
 *                                        FAILURE   u32 class, i32  } message
 *                                                  errno, text     }
 * After its last message the child waits for the end of the stream, so that
 * the parent can still look at it in /proc.
 */
#ifndef GOPMILL_CHILD_PROTO_H
#define GOPMILL_CHILD_PROTO_H

#include <stddef.h>
#include <stdint.h>

enum proto_type {
    PROTO_JOB = 1,
    PROTO_DATA,
    PROTO_READ,
    PROTO_OBJECT,
    PROTO_PROGRESS,
    PROTO_LOG,
    PROTO_RESULT,
    PROTO_FAILURE,
    PROTO_READ_MANY,
};

struct proto_header {
    uint32_t type, len;
};

enum {
    PROTO_FD = 3,               /* the child's end */
    PROTO_READ_MAX = 4 << 20,   /* bytes in one READ, or in all of a READ_MANY */
    PROTO_MANY_MAX = 256,       /* READs in a READ_MANY */
    PROTO_OBJECT_MAX = 1 << 29, /* bytes in one OBJECT: a 60 s segment at 70 Mb/s */
    PROTO_JSON_MAX = 64 << 20,  /* a plan of 10 h with irregular timestamps */
    PROTO_NAME_MAX = 512,
    PROTO_LOG_MAX = 4096,
};

/* The argument that makes a gopmill-child a nest (nest.h). Its fd PROTO_FD is a socket of packets:
 * each that comes is an int, whether the child shall lead a session, and two files, its
 * PROTO_FD and 2; each that goes a child's pid, or 0 where there is none. */
#define PROTO_NEST "--nest"

struct proto_read {
    uint64_t off;
    uint32_t len;
} __attribute__((packed));

#endif
