/* daemon.h - gopmill-dispatcher put together: lock, database, broker, engine,
 * API, intake and webhooks, from start to an orderly end.
 *
 * The engine has a thread of its own. The caller's waits for signals: SIGTERM
 * or SIGINT end everything in order (no new connection, what is at hand is
 * finished, then the engine stops), a second one, or ten seconds, at once:
 * whatever it was at, the database is whole.
 *
 *   running ─(the database's disk is full)─▶ all is taken down, 503 to whoever asks (room.h)
 *      ▲                                          │ there is room
 *      └──────────────────────────────────────────┘
 */
#ifndef GOPMILL_DAEMON_DAEMON_H
#define GOPMILL_DAEMON_DAEMON_H

struct config;
struct err;

/* From before the first thread until the end. 0 after a signal; negative
 * where it can't start or go on: ERR_USAGE where a setting is wrong. */
int daemon_run(const struct config *cfg, struct err *err);

/* Hold `<db>.lock` until the process ends, so that no two dispatchers use
 * one database. -EBUSY with ERR_RESOURCE: another has it. *ret_fd: close it last. */
int daemon_lock(const char *db, int *ret_fd, struct err *err);

#endif
