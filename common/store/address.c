/* address.c - which addresses a user's URL must not lead to. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "http.h"

struct net4 {
    uint32_t net;
    int bits;
};

/* RFC 6890 and its successors: all but what is routed on the internet. */
static const struct net4 nets4[] = {
    {0x00000000,  8 }, /* this network */
    { 0x0a000000, 8 }, /* private */
    { 0x64400000, 10}, /* shared by carriers */
    { 0x7f000000, 8 }, /* loopback */
    { 0xa9fe0000, 16}, /* link-local, metadata services */
    { 0xac100000, 12}, /* private */
    { 0xc0000000, 24}, /* protocol assignments */
    { 0xc0000200, 24}, /* documentation */
    { 0xc0a80000, 16}, /* private */
    { 0xc6120000, 15}, /* benchmarks */
    { 0xc6336400, 24}, /* documentation */
    { 0xcb007100, 24}, /* documentation */
    { 0xe0000000, 4 }, /* multicast */
    { 0xf0000000, 4 }, /* reserved, broadcast */
};

static int private4(uint32_t addr)
{
    for (size_t i = 0; i < sizeof(nets4) / sizeof(nets4[0]); i++)
        if ((addr ^ nets4[i].net) >> (32 - nets4[i].bits) == 0)
            return 1;
    return 0;
}

static uint32_t read32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int private6(const unsigned char a[16])
{
    static const unsigned char zero[12];
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

    /* An IPv4 address inside, by whichever way. */
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return private4(read32(a + 12));
    if (a[0] == 0x20 && a[1] == 0x02)
        return private4(read32(a + 2));
    if (memcmp(a, zero, 12) == 0)
        return 1;
    if (memcmp(a, "\x20\x01\x0d\xb8", 4) == 0 || memcmp(a, "\x20\x01\0\0", 4) == 0)
        return 1;                 /* documentation; Teredo */
    return (a[0] & 0xe0) != 0x20; /* only 2000::/3 is global unicast */
}

int address_is_private(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        return private4(ntohl(in.sin_addr.s_addr));
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        return private6(in6.sin6_addr.s6_addr);
    }
    return 1;
}
