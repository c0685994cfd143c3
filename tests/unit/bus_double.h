/* bus_double.h - a broker in this process with a connection for each of its
 * users, which can be lost: over queue_memory_new(), which has but one.
 * Messages are shared; events go to every handle that listens to them.
 */
#ifndef GOPMILL_TESTS_BUS_DOUBLE_H
#define GOPMILL_TESTS_BUS_DOUBLE_H

#include "common/queue/queue.h"

struct bus;

struct bus *bus_new(void);
void bus_free(struct bus *b); /* its handles are freed with it: nobody may be inside */

/* A user's own connection; it belongs to the bus. stop() and close() are its own. */
struct queue *bus_connect(struct bus *b);

/* The connection is lost and made again: what was delivered over it and not
 * settled is delivered again, to anybody; acks of it are -ESTALE. */
void bus_lose(struct queue *handle);

/* It isn't connected (yet): the events that it sends are lost. */
void bus_away(struct queue *handle, int away);

#endif
