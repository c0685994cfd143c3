/* Fragments of MP4 that come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/media/overlap.h"

enum { PACKETS = 8 };

static const struct row {
    const char *name;
    int64_t dts[PACKETS];
    uint64_t hidden;
    int first, last; /* packets that are hidden */
} rows[] = {
    {"decode times that rise",            { 0, 1, 2, 3, 4, 5, 6, 7 },                 0, 0, -1},
    { "a file joined to itself",          { 0, 1, 2, 3, 0, 1, 2, 3 },                 4, 4, 7 },
    { "a longer one joined to a shorter", { 0, 1, 2, 0, 1, 2, 3, 4 },                 3, 3, 5 },
    { "one fragment twice",               { 0, 1, 2, 3, 2, 3, 4, 5 },                 2, 4, 5 },
    { "packets without times",            { 0, 1, 2, INT64_MIN, INT64_MIN, 3, 4, 5 }, 0, 0, -1},
};

static void what_is_over_when_it_comes_is_hidden(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        struct index_packet packets[PACKETS];
        struct media_index idx = { packets, PACKETS };
        for (int i = 0; i < PACKETS; i++)
            packets[i] = (struct index_packet){ .dts = rows[k].dts[i], .flags = PACKET_KEY };
        uint64_t n = overlap_hide(&idx);
        if (n != rows[k].hidden)
            fail_msg("%s: %llu", rows[k].name, (unsigned long long)n);
        for (int i = 0; i < PACKETS; i++)
            if (packets[i].flags !=
                (i >= rows[k].first && i <= rows[k].last ? PACKET_HIDDEN : PACKET_KEY))
                fail_msg("%s: packet %d", rows[k].name, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_over_when_it_comes_is_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
