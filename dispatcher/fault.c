/* Only in builds with -Dfaults=true. */
#include "fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef GOPMILL_FAULTS
void fault_point(const char *name)
{
    static atomic_ulong passed; /* one point a process is enough */
    const char *what = getenv("GOPMILL_FAULT");
    size_t n = strlen(name);

    if (!what || strncmp(what, name, n) != 0 || (what[n] && what[n] != ':'))
        return;
    unsigned long at = what[n] ? strtoul(what + n + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == at)
        (void)kill(getpid(), SIGKILL);
}
#else
typedef int fault_nothing; /* a file of C must have something in it */
#endif
