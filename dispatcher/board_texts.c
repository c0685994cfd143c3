/* board_texts.c - what of a job hardly ever changes. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "board_parts.h"

void board_texts_drop(struct board_texts *t)
{
    if (t && atomic_fetch_sub(&t->refs, 1) == 1)
        free(t);
}

struct board_texts *board_texts_take(struct board_texts *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

static int text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static unsigned count_renditions(const struct board_job *j)
{
    unsigned n = 0;

    while (n < BOARD_RENDITIONS && j->renditions[n][0])
        n++;
    return n;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

int board_texts_equal(const struct board_texts *t, const struct board_job *j)
{
    unsigned n = count_renditions(j);

    if (n != t->n_renditions || j->error.cls != t->error_class)
        return 0;
    if (t->error_class != ERR_NONE && !text_equal(t->error, j->error.text))
        return 0;
    if (memcmp(t->rendition_group, j->rendition_group, n) != 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        if (strncmp(t->renditions[i], j->renditions[i], sizeof(t->renditions[i])) != 0)
            return 0;
    return text_equal(t->source, or_empty(j->source)) &&
           text_equal(t->output, or_empty(j->output)) &&
           text_equal(t->ladder_name, or_empty(j->ladder_name)) &&
           text_equal(t->tenant, or_empty(j->tenant)) && text_equal(t->metadata, j->metadata) &&
           text_equal(t->early_error, j->early_error) && text_equal(t->replaced_by, j->replaced_by);
}

/* It is written into answers as it is. */
static const char *checked_metadata(const char *text)
{
    json_t *j = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

    json_decref(j);
    return j ? text : NULL;
}

static const char *store_text(char **at, const char *s)
{
    size_t n = s ? strlen(s) + 1 : 0;
    char *copy = *at;

    if (!s)
        return NULL;
    memcpy(copy, s, n);
    *at += n;
    return copy;
}

struct board_texts *board_texts_new(const struct board_job *j)
{
    const char *metadata = checked_metadata(j->metadata);
    const char *error = j->error.cls != ERR_NONE ? j->error.text : NULL;
    const char *all[] = { j->id,
                          or_empty(j->source),
                          or_empty(j->output),
                          or_empty(j->ladder_name),
                          or_empty(j->tenant),
                          metadata,
                          error,
                          j->early_error,
                          j->replaced_by };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        n += all[i] ? strlen(all[i]) + 1 : 0;
    struct board_texts *t = calloc(1, sizeof(*t) + n);
    if (!t)
        return NULL;
    char *at = t->data;
    atomic_store(&t->refs, 1);
    t->id = store_text(&at, all[0]);
    t->source = store_text(&at, all[1]);
    t->output = store_text(&at, all[2]);
    t->ladder_name = store_text(&at, all[3]);
    t->tenant = store_text(&at, all[4]);
    t->metadata = store_text(&at, all[5]);
    t->error = store_text(&at, all[6]);
    t->early_error = store_text(&at, all[7]);
    t->replaced_by = store_text(&at, all[8]);
    t->error_class = j->error.cls;
    t->n_renditions = count_renditions(j);
    for (unsigned i = 0; i < t->n_renditions; i++) {
        memcpy(t->renditions[i], j->renditions[i], sizeof(t->renditions[i]));
        t->renditions[i][sizeof(t->renditions[i]) - 1] = '\0';
        t->rendition_group[i] = j->rendition_group[i];
    }
    return t;
}
