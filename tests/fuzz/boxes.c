/* The worker's readers of what a muxer wrote. */
#include "fuzz.h"

#include "common/base/err.h"
#include "worker/codecs.h"
#include "worker/fragment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fragment f;
    struct err err = { 0 };
    const uint8_t *p;
    char codecs[32];
    size_t n;

    if (fragment_read(data, size, &f, &err) == 0)
        fuzz_must(f.first_end <= size);
    if (codecs_of_init(data, size, codecs, sizeof(codecs), &err) == 0)
        fuzz_must(strlen(codecs) < sizeof(codecs));
    if (box_find(data, size, "moov/trak", &p, &n) == 0)
        fuzz_must(p >= data && n <= size && (size_t)(p - data) <= size - n);
    return 0;
}
