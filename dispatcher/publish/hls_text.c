#include "hls_text.h"

#include <string.h>

#include "language.h"

enum { NAME_MAX_BYTES = 160 };

#define SDH                                           \
    "public.accessibility.transcribes-spoken-dialog," \
    "public.accessibility.describes-music-and-sound"

static int is_text(const struct package_rendition *r)
{
    return r->rendition->kind == MEDIA_TEXT;
}

int hls_has_text(const struct package *p)
{
    for (size_t i = 0; i < p->n_extras; i++)
        if (is_text(&p->extras[i]))
            return 1;
    return 0;
}

/* A quoted string has neither quotes nor line ends (RFC 8216bis, 4.2). */
static void base_name(const struct text_info *t, char ret[static NAME_MAX_BYTES])
{
    char lang[LANGUAGE_TAG_MAX] = "Subtitles";

    (void)language_tag(t->language, lang);
    if (t->title[0])
        (void)snprintf(ret, NAME_MAX_BYTES, "%s", t->title);
    else
        (void)snprintf(ret, NAME_MAX_BYTES, "%s%s%s", lang, t->forced ? " (forced)" : "",
                       t->hearing_impaired ? " (SDH)" : "");
    for (char *s = ret; *s; s++)
        if (*s == '"' || (unsigned char)*s < ' ' || *s == 0x7f)
            *s = *s == '"' ? '\'' : ' ';
}

static void put_name(FILE *f, const struct package *p, size_t at)
{
    char own[NAME_MAX_BYTES], other[NAME_MAX_BYTES];
    unsigned same = 1;

    base_name(&p->extras[at].rendition->text, own);
    for (size_t i = 0; i < at; i++) {
        if (!is_text(&p->extras[i]))
            continue;
        base_name(&p->extras[i].rendition->text, other);
        same += strcmp(own, other) == 0;
    }
    fprintf(f, ",NAME=\"%s", own);
    if (same > 1)
        fprintf(f, " #%u", same);
    fputc('"', f);
}

static int alike(const struct text_info *a, const struct text_info *b)
{
    char x[LANGUAGE_TAG_MAX] = "", y[LANGUAGE_TAG_MAX] = "";

    (void)language_tag(a->language, x);
    (void)language_tag(b->language, y);
    return strcmp(x, y) == 0 && a->forced == b->forced &&
           a->hearing_impaired == b->hearing_impaired;
}

/* Whether it is the first of its kind. */
static int is_first(const struct package *p, size_t at,
                    int (*same)(const struct text_info *a, const struct text_info *b))
{
    for (size_t i = 0; i < at; i++)
        if (is_text(&p->extras[i]) &&
            same(&p->extras[i].rendition->text, &p->extras[at].rendition->text))
            return 0;
    return 1;
}

static int both_default(const struct text_info *a, const struct text_info *b)
{
    return a->is_default && b->is_default;
}

static void put_entry(FILE *f, const struct package *p, size_t at)
{
    const struct rendition *r = p->extras[at].rendition;
    const struct text_info *t = &r->text;
    char lang[LANGUAGE_TAG_MAX];
    int is_default = t->is_default && is_first(p, at, both_default);

    fputs("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"" HLS_TEXT_GROUP "\"", f);
    put_name(f, p, at);
    if (language_tag(t->language, lang))
        fprintf(f, ",LANGUAGE=\"%s\"", lang);
    fprintf(f, ",DEFAULT=%s,AUTOSELECT=%s", is_default ? "YES" : "NO",
            is_default || is_first(p, at, alike) ? "YES" : "NO");
    fprintf(f, ",FORCED=%s", t->forced ? "YES" : "NO");
    if (t->hearing_impaired)
        fputs(",CHARACTERISTICS=\"" SDH "\"", f);
    fprintf(f, ",URI=\"%stext/%s/index.m3u8\"\n", p->folder, r->name);
}

void hls_put_text_group(FILE *f, const struct package *p)
{
    for (size_t i = 0; i < p->n_extras; i++)
        if (is_text(&p->extras[i]))
            put_entry(f, p, i);
}

struct package_rate hls_text_rate(const struct package *p)
{
    struct package_rate most = { 0 };

    for (size_t i = 0; i < p->n_extras; i++) {
        const struct package_rate *r = &p->extras[i].rate;
        if (!is_text(&p->extras[i]))
            continue;
        most.peak = r->peak > most.peak ? r->peak : most.peak;
        most.average = r->average > most.average ? r->average : most.average;
    }
    return most;
}
