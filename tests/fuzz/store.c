/* Keys and URLs from outside: no accepted key climbs out of a store. */
#include "fuzz.h"

#include "common/base/err.h"
#include "common/store/store.h"

static int climbs(const char *key)
{
    for (const char *p = key;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return 1;
        p += n;
        if (*p == '\0')
            return 0;
    }
}

static void check_url(const char *url)
{
    struct store *s = NULL;
    struct err err = { 0 };
    char *key = NULL;
    int r = store_open_object(NULL, url, &s, &key, &err);

    fuzz_must(r == 0 || (r < 0 && err.text[0]));
    if (r == 0)
        fuzz_must(!climbs(key) && !strchr(key, '/'));
    store_free(s);
    free(key);

    s = NULL;
    r = store_open_prefix(NULL, url, 0, &s, &err);
    fuzz_must(r == 0 || (r < 0 && err.text[0]));
    store_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct err err = { 0 };
    int r = store_key_check(text, &err);

    fuzz_must(r < 0 ? err.text[0] != 0 : !climbs(text));
    check_url(text);
    char *url = text[0] ? store_file_url(text) : NULL;
    if (url)
        fuzz_must(strncmp(url, "file:///", 8) == 0);
    free(url);
    free(text);
    return 0;
}
