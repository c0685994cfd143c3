/* A scripted-child whose nest can't fork: as on a machine that has no room for one more
 * process. Linked with --wrap=syscall. */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

long __real_syscall(long number, ...); /* NOLINT(bugprone-reserved-identifier) */
long __wrap_syscall(long number, ...); /* NOLINT(bugprone-reserved-identifier) */

long __wrap_syscall(long number, ...) /* NOLINT(bugprone-reserved-identifier) */
{
    long a[6];
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long); /* as glibc does: what isn't an argument isn't looked at */
    va_end(ap);
    if (number == SYS_clone) {
        errno = EAGAIN;
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
