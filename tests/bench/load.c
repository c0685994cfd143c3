/* load.c - asks an HTTP server at a steady rate, whatever it answers, and
 * tells how long answers took, counted from the moment at which the request
 * was due: a server that stalls doesn't slow the asking down.
 *
 * load RATE SECONDS METHOD URL [BODY]
 *
 * "{n}" in URL and body becomes the request's number. The token is
 * $GOPMILL_TOKEN. Prints {"requests":N,"errors":N,"p50_ms":…,"p99_ms":…,"max_ms":…};
 * an error is a status of 400 or more, or none.
 */
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_MAX = 64 << 10, IN_FLIGHT_MAX = 512 };

struct load {
    const char *method, *url, *body;
    struct curl_slist *headers;
    CURLM *multi;
    size_t n, sent, ended, errors;
    double *took_ms; /* by request, as they ended */
    double rate;
};

struct request {
    int64_t due_us;
    char url[4096], *body;
};

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* `text` with every "{n}" replaced; 0 where it doesn't fit. */
static int fill(const char *text, size_t n, char *ret, size_t size)
{
    size_t len = 0;

    while (*text) {
        int w;
        if (strncmp(text, "{n}", 3) == 0) {
            w = snprintf(ret + len, size - len, "%zu", n);
            text += 3;
        } else {
            w = snprintf(ret + len, size - len, "%c", *text++);
        }
        if (w < 0 || (size_t)w >= size - len)
            return 0;
        len += (size_t)w;
    }
    ret[len] = '\0';
    return 1;
}

static size_t discard(char *data, size_t size, size_t n, void *arg)
{
    (void)data, (void)arg;
    return size * n;
}

static int send_one(struct load *l, int64_t due_us)
{
    struct request *q = calloc(1, sizeof(*q));
    CURL *c = curl_easy_init();

    if (!q || !c || !fill(l->url, l->sent, q->url, sizeof(q->url)))
        return 0;
    q->due_us = due_us;
    (void)curl_easy_setopt(c, CURLOPT_URL, q->url);
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, l->method);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, l->headers);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, discard);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 30000L);
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, q);
    if (l->body) {
        q->body = malloc(TEXT_MAX);
        if (!q->body || !fill(l->body, l->sent, q->body, TEXT_MAX))
            return 0;
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
    }
    l->sent++;
    return curl_multi_add_handle(l->multi, c) == CURLM_OK;
}

static void take_ended(struct load *l)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(l->multi, &left))) {
        CURL *c = m->easy_handle;
        struct request *q = NULL;
        long status = 0;

        (void)curl_easy_getinfo(c, CURLINFO_PRIVATE, (char **)&q);
        (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        l->took_ms[l->ended++] = (double)(now_us() - q->due_us) / 1000;
        if (m->data.result != CURLE_OK || status >= 400)
            l->errors++;
        (void)curl_multi_remove_handle(l->multi, c);
        curl_easy_cleanup(c);
        free(q->body);
        free(q);
    }
}

static int run(struct load *l)
{
    int64_t start = now_us();
    int running;

    while (l->ended < l->n) {
        int64_t due = start + (int64_t)((double)l->sent * 1e6 / l->rate), now = now_us();
        if (l->sent < l->n && now >= due && l->sent - l->ended < IN_FLIGHT_MAX) {
            if (!send_one(l, due))
                return -1;
            (void)curl_multi_perform(l->multi, &running);
            continue;
        }
        int64_t wait_ms = l->sent < l->n && due > now ? (due - now) / 1000 : 10;
        (void)curl_multi_poll(l->multi, NULL, 0, (int)(wait_ms > 10 ? 10 : wait_ms), NULL);
        (void)curl_multi_perform(l->multi, &running);
        take_ended(l);
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void tell(const struct load *l)
{
    qsort(l->took_ms, l->n, sizeof(*l->took_ms), by_size);
    printf("{\"requests\":%zu,\"errors\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n",
           l->n, l->errors, l->took_ms[l->n / 2], l->took_ms[l->n * 99 / 100],
           l->took_ms[l->n - 1]);
}

int main(int argc, char **argv)
{
    char token[4200];
    struct load l = { 0 };

    if (argc < 5 || argc > 6 || atof(argv[1]) <= 0 || atof(argv[2]) <= 0) {
        (void)fputs("usage: load RATE SECONDS METHOD URL [BODY]\n", stderr);
        return 2;
    }
    l.rate = atof(argv[1]);
    l.n = (size_t)(l.rate * atof(argv[2]) + 0.5);
    l.method = argv[3];
    l.url = argv[4];
    l.body = argc > 5 ? argv[5] : NULL;
    l.took_ms = calloc(l.n + 1, sizeof(*l.took_ms));
    if (getenv("GOPMILL_TOKEN")) {
        (void)snprintf(token, sizeof(token), "Authorization: Bearer %s", getenv("GOPMILL_TOKEN"));
        l.headers = curl_slist_append(l.headers, token);
    }
    l.headers = curl_slist_append(l.headers, "Content-Type: application/json");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(l.multi = curl_multi_init()) || !l.took_ms)
        return 1;
    int r = run(&l);
    if (r == 0)
        tell(&l);
    (void)curl_multi_cleanup(l.multi);
    curl_slist_free_all(l.headers);
    curl_global_cleanup();
    free(l.took_ms);
    return r < 0;
}
