#include "machine.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../common/base/cleanup.h"

/* Of a group's tree: version 2 has one, version 1 has one a controller. */
struct tree {
    const char *root;  /* before /sys */
    const char *mount; /* below /sys/fs/cgroup: "", "/memory" */
    char group[512];   /* ours, "/a/b"; "" for the root */
};

static FILE *open_file(const char *root, const char *path)
{
    char full[PATH_MAX];

    if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
        return NULL;
    return fopen(full, "re");
}

/* The value of the first line that starts with `key`; 0: there is one. */
static int read_key(const char *root, const char *path, const char *key, uint64_t *ret)
{
    _cleanup_file_ FILE *f = open_file(root, path);
    char line[256];

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0) {
            char *end, *text = line + strlen(key);
            uint64_t v = strtoull(text, &end, 10);
            if (end == text)
                return -EINVAL; /* "max" */
            *ret = v;
            return 0;
        }
    return -ENOENT;
}

static int group_key(const struct tree *t, const char *file, const char *key, uint64_t *ret)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/%s", t->mount, t->group, file);
    return read_key(t->root, path, key, ret);
}

/* The group one above; 0 at the root. */
static int group_up(struct tree *t)
{
    char *slash = strrchr(t->group, '/');

    if (!slash)
        return 0;
    *slash = '\0';
    return 1;
}

/* The path of our group in /proc/self/cgroup; `controller` "" is version 2.
 * 0 where we are in such a tree. */
static int find_group(const char *root, const char *controller, char *ret, size_t size)
{
    _cleanup_file_ FILE *f = open_file(root, "/proc/self/cgroup");
    char line[1024];

    while (f && fgets(line, sizeof(line), f)) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        int found = !controller[0] && !names[1];
        for (char *save, *n = strtok_r(names + 1, ",", &save); n; n = strtok_r(NULL, ",", &save))
            found |= strcmp(n, controller) == 0;
        if (!found)
            continue;
        (void)snprintf(ret, size, "%s", strcmp(path, "/") == 0 ? "" : path);
        return 0;
    }
    return -ENOENT;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- memory ---- */

struct memory_files {
    const char *limit, *usage, *cache_key; /* the key in memory.stat of what is easily dropped */
};

static void memory_of_group(const struct tree *t, const struct memory_files *f, struct machine *m)
{
    uint64_t limit, usage, cache = 0;

    /* Version 1 says "no limit" with a number beyond every machine. */
    if (group_key(t, f->limit, "", &limit) < 0 || limit >= m->memory_bytes)
        return;
    m->memory_bytes = limit;
    if (group_key(t, f->usage, "", &usage) < 0)
        return;
    (void)group_key(t, "memory.stat", f->cache_key, &cache);
    usage -= least(usage, cache);
    m->memory_free = least(m->memory_free, limit - least(limit, usage));
}

static void memory_look(const char *root, struct machine *m)
{
    static const struct {
        const char *controller, *mount;
        struct memory_files files;
    } kinds[] = {
        {"",        "", { "memory.max", "memory.current", "inactive_file " }                        },
        { "memory",
         "/memory",     { "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file " }},
    };
    uint64_t kb;

    m->memory_bytes = m->memory_free = 0;
    if (read_key(root, "/proc/meminfo", "MemTotal:", &kb) == 0)
        m->memory_bytes = kb * 1024;
    if (read_key(root, "/proc/meminfo", "MemAvailable:", &kb) == 0)
        m->memory_free = kb * 1024;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct tree t = { .root = root, .mount = kinds[i].mount };
        if (find_group(root, kinds[i].controller, t.group, sizeof(t.group)) < 0)
            continue;
        do
            memory_of_group(&t, &kinds[i].files, m);
        while (group_up(&t));
    }
}

/* ---- processors ---- */

/* Processors' worth of time that the group gets; 0: no limit. */
static double quota_v2(const struct tree *t)
{
    char path[PATH_MAX];
    double quota, period;

    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/cpu.max", t->mount, t->group);
    _cleanup_file_ FILE *f = open_file(t->root, path);
    /* NOLINTNEXTLINE(cert-err34-c): a kernel's file; what isn't a number is "max" */
    return f && fscanf(f, "%lf %lf", &quota, &period) == 2 && period > 0 ? quota / period : 0;
}

static double quota_v1(const struct tree *t)
{
    uint64_t quota, period;

    /* "-1" is no limit, and huge as an unsigned number. */
    if (group_key(t, "cpu.cfs_quota_us", "", &quota) < 0 ||
        group_key(t, "cpu.cfs_period_us", "", &period) < 0 || period == 0 || quota > INT64_MAX)
        return 0;
    return (double)quota / (double)period;
}

static void quotas(struct tree *t, double (*quota)(const struct tree *t), double *cpus)
{
    do {
        double q = quota(t);
        if (q > 0 && q < *cpus)
            *cpus = q;
    } while (group_up(t));
}

static double cpus_look(const char *root)
{
    struct tree v2 = { .root = root, .mount = "" }, v1 = { .root = root, .mount = "/cpu" };
    cpu_set_t set;
    double cpus = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        cpus = CPU_COUNT(&set);
    if (find_group(root, "", v2.group, sizeof(v2.group)) == 0)
        quotas(&v2, quota_v2, &cpus);
    if (find_group(root, "cpu", v1.group, sizeof(v1.group)) == 0)
        quotas(&v1, quota_v1, &cpus);
    return cpus;
}

void machine_look(const char *root, struct machine *ret)
{
    memory_look(root, ret);
    ret->cpus = cpus_look(root);
}

int machine_disk_free(const char *path, uint64_t *ret)
{
    struct statvfs st;

    if (statvfs(path, &st) < 0)
        return -errno;
    *ret = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}
