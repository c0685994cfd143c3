/* onetask - runs one task in a gopmill-child, without a farm around it.
 *
 *   onetask SOURCE TASK.json FOLDER
 *
 * Serves the child from the file SOURCE and stores what it hands out in
 * FOLDER, '/' in names as '_'; its answer as "answer.json".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/child/child.h"

struct ends {
    int source, folder;
};

static int store(int folder, const char *name, const void *buf, size_t len)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    int r = fd < 0 || write(fd, buf, len) != (ssize_t)len ? -errno : 0;

    if (fd >= 0)
        (void)close(fd);
    return r;
}

static int on_read(void *arg, uint64_t off, void *buf, size_t len, size_t *ret_n, struct err *err)
{
    const struct ends *e = arg;
    ssize_t n = pread(e->source, buf, len, (off_t)off);

    if (n < 0)
        return err_set(err, -errno, ERR_STORAGE, "the source can't be read");
    *ret_n = (size_t)n;
    return 0;
}

static int on_object(void *arg, const char *name, const void *buf, size_t len, struct err *err)
{
    const struct ends *e = arg;
    char flat[600];

    (void)snprintf(flat, sizeof(flat), "%s", name);
    for (char *p = flat; *p; p++)
        *p = *p == '/' ? '_' : *p;
    int r = store(e->folder, flat, buf, len);
    return r < 0 ? err_set(err, r, ERR_STORAGE, "%s can't be stored", flat) : 0;
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;

    if (!f || getdelim(&text, &room, '\0', f) < 0) {
        free(text);
        text = NULL;
    }
    if (f)
        (void)fclose(f);
    return text;
}

static int run(struct ends *e, const char *task, uint64_t size, struct err *err)
{
    const struct child_handler h = { .arg = e, .read = on_read, .object = on_object };
    const struct child_limits limits = { .stall_ms = 60000, .deadline_ms = 300000 };
    struct child *c = NULL;
    char *answer = NULL;
    int r = child_start(&c, err);

    if (r == 0)
        r = child_run(c, "encode", task, size, &h, &limits, &answer, NULL, err);
    if (r == 0 && store(e->folder, "answer.json", answer, strlen(answer)) < 0)
        r = err_set(err, -EIO, ERR_STORAGE, "the answer can't be stored");
    child_free(c);
    free(answer);
    return r;
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    struct stat st;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: onetask SOURCE TASK.json FOLDER\n");
        return 2;
    }
    struct ends e = { open(argv[1], O_RDONLY), open(argv[3], O_RDONLY | O_DIRECTORY) };
    char *task = slurp(argv[2]);
    int r = -EIO;
    if (e.source < 0 || e.folder < 0 || !task || fstat(e.source, &st) < 0)
        (void)err_set(&err, r, ERR_USAGE, "a file can't be opened");
    else
        r = run(&e, task, (uint64_t)st.st_size, &err);
    free(task);
    if (r < 0)
        (void)fprintf(stderr, "onetask: %s\n", err.text);
    return r < 0;
}
