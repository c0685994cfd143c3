/* What comes in by queue: the first byte chooses, 'j' a job's message, 'u' a
 * bucket's notification, 'l' a URL held against rules. */
#include "fuzz.h"

#include "common/base/err.h"
#include "common/wire/job.h"
#include "dispatcher/daemon/uploads.h"
#include "dispatcher/daemon/url_rules.h"

/* What is taken can be written and is taken again. */
static void read_job(const char *text, size_t len)
{
    struct job_message m = { 0 }, again = { 0 };
    struct err err = { 0 };

    if (job_message_from_text(text, len, &m, &err) < 0) {
        fuzz_must(err.text[0] && (err.cls == ERR_USAGE || err.cls == ERR_RESOURCE));
        return;
    }
    fuzz_must(m.source && m.output && m.priority <= 9);
    fuzz_must(!m.id || job_id_check(m.id, NULL) == 0);
    char *out = job_message_to_text(&m);
    fuzz_must(out && job_message_from_text(out, strlen(out), &again, NULL) == 0);
    fuzz_must(strcmp(m.source, again.source) == 0 && m.priority == again.priority);
    free(out);
    job_message_release(&m);
    job_message_release(&again);
}

static void read_upload(const char *text, size_t len)
{
    struct upload_rules rules = { 0 };
    struct upload_rule rule = { .bucket = strdup("in"), .output = strdup("s3://out/{stem}/{id}") };
    struct job_message *v = NULL;
    struct err err = { 0 };
    size_t n = 0;

    fuzz_must(upload_rules_add(&rules, &rule, NULL) == 0);
    if (uploads_read(&rules, text, len, &v, &n, &err) < 0)
        fuzz_must(err.text[0]);
    for (size_t i = 0; i < n; i++) {
        fuzz_must(strncmp(v[i].source, "s3://in/", 8) == 0 && job_id_check(v[i].id, NULL) == 0);
        job_message_release(&v[i]);
    }
    free(v);
    upload_rules_release(&rules);
}

/* What is taken begins as a rule does and doesn't climb out of it. */
static void check_url(char *url)
{
    struct url_rules rules = { 0 };
    struct err err = { 0 };

    fuzz_must(url_rules_add(&rules, "s3://in/up", NULL) == 0);
    fuzz_must(url_rules_add(&rules, "https://h/in/", NULL) == 0);
    fuzz_must(url_rules_add(&rules, "file:///srv", NULL) == 0);
    if (url_rules_check(&rules, "source", url, &err) < 0) {
        fuzz_must(err.text[0]);
    } else {
        int s3 = strncasecmp(url, "s3:", 3) == 0;
        if (!s3)
            url[strcspn(url, "?")] = '\0';
        fuzz_must(!strstr(url, "/../") && (s3 || !strcasestr(url, "/%2e%2e/")));
        fuzz_must(s3 ? strncmp(url + 3, "//in/up", 7) == 0
                     : strstr(url, "/in/") || strstr(url, "/srv"));
    }
    url_rules_release(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 'j')
        read_job(text, size - 1);
    else if (data[0] == 'u')
        read_upload(text, size - 1);
    else if (data[0] == 'l')
        check_url(text);
    free(text);
    return 0;
}
