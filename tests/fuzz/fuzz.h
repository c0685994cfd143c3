/* fuzz.h - what every fuzz target here has: the function that libFuzzer
 * calls with each input, and the input as text.
 *
 * A target ends the process (a sanitizer's finding, or fuzz_must()) where
 * the code under test is wrong; it returns 0 for any input otherwise.
 */
#ifndef GOPMILL_FUZZ_FUZZ_H
#define GOPMILL_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test; not assert(), which may be compiled out. */
#define fuzz_must(promise)                                                              \
    do {                                                                                \
        if (!(promise)) {                                                               \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* A copy of exactly `size` bytes and a NUL, so that a read past the end is
 * found. The caller's. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *s = malloc(size + 1);

    fuzz_must(s);
    if (size > 0)
        memcpy(s, data, size);
    s[size] = '\0';
    return s;
}

#endif
