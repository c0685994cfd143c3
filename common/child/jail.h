/* jail.h - from here on this process can compute and talk over what it has
 * open, and nothing else: no new files, sockets, processes or privileges. */
#ifndef GOPMILL_CHILD_JAIL_H
#define GOPMILL_CHILD_JAIL_H

struct err;

/* Enter, for good. Threads started later are inside as well. A call that is
 * not allowed fails with EPERM, since codec libraries ask for things (the
 * number of processors, say) that they can live without; those that only an
 * attacker would make end the process. ERR_INTERNAL where the kernel
 * can't do it. In builds with sanitizers, which need more of the system,
 * only limits and privileges are set. */
int jail_enter(struct err *err);

#endif
