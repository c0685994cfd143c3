/* machine.h - how much of this machine a process may use, by whichever limit
 * is the narrowest: the machine's own, the affinity mask, or that of its
 * control group (v1 or v2, its parents included). Any thread.
 */
#ifndef GOPMILL_WORKER_MACHINE_H
#define GOPMILL_WORKER_MACHINE_H

#include <stdint.h>

struct machine {
    uint64_t memory_bytes; /* that there is; 0 where nobody says */
    uint64_t memory_free;  /* that can be had without swapping: caches count as free */
    double cpus;           /* processors, or a fraction of one; > 0 */
};

/* `root` is put before /proc and /sys: "" but in tests. */
void machine_look(const char *root, struct machine *ret);

/* Bytes that an unprivileged process may still write to the file system that
 * holds `path`. 0 or -errno. */
int machine_disk_free(const char *path, uint64_t *ret);

#endif
