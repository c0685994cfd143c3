/* The tables of MPEG-TS, of any bytes. */
#include "fuzz.h"

#include "common/media/pmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pmt pmt;

    pmt_read(data, size, &pmt);
    fuzz_must(pmt.n <= PMT_STREAMS_MAX);
    for (size_t i = 0; i < pmt.n; i++)
        fuzz_must(pmt_find(&pmt, pmt.streams[i].pid) == &pmt.streams[i] &&
                  pmt.streams[i].format[4] == 0);
    return 0;
}
