#include "digest.h"

#include <libavutil/md5.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdio.h>

static void hex(const uint8_t *p, size_t n, char *ret)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", p[i]);
}

void digest(const uint8_t *buf, size_t len, char ret_sha256[65], char ret_md5[33])
{
    uint8_t sum[32] = { 0 };
    struct AVSHA *sha = av_sha_alloc();

    if (sha) {
        av_sha_init(sha, 256);
        av_sha_update(sha, buf, len);
        av_sha_final(sha, sum);
        av_free(sha);
    }
    hex(sum, 32, ret_sha256);
    av_md5_sum(sum, buf, len);
    hex(sum, 16, ret_md5);
}
