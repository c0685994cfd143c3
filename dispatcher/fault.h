/* fault.h - moments at which a test has the dispatcher die.
 *
 * Only in builds with -Dfaults=true: with GOPMILL_FAULT="name:N" in the
 * environment the process kills itself (SIGKILL) at the Nth passing, from 1,
 * of the point of that name; a name alone means the first. Any thread.
 *
 *   commit-before, commit-after    a transaction that has something in it
 *   publish-before, publish-after  tasks given to the queue, confirmed
 *   ack-before, ack-after          a message acked whose effect is committed
 *   package-before, package-after  the publisher is given a finished job's work; its outcome is
 *                                  taken, but not yet committed
 *   early-before, early-after      the same for early playlists
 *   early-media                    their media playlists are stored, the master isn't
 */
#ifndef GOPMILL_DISPATCHER_FAULT_H
#define GOPMILL_DISPATCHER_FAULT_H

#ifdef GOPMILL_FAULTS
void fault_point(const char *name);
#else
static inline void fault_point(const char *name)
{
    (void)name;
}
#endif

#endif
