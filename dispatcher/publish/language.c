#include "language.h"

#include <stddef.h>
#include <string.h>

/* ISO 639-2 (bibliographic and terminological) followed by ISO 639-1, six
 * characters an entry, for the languages that have both. */
static const char codes[] =
    "aaraa abkab afraf akaak albsq amham araar argan armhy asmas avaav aveae aymay azeaz bakba bambm "
    "baqeu belbe benbn bisbi bodbo bosbs brebr bulbg burmy catca cescs chach chece chizh chucu chvcv "
    "corkw cosco crecr cymcy czecs danda deude divdv dutnl dzodz ellel engen epoeo estet euseu eweee "
    "faofo fasfa fijfj finfi frafr frefr fryfy fulff geoka gerde glagd glega glggl glvgv greel grngn "
    "gujgu hatht hauha hebhe herhz hinhi hmoho hrvhr hunhu hyehy iboig iceis idoio iiiii ikuiu ileie "
    "inaia indid ipkik islis itait javjv jpnja kalkl kankn kasks katka kaukr kazkk khmkm kikki kinrw "
    "kirky komkv konkg korko kuakj kurku laolo latla lavlv limli linln litlt ltzlb lublu luglg macmk "
    "mahmh malml maomi marmr mayms mkdmk mlgmg mltmt monmn mrimi msams myamy nauna navnv nblnr ndend "
    "ndong nepne nldnl nnonn nobnb norno nyany ocioc ojioj orior ormom ossos panpa perfa plipi polpl "
    "porpt pusps quequ rohrm ronro rumro runrn rusru sagsg sansa sinsi slksk slosk slvsl smese smosm "
    "snasn sndsd somso sotst spaes sqisq srdsc srpsr sswss sunsu swasw swesv tahty tamta tattt telte "
    "tgktg tgltl thath tibbo tirti tonto tsntn tsots tuktk turtr twitw uigug ukruk urdur uzbuz venve "
    "vievi volvo welcy wlnwa wolwo xhoxh yidyi yoryo zhaza zhozh zulzu ";

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Subtags of 1 to 8 letters or digits, the first one of 2 or 3 letters. */
static int well_formed(const char *code, size_t *ret_primary)
{
    size_t run = 0, primary = 0;
    for (size_t i = 0;; i++) {
        char c = code[i];
        if (is_letter(c) || (primary && c >= '0' && c <= '9')) {
            if (++run > 8)
                return 0;
            continue;
        }
        if ((c != '-' && c != '\0') || run == 0)
            return 0;
        if (!primary)
            primary = run;
        if (c == '\0')
            break;
        run = 0;
    }
    *ret_primary = primary;
    return primary == 2 || primary == 3;
}

static const char *shortest(const char *primary)
{
    for (const char *p = codes; *p; p += 6)
        if (memcmp(p, primary, 3) == 0)
            return p + 3;
    return NULL;
}

int language_tag(const char *code, char ret[static LANGUAGE_TAG_MAX])
{
    size_t n = 0, len = strlen(code);
    if (len >= LANGUAGE_TAG_MAX || !well_formed(code, &n))
        return 0;

    char primary[4] = { 0 };
    for (size_t i = 0; i < n; i++)
        primary[i] = lower(code[i]);
    if (strcmp(primary, "und") == 0 || strcmp(primary, "mis") == 0)
        return 0;

    const char *two = n == 3 ? shortest(primary) : NULL;
    size_t n_out = two ? 2 : n;
    memcpy(ret, two ? two : primary, n_out);
    memcpy(ret + n_out, code + n, len - n + 1);
    return 1;
}
