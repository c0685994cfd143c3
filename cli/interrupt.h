/* interrupt.h - SIGINT, SIGTERM and SIGHUP as a question that can be asked.
 *
 * They are blocked in every thread that is started after interrupt_start(),
 * and taken by a thread of its own. The first asks the run to stop. A second
 * one, or a run that has not stopped a few seconds after the first, ends the
 * process at once: whatever it was at, the job database is whole, and its
 * children die with it.
 */
#ifndef GOPMILL_CLI_INTERRUPT_H
#define GOPMILL_CLI_INTERRUPT_H

struct interrupt;

/* Before any other thread. `last_words` (borrowed) is written to stderr when
 * the process is ended the hard way. `wake` is called on the first signal,
 * from the signal's thread. 0 or -errno. */
int interrupt_start(const char *last_words, struct interrupt **ret);
void interrupt_on_wake(struct interrupt *i, void (*wake)(void *arg), void *arg);

int interrupt_asked(const struct interrupt *i);

/* Signals act as they did before. NULL is a no-op. */
void interrupt_free(struct interrupt *i);

#endif
