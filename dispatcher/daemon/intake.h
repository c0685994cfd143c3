/* intake.h - takes jobs from the queues gopmill.jobs and gopmill.uploads.
 *
 * Threads of its own wait for messages, have each admitted as one that came
 * by HTTP (admit.h), and ack it once the dispatcher has it in its database. A
 * message that nobody can use is rejected with the reason, which takes it to
 * gopmill.dead; where the dispatcher is short of something for a while, the
 * message waits for it here.
 */
#ifndef GOPMILL_DAEMON_INTAKE_H
#define GOPMILL_DAEMON_INTAKE_H

#include <stdint.h>

struct admit;
struct dispatcher;
struct err;
struct intake;
struct queue;
struct upload_rules;

struct intake_config { /* all borrowed */
    struct queue *queue;
    struct dispatcher *dispatcher;
    struct admit *admit;
    const struct upload_rules *uploads; /* NULL or empty: the queue of uploads is let alone */
    unsigned threads;                   /* for jobs; 0: 4. They share commits. */
};

struct intake_counts {
    uint64_t accepted, rejected;
};

int intake_start(const struct intake_config *cfg, struct intake **ret, struct err *err);
void intake_counts(const struct intake *i, struct intake_counts *ret); /* any thread */

/* Ends its threads: what is at hand is finished or goes back to the queue.
 * The dispatcher has to go on stepping meanwhile. NULL is a no-op. */
void intake_free(struct intake *i);

#endif
