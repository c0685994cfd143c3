#include "track.h"

#include <stdio.h>
#include <string.h>

static const struct audio_info *info_of(const struct plan *p, size_t track)
{
    const struct audio_info *a = media_audio(&p->info, track);
    return a ? a : &p->info.audio;
}

static const char *purpose_of(const struct audio_info *a)
{
    if (a->roles & AUDIO_DESCRIPTION)
        return "description";
    return a->roles & AUDIO_COMMENTARY ? "commentary" : NULL;
}

/* A quoted string of a playlist can't hold a quote, XML no U+FFFE and U+FFFF
 * (they become U+FFFD), and neither control characters. */
static void clean(char *s)
{
    for (; *s; s++)
        if (*s == '"')
            *s = '\'';
        else if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = ' ';
        else if (strncmp(s, "\xef\xbf\xbe", 3) == 0 || strncmp(s, "\xef\xbf\xbf", 3) == 0)
            s[2] = '\xbd';
}

/* What it would be called if it were alone. */
static void own_name(const struct plan *p, size_t track, char ret[TRACK_NAME_MAX])
{
    const struct audio_info *a = info_of(p, track);
    const char *purpose = purpose_of(a);
    char lang[LANGUAGE_TAG_MAX];

    if (a->title[0])
        (void)snprintf(ret, TRACK_NAME_MAX, "%s", a->title);
    else if (language_tag(a->language, lang))
        (void)snprintf(ret, TRACK_NAME_MAX, "%s%s%s%s", lang, purpose ? " (" : "",
                       purpose ? purpose : "", purpose ? ")" : "");
    else if (purpose)
        (void)snprintf(ret, TRACK_NAME_MAX, "%s", purpose);
    else if (track == 0)
        (void)snprintf(ret, TRACK_NAME_MAX, "Main");
    else
        (void)snprintf(ret, TRACK_NAME_MAX, "Track %zu", track + 1);
    clean(ret);
}

static int is_taken(char names[][TRACK_NAME_MAX], size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return 1;
    return 0;
}

/* A number goes behind a name that an earlier track has. */
static void name_of(const struct plan *p, size_t track, char ret[TRACK_NAME_MAX])
{
    char names[AUDIO_TRACKS_MAX][TRACK_NAME_MAX];

    for (size_t t = 0; t <= track && t < AUDIO_TRACKS_MAX; t++) {
        char own[TRACK_NAME_MAX];
        own_name(p, t, own);
        memcpy(names[t], own, sizeof(own));
        for (unsigned n = 2; is_taken(names, t, names[t]); n++)
            (void)snprintf(names[t], TRACK_NAME_MAX, "%.160s %u", own, n);
    }
    memcpy(ret, names[track < AUDIO_TRACKS_MAX ? track : 0], TRACK_NAME_MAX);
}

static const char *role_of(const struct audio_info *a, size_t track)
{
    if (track == 0)
        return "main";
    if (a->roles & AUDIO_DESCRIPTION)
        return "description";
    if (a->roles & AUDIO_COMMENTARY)
        return "commentary";
    return a->roles & AUDIO_DUB ? "dub" : "alternate";
}

/* RFC 8216bis, 4.4.6.1.1: those that may be selected unasked differ in
 * language or characteristics. */
static int may_autoselect(const struct plan *p, size_t track)
{
    const struct audio_info *a = info_of(p, track);
    char lang[LANGUAGE_TAG_MAX] = "";

    if (track == 0)
        return 1;
    if (a->roles & AUDIO_COMMENTARY)
        return 0;
    (void)language_tag(a->language, lang);
    for (size_t t = 0; t < track; t++) {
        const struct audio_info *b = info_of(p, t);
        char other[LANGUAGE_TAG_MAX] = "";
        (void)language_tag(b->language, other);
        if (strcmp(lang, other) == 0 &&
            (a->roles & AUDIO_DESCRIPTION) == (b->roles & AUDIO_DESCRIPTION))
            return 0;
    }
    return 1;
}

void track_label(const struct plan *p, size_t track, struct track_label *ret)
{
    const struct audio_info *a = info_of(p, track);

    *ret = (struct track_label){
        .is_default = track == 0,
        .autoselect = may_autoselect(p, track),
        .describes = (a->roles & AUDIO_DESCRIPTION) != 0,
        .role = role_of(a, track),
    };
    (void)snprintf(ret->title, sizeof(ret->title), "%s", a->title);
    clean(ret->title);
    (void)language_tag(a->language, ret->language);
    name_of(p, track, ret->name);
}

int track_same_group(const struct package_rendition *first, const struct package_rendition *r)
{
    return r->rendition->kind == MEDIA_AUDIO &&
           strcmp(rendition_rung(first->rendition), rendition_rung(r->rendition)) == 0;
}

int track_leads(const struct package *p, size_t i)
{
    for (size_t k = p->n_video; k < i; k++)
        if (track_same_group(&p->renditions[k], &p->renditions[i]))
            return 0;
    return 1;
}
