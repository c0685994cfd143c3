/* room.h - a dispatcher whose database's disk is full. Nothing that was
 * accepted is lost by that, and nothing more can be accepted: until there is
 * room again, whoever asks is told so.
 */
#ifndef GOPMILL_DAEMON_ROOM_H
#define GOPMILL_DAEMON_ROOM_H

struct config;
struct err;

/* The file system of the database has to have so much free to go on. */
enum { ROOM_MIB = 32 };

/* Answer every request at cfg->listen by 503 with `why` (/healthz by 200) until
 * there is room, two seconds at least, or `signals` (a signalfd) can be read:
 * 0, or -ECANCELED. Where the address can't be listened at, nothing is answered. */
int room_wait(const struct config *cfg, const struct err *why, int signals);

#endif
