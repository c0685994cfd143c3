/* language.h - the language of a track as playlists name it.
 */
#ifndef GOPMILL_PUBLISH_LANGUAGE_H
#define GOPMILL_PUBLISH_LANGUAGE_H

enum { LANGUAGE_TAG_MAX = 16 };

/* Containers give ISO 639-2 ("ger" or "deu"), some BCP 47 ("pt-BR");
 * playlists want BCP 47 with the shortest code ("de"). Writes the tag and
 * returns 1, or returns 0 and leaves `ret` alone where the language is not
 * known ("", "und", "mis") or isn't the shape of a tag. */
int language_tag(const char *code, char ret[static LANGUAGE_TAG_MAX]);

#endif
